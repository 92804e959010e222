//! What can become of bytes on their way.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use slurm_lease::{Answer, Exit};

use crate::recording::{GENERATIONS, recordings};

/// One change to a text.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    Zero(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        at().prop_map(Change::Cut),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), words()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..200_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Zero(at, length)),
    ]
}

/// What the parsers look for, and noise.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "|~00000000~|",
        "|~",
        "\n",
        "\r\n",
        "error:",
        "17\n",
        "17;beta\n",
        "slurm_load_jobs error: Invalid job id specified\n",
        "sbatch: error: Batch job submission failed: ",
        "Invalid partition name specified\n",
        "scancel: error: Kill job error on job id 17: ",
        "Invalid job id specified\n",
        "slurm-lease/1 0a1b2c3d cbx_0123456789ab 00000000deadbeef",
        "{",
        "\"",
        "18446744073709551616",
        "-1",
    ]);
    prop_oneof![
        known.prop_map(|word| word.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ]
}

/// A span that begins somewhere and is at most this long.
fn span(bytes: &[u8], at: Index, length: usize) -> std::ops::Range<usize> {
    let start = at.index(bytes.len() + 1);
    start..(start + length).min(bytes.len())
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put(at, byte) if !bytes.is_empty() => *at.get_mut(bytes) = *byte,
        Change::Flip(at, bit) if !bytes.is_empty() => *at.get_mut(bytes) ^= 1 << bit,
        Change::Put(..) | Change::Flip(..) => {}
        Change::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Change::Remove(at, length) => drop(bytes.drain(span(bytes, *at, *length))),
        Change::Insert(at, word) => {
            let at = at.index(bytes.len() + 1);
            drop(bytes.splice(at..at, word.iter().copied()));
        }
        Change::Repeat(at, length) => {
            let span = span(bytes, *at, *length);
            let again = bytes[span.clone()].to_vec();
            drop(bytes.splice(span.end..span.end, again));
        }
        Change::Zero(at, length) => {
            let span = span(bytes, *at, *length);
            bytes[span].fill(0);
        }
    }
}

/// The same text after one to four changes.
pub(crate) fn wrecked(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(change(), 1..5).prop_map(move |changes| {
        let mut bytes = bytes.clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        bytes
    })
}

/// How a command may have ended.
pub(crate) fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        4 => Just(Exit::Status(0)),
        4 => Just(Exit::Status(1)),
        2 => (0..256).prop_map(Exit::Status),
        1 => (1..65).prop_map(Exit::Signal),
        1 => Just(Exit::TimedOut),
        1 => ".{0,8}".prop_map(Exit::NotStarted),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let bytes = || {
        let parts = proptest::collection::vec(words(), 0..12);
        parts.prop_map(|parts| parts.concat())
    };
    (exit(), bytes(), bytes()).prop_map(|(exit, stdout, stderr)| Answer {
        exit,
        stdout,
        stderr,
    })
}

/// Every recording of a real Slurm, by its command.
fn recorded(command: &str) -> Vec<Answer> {
    let of = |generation| recordings(generation, command);
    let all = GENERATIONS.into_iter().flat_map(of);
    all.map(|recording| recording.answer).collect()
}

static RECORDED: LazyLock<Vec<(&str, Vec<Answer>)>> = LazyLock::new(|| {
    ["sbatch", "squeue", "sacct", "scancel", "scontrol"]
        .map(|command| (command, recorded(command)))
        .to_vec()
});

/// Answers that nobody has seen yet: recordings of this command with changes in them, and noise.
pub(crate) fn odd_answer(command: &str) -> impl Strategy<Value = Answer> {
    let of_command = |(name, _): &&(&str, Vec<Answer>)| *name == command;
    let (_, answers) = RECORDED.iter().find(of_command).unwrap();
    let changed = (select(&answers[..]), exit(), any::<bool>());
    let changed = changed.prop_flat_map(|(answer, exit, same_exit)| {
        let texts = (wrecked(answer.stdout), wrecked(answer.stderr));
        let exit = if same_exit { answer.exit } else { exit };
        texts.prop_map(move |(stdout, stderr)| Answer {
            exit: exit.clone(),
            stdout,
            stderr,
        })
    });
    prop_oneof![3 => changed, 1 => any_answer()]
}
