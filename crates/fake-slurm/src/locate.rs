//! Where the stub executable is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::store::StoreError;

/// The stub executable, built if need be.
///
/// In this order: the path in `FAKE_SLURM_BIN`; `fake-slurm` in the `target/<profile>` directory
/// that the running executable is in (tests run in `target/<profile>/deps`). If that is missing,
/// or older than the sources of this crate, `cargo build -p fake-slurm` is run for the same target
/// directory and profile. cargo does not build the binaries of a dependency by itself, so a test
/// of another crate would otherwise find none, or an old one.
///
/// # Errors
/// It is not there and cannot be built; what cargo said.
pub fn stub_executable() -> Result<PathBuf, StoreError> {
    static LOCATED: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut located = LOCATED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(path) = located.as_ref() {
        return Ok(path.clone());
    }
    let path = locate()?;
    *located = Some(path.clone());
    Ok(path)
}

fn locate() -> Result<PathBuf, StoreError> {
    if let Some(named) = env::var_os("FAKE_SLURM_BIN") {
        return Ok(PathBuf::from(named));
    }
    let fail = |text: &str| StoreError::Stub(text.to_owned());
    let running = env::current_exe().map_err(|error| fail(&error.to_string()))?;
    if running.file_name().is_some_and(|name| name == "fake-slurm") {
        return Ok(running);
    }
    let profile = profile_directory(&running)
        .ok_or_else(|| fail("no target directory found: name the executable in FAKE_SLURM_BIN"))?;
    let candidate = profile.join("fake-slurm");
    if !is_current(&candidate) {
        build(&profile, &candidate)?;
    }
    Ok(candidate)
}

/// The `target/<profile>` that the running executable is in. A doc test runs elsewhere: for it, the
/// `debug` directory of the target directory that cargo was given, or of this workspace.
fn profile_directory(running: &Path) -> Option<PathBuf> {
    let is_profile = |directory: &&Path| directory.join(".fingerprint").is_dir();
    if let Some(found) = running.ancestors().skip(1).take(2).find(is_profile) {
        return Some(found.to_owned());
    }
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        return Some(PathBuf::from(target).join("debug"));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").is_file());
    workspace.map(|workspace| workspace.join("target").join("debug"))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Whether the executable is there and not older than the sources, as far as they are there.
fn is_current(executable: &Path) -> bool {
    let Some(built) = modified(executable) else {
        return false;
    };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    newest(&sources).is_none_or(|changed| changed <= built)
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let times = entries.filter_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            newest(&path)
        } else {
            modified(&path)
        }
    });
    times.max()
}

fn build(profile: &Path, candidate: &Path) -> Result<(), StoreError> {
    let fail = |text: String| StoreError::Stub(text);
    let target = profile
        .parent()
        .ok_or_else(|| fail("no target directory".to_owned()))?;
    let name = profile.file_name().unwrap_or_default().to_string_lossy();
    let name = if name == "debug" { "dev" } else { &name };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package=fake-slurm",
        "--bin=fake-slurm",
    ]);
    command
        .arg("--profile")
        .arg(name)
        .arg("--target-dir")
        .arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command
        .output()
        .map_err(|error| fail(format!("cargo build: {error}")))?;
    if !output.status.success() || !candidate.exists() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(fail(format!("cargo build -p fake-slurm failed:\n{said}")));
    }
    // cargo leaves a file alone whose content would be the same.
    let touched = fs::File::options().append(true).open(candidate);
    let touched = touched.and_then(|file| file.set_modified(SystemTime::now()));
    touched.map_err(|error| fail(format!("{}: {error}", candidate.display())))
}
