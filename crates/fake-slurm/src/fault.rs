//! Faults that a test puts into single calls: "the second sbatch is accepted, then its reply is
//! lost".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::{Call, Program};
use crate::model::Controller;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// The request is carried out, and the answer is `Socket timed out on send/recv operation`.
    LoseReply,
    /// Nothing is done; these words on stderr, this exit status.
    Refuse {
        /// What goes to stderr, without the newline.
        text: String,
        /// The exit status.
        status: u8,
    },
    /// Nothing is done, and the command does not end until it is killed.
    Hang,
    /// The request is carried out, and the command does not end until it is killed.
    HangAfter,
    /// sbatch: the command does not end until it is killed, and so long after the call the
    /// controller takes the request up.
    ArriveLater(Duration),
    /// sbatch: the answer is `Socket timed out on send/recv operation`, and so long after the
    /// call the controller takes the request up.
    AcceptLater(Duration),
    /// It takes so much longer.
    Slow(Duration),
    /// Nothing is done; the command dies of this signal.
    Kill(u8),
    /// The request is carried out; the command dies of this signal without a word.
    KillAfter(u8),
    /// The request is carried out; this stands on stdout instead of the answer.
    Garbage(String),
    /// The request is carried out; the answer ends after so many bytes.
    Truncate(usize),
    /// The request is carried out; in the answer on stdout, one text stands for another.
    Replace {
        /// What would stand there.
        from: String,
        /// What stands there instead. A byte that is no UTF-8 is the character U+10FE00 + byte.
        to: String,
    },
    /// This stands on stdout before the answer, on lines of its own.
    Banner(String),
    /// This stands on stderr before whatever else does, on lines of its own.
    Warn(String),
    /// Nothing is done; exit status 0 and not a word.
    DoNothing,
    /// For this call the controller is in this state.
    Controller(Controller),
}

/// Which of the calls that match a fault it befalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The first, second … that comes after the fault was put in. Counts from 1.
    Nth(u32),
    /// That one and all after it.
    From(u32),
    /// So many, from the first.
    First(u32),
    /// All of them.
    #[default]
    Every,
}

impl Which {
    fn befalls(self, count: u32) -> bool {
        match self {
            Self::Nth(wanted) => count == wanted,
            Self::From(first) => count >= first,
            Self::First(last) => count <= last,
            Self::Every => true,
        }
    }
}

/// A fault: which calls it befalls, and what happens to them.
///
/// Each fault counts the calls that match it, whatever befalls them. Of several that could befall
/// the same call only the one that was put in first does.
///
/// ```
/// use fake_slurm::{Action, Fault, Program};
///
/// let fault = Fault::on(Program::Sbatch, Action::LoseReply).nth(2);
/// let only_this_job = Fault::on(Program::Scancel, Action::DoNothing).with_argument("17");
/// # let _ = (fault, only_this_job);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Calls of this command; none is any.
    pub program: Option<Program>,
    /// Calls that have this argument.
    pub argument: Option<String>,
    /// Which of those calls.
    pub which: Which,
    /// What happens.
    pub action: Action,
    /// How many calls matched so far.
    #[serde(default)]
    pub seen: u32,
}

impl Fault {
    /// A fault of every call of `program`.
    pub fn on(program: Program, action: Action) -> Self {
        Self {
            program: Some(program),
            ..Self::on_any(action)
        }
    }

    /// A fault of every call of every command.
    pub fn on_any(action: Action) -> Self {
        Self {
            program: None,
            argument: None,
            which: Which::Every,
            action,
            seen: 0,
        }
    }

    /// Only of the `count`th call, from 1.
    #[must_use]
    pub fn nth(self, count: u32) -> Self {
        Self {
            which: Which::Nth(count),
            ..self
        }
    }

    /// Only of the first `count` calls.
    #[must_use]
    pub fn first(self, count: u32) -> Self {
        Self {
            which: Which::First(count),
            ..self
        }
    }

    /// Only of calls that have `argument`, as it stands or after a `=`.
    #[must_use]
    pub fn with_argument(self, argument: impl Into<String>) -> Self {
        Self {
            argument: Some(argument.into()),
            ..self
        }
    }

    fn matches(&self, call: &Call) -> bool {
        let wanted = self.argument.as_deref();
        let has = |wanted: &str| {
            let mut arguments = call.arguments.iter();
            arguments.any(|given| {
                given == wanted
                    || given
                        .split_once('=')
                        .is_some_and(|(_, value)| value == wanted)
            })
        };
        self.program.is_none_or(|program| program == call.program) && wanted.is_none_or(has)
    }
}

/// Counts a call, and says what befalls it: the first fault that does.
pub(crate) fn strike(faults: &mut [Fault], call: &Call) -> Option<Action> {
    let mut struck = None;
    for fault in faults.iter_mut().filter(|fault| fault.matches(call)) {
        fault.seen = fault.seen.saturating_add(1);
        if struck.is_none() && fault.which.befalls(fault.seen) {
            struck = Some(fault.action.clone());
        }
    }
    struck
}
