//! The recordings in `fixtures/`, and how they are compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fake_slurm::{Generation, Program};

/// What stands between fields in recordings.
pub(crate) const MARK: &str = "|~mark~|";

/// One recorded case.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) program: Program,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) user: String,
    pub(crate) status: u8,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

impl Recording {
    /// A case of a generation, if it came about there.
    pub(crate) fn read(generation: Generation, case: &str) -> Option<Self> {
        let path = |suffix| {
            root()
                .join(generation.series())
                .join(format!("{case}.{suffix}"))
        };
        let text = fs::read_to_string(path("cmd")).ok()?;
        let mut words = words(text.lines().next()?);
        if words.first().is_some_and(|word| word == "timeout") {
            words.drain(..4);
        }
        let first = words
            .iter()
            .position(|word| Program::from_name(word).is_some())?;
        let pairs = words.drain(..first).filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let environment = pairs.collect();
        let program = Program::from_name(&words.remove(0))?;
        let user = text
            .lines()
            .find_map(|line| line.strip_prefix("# user: "))
            .unwrap_or("alice");
        Some(Self {
            program,
            environment,
            arguments: words,
            user: user.to_owned(),
            status: fs::read_to_string(path("status"))
                .ok()?
                .trim()
                .parse()
                .ok()?,
            stdout: fs::read(path("stdout")).ok()?,
            stderr: fs::read(path("stderr")).ok()?,
        })
    }

    /// The number of the job that it is about.
    pub(crate) fn job(&self) -> Option<u32> {
        let numbers = |text: &str| text.split([',', ';', '\n']).next()?.trim().parse().ok();
        let after = self.arguments.iter().position(|word| word == "-j");
        if let Some(after) = after {
            return numbers(self.arguments.get(after + 1)?);
        }
        if self.program == Program::Sbatch {
            let stdout = String::from_utf8_lossy(&self.stdout);
            let stderr = String::from_utf8_lossy(&self.stderr);
            let mut words = stdout.split([' ', ';', '\n']).chain(stderr.split(' '));
            return words.find_map(|word| word.parse().ok());
        }
        let named = self.arguments.iter().rev().find_map(|word| numbers(word));
        let stdout = String::from_utf8_lossy(&self.stdout);
        named.or_else(|| stdout.split('|').next()?.parse().ok())
    }

    /// The fields of the row that it printed below the heading, where it used the mark.
    pub(crate) fn fields(&self) -> Vec<Vec<u8>> {
        let mark = MARK.as_bytes();
        let mut fields = vec![Vec::new()];
        let end = format!("COMMENT{MARK}\n").into_bytes();
        let heading = self.stdout.windows(end.len()).position(|text| text == end);
        let mut rest = &self.stdout[heading.map_or(0, |at| at + end.len())..];
        while let Some((first, tail)) = rest.split_first() {
            if let Some(tail) = rest.strip_prefix(mark) {
                fields.push(Vec::new());
                rest = tail;
            } else {
                fields.last_mut().unwrap().push(*first);
                rest = tail;
            }
        }
        fields
    }
}

/// Splits a line as a shell does, as far as the recordings need it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => words.last_mut().unwrap().extend(characters.next()),
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

/// Takes out what no two runs have in common: times, times left, nodes that could be either, the
/// places of sockets and databases.
pub(crate) fn normalised(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let rows = text.split_inclusive('\n').map(|row| {
        let mut fields: Vec<String> = row.split(MARK).map(str::to_owned).collect();
        // The row of the long form: the time left depends on when it was asked.
        if fields.len() == 18 && fields[13].contains(':') {
            fields[13] = "LEFT".to_owned();
        }
        fields.join(MARK)
    });
    let text: String = rows.collect();
    let mut result = String::new();
    let mut token = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_alphanumeric() || "-:./[]_".contains(character) {
            token.push(character);
            continue;
        }
        result += &replaced(&token);
        token.clear();
        result.push(character);
    }
    result.pop();
    result
}

fn replaced(token: &str) -> String {
    let digits = token.chars().all(|character| character.is_ascii_digit());
    let epoch = digits && token.len() == 10 && (token.starts_with("17") || token.starts_with("16"));
    let iso = token.len() == 19 && token.as_bytes()[10] == b'T' && token.starts_with("20");
    if epoch || iso {
        // A time.
        return "TIME".to_owned();
    }
    if ["n1", "n2", "n[1-2]"].contains(&token) {
        return "NODE".to_owned();
    }
    if token.ends_with("socket") || token.ends_with("munge.socket.2") {
        return "SOCKET".to_owned();
    }
    if token.starts_with("127.0.0.1:") {
        let end = if token.ends_with(':') { ":" } else { "" };
        return format!("ADDRESS{end}");
    }
    if let Some(rest) = token.strip_prefix("host:127.0.0.1:") {
        return format!("host:ADDRESS{}", if rest.ends_with(':') { ":" } else { "" });
    }
    token.to_owned()
}

/// Where a cluster's ports and files are, and the next job's number.
const PLACES: [&str; 13] = [
    "AccountingStoragePort",
    "AuthInfo",
    "CommunicationParameters",
    "NEXT_JOB_ID",
    "SLURM_CONF",
    "SlurmctldHost[0]",
    "SlurmctldLogFile",
    "SlurmctldPidFile",
    "SlurmctldPort",
    "SlurmdLogFile",
    "SlurmdPidFile",
    "SlurmdSpoolDir",
    "StateSaveLocation",
];

/// Takes out of a configuration what depends on where the cluster is.
pub(crate) fn without_places(configuration: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if PLACES.contains(&key.trim()) => format!("{key}= PLACE\n"),
        _ => format!("{line}\n"),
    };
    configuration.lines().map(line).collect()
}

/// The users of the recordings.
pub(crate) fn users() -> BTreeMap<&'static str, u32> {
    BTreeMap::from([("root", 0), ("alice", 4001), ("bob", 4002), ("carol", 4003)])
}
