//! What was typed and what was answered, for people to read.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::client::{Client, binary};
use crate::crabbox::Said;

/// The variable that names the directory where transcripts are kept, if they are to be.
const DIRECTORY: &str = "CRABBOX_TRANSCRIPTS";

/// The transcript of one story.
#[derive(Debug)]
pub(crate) struct Transcript {
    path: Option<PathBuf>,
}

impl Transcript {
    pub(crate) fn new(story: &str) -> Self {
        let path = std::env::var_os(DIRECTORY).map(|directory| {
            let directory = PathBuf::from(directory);
            fs::create_dir_all(&directory).unwrap();
            let path = directory.join(format!("{story}.txt"));
            fs::write(&path, "").unwrap();
            path
        });
        Self { path }
    }

    /// What happens between two commands.
    pub(crate) fn note(&self, text: &str) {
        self.append(&format!("# {text}\n"));
    }

    /// A command and its answer, without what is only of this machine.
    pub(crate) fn command(&self, line: &str, said: &Said, client: &Client<'_>) {
        let mut text = format!("$ {line}\n");
        for part in [&said.stdout, &said.stderr] {
            text.push_str(part);
            if !part.is_empty() && !part.ends_with('\n') {
                text.push('\n');
            }
        }
        if let Some(code) = said.code.filter(|&code| code != 0) {
            text.push_str(&format!("[exit status {code}]\n"));
        }
        self.append(&redact(&text, client));
    }

    fn append(&self, text: &str) {
        let Some(path) = &self.path else { return };
        let file = fs::OpenOptions::new().append(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn redact(text: &str, client: &Client<'_>) -> String {
    let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let home = client.path("");
    let home = home.to_str().unwrap().trim_end_matches('/');
    let cluster = client.cluster.path("");
    let cluster = cluster.to_str().unwrap().trim_end_matches('/');
    let mut text = text.to_owned();
    for (known, shown) in [
        (home, "/home/alice"),
        (cluster, "/etc/slurm"),
        (binary().to_str().unwrap(), "/opt/slurm-cbx/bin/slurm-cbx"),
        ("cbxalice", "alice"),
        // A default of the client's that names a person.
        ("crabbox-steipete", "crabbox-alice"),
        (host.trim(), "login"),
    ] {
        if !known.is_empty() {
            text = text.replace(known, shown);
        }
    }
    text
}
