//! The host that the stub runs on.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::call::Host;

/// Files, stdin, and the user database in `/etc`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalHost {
    /// What was on stdin, if the command reads it.
    pub(crate) stdin: Vec<u8>,
}

/// All of stdin; what cannot be read is not there.
pub(crate) fn read_stdin() -> Vec<u8> {
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// The fields of a line of `/etc/passwd` or `/etc/group` whose field `index` is `value`.
fn entry(path: &str, index: usize, value: &str) -> Option<Vec<String>> {
    let text = fs::read(Path::new(path)).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(index) == Some(&value))?;
    Some(found.into_iter().map(str::to_owned).collect())
}

impl Host for LocalHost {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone())
    }

    fn uid_of(&self, name: &str) -> Option<u32> {
        entry("/etc/passwd", 0, name)?.get(2)?.parse().ok()
    }

    fn name_of(&self, uid: u32) -> Option<String> {
        entry("/etc/passwd", 2, &uid.to_string())?
            .into_iter()
            .next()
    }

    fn group_of(&self, gid: u32) -> Option<String> {
        entry("/etc/group", 2, &gid.to_string())?.into_iter().next()
    }
}

/// A user's home directory and shell.
pub(crate) fn login_of(uid: u32) -> (String, String) {
    let fields = entry("/etc/passwd", 2, &uid.to_string()).unwrap_or_default();
    let field = |index: usize, otherwise: &str| {
        fields
            .get(index)
            .cloned()
            .unwrap_or_else(|| otherwise.to_owned())
    };
    (field(5, "/"), field(6, "/bin/sh"))
}
