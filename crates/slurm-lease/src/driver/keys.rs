//! The key pair of a lease, and the host key that it may meet.

use std::io;
use std::process::Stdio;

use camino::{Utf8Path, Utf8PathBuf};

use crate::driver::files;
use crate::driver::process;
use crate::driver::store::LeaseDir;
use crate::endpoint::Endpoint;

/// Makes the key pair of a lease with ssh-keygen, unless it is there, and says where the private
/// half is.
///
/// The pair is made under another name and renamed, public half first: where there is a private
/// key, there is a whole pair.
pub(crate) fn ensure(dir: &LeaseDir) -> io::Result<Utf8PathBuf> {
    let key = dir.file("id_ed25519");
    if files::read(&key)?.is_some() && files::read(&public(&key))?.is_some() {
        return Ok(key);
    }
    let beside = dir.file(&format!("id_ed25519.{}.new", std::process::id()));
    files::remove(&beside)?;
    files::remove(&public(&beside))?;
    generate(&beside, &format!("slurm-lease {}", dir.lease()))?;
    files::rename(&public(&beside), &public(&key))?;
    files::rename(&beside, &key)?;
    files::sync_parent(&key)?;
    Ok(key)
}

/// The public half of a key.
pub(crate) fn public(key: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{key}.pub"))
}

fn generate(path: &Utf8Path, comment: &str) -> io::Result<()> {
    let mut keygen = process::command("ssh-keygen");
    keygen
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            comment,
            "-f",
            path.as_str(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = process::output(&mut keygen).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot start ssh-keygen: {error}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "ssh-keygen failed: {}",
        said.trim()
    )))
}

/// Pins the host key of an endpoint: ssh reads `known_hosts` beside the key that it uses.
pub(crate) fn pin(dir: &LeaseDir, endpoint: &Endpoint) -> io::Result<()> {
    let Some(host_key) = &endpoint.host_key else {
        return Ok(());
    };
    let line = format!("[{}]:{} {host_key}\n", endpoint.host, endpoint.port);
    if dir.read("known_hosts")?.as_deref() == Some(line.as_bytes()) {
        return Ok(());
    }
    dir.write("known_hosts", line.as_bytes())
}
