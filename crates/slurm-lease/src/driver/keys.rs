//! The key pair of a lease, and the host key that it may meet.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::answer::Exit;
use crate::driver::files;
use crate::driver::process;
use crate::driver::store::LeaseDir;
use crate::endpoint::Endpoint;
use crate::record::Access;

/// How long ssh-keygen may take, which takes milliseconds.
const KEYGEN_LIMIT: Duration = Duration::from_secs(10);

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
    keygen.args([
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        comment,
        "-f",
        path.as_str(),
    ]);
    let answer = process::answer(&mut keygen, None, KEYGEN_LIMIT);
    let said = String::from_utf8_lossy(&answer.stderr);
    let why = match answer.exit {
        Exit::Status(0) => return Ok(()),
        Exit::Status(_) | Exit::Signal(_) => format!("ssh-keygen failed: {}", said.trim()),
        Exit::TimedOut => format!("ssh-keygen did not end within {} s", KEYGEN_LIMIT.as_secs()),
        Exit::NotStarted(why) => why,
    };
    Err(io::Error::other(why))
}

/// Where a key that lies elsewhere is linked in the directory of a lease.
const LINK: &str = "linked_key";

/// The private key that opens an endpoint: the runner's choice, else the config's, else the one
/// that was made for the lease.
fn chosen(dir: &LeaseDir, access: &Access, endpoint: Option<&Endpoint>) -> Utf8PathBuf {
    let published = endpoint.and_then(|endpoint| endpoint.key.clone());
    let chosen = published.or_else(|| access.key.clone());
    chosen.unwrap_or_else(|| dir.file("id_ed25519"))
}

/// The same key by the path that a client is told, in the lease's directory.
pub(crate) fn path(dir: &LeaseDir, access: &Access, endpoint: Option<&Endpoint>) -> Utf8PathBuf {
    let key = chosen(dir, access, endpoint);
    let link = dir.file(LINK);
    if files::is_link_to(&link, &key) {
        link
    } else {
        key
    }
}

/// Has the key and the host key of an endpoint lie side by side in the lease's directory: ssh, as
/// the client starts it, reads the `known_hosts` beside the key. A key that lies elsewhere is
/// linked; one `known_hosts` for all leases would hold the keys of endpoints that are gone.
pub(crate) fn admit(dir: &LeaseDir, access: &Access, endpoint: &Endpoint) -> io::Result<()> {
    let key = chosen(dir, access, Some(endpoint));
    if key.parent() != Some(dir.path()) {
        // With what ssh looks for beside it: a certificate, and the public half for an agent.
        for suffix in ["-cert.pub", ".pub", ""] {
            let beside = Utf8PathBuf::from(format!("{key}{suffix}"));
            if suffix.is_empty() || beside.exists() {
                files::link(&beside, &dir.file(&format!("{LINK}{suffix}")))?;
            }
        }
    }
    pin(dir, endpoint)
}

/// Pins the host key of an endpoint, as ssh writes it: without the port if that is the usual one.
fn pin(dir: &LeaseDir, endpoint: &Endpoint) -> io::Result<()> {
    let Some(host_key) = &endpoint.host_key else {
        return Ok(());
    };
    let line = match endpoint.port {
        22 => format!("{} {host_key}\n", endpoint.host),
        port => format!("[{}]:{port} {host_key}\n", endpoint.host),
    };
    if dir.read("known_hosts")?.as_deref() == Some(line.as_bytes()) {
        return Ok(());
    }
    dir.write("known_hosts", line.as_bytes())
}
