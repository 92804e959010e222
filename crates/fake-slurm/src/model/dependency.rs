//! What a job waits for besides its turn: `--dependency`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::generation::Generation;

/// What a condition asks of the other job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bond {
    /// `after`: it has started, or is over.
    After,
    /// `afterany`, or a number by itself: it is over.
    AfterAny,
    /// `afterok`: it ended well.
    AfterOk,
    /// `afternotok`: it ended badly.
    AfterNotOk,
    /// `aftercorr`: as `afterok`, where neither is an array.
    AfterCorr,
    /// `singleton`: no earlier job of that name and user is left.
    Singleton,
}

impl Bond {
    const ALL: [Self; 6] = [
        Self::After,
        Self::AfterAny,
        Self::AfterOk,
        Self::AfterNotOk,
        Self::AfterCorr,
        Self::Singleton,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::AfterAny => "afterany",
            Self::AfterOk => "afterok",
            Self::AfterNotOk => "afternotok",
            Self::AfterCorr => "aftercorr",
            Self::Singleton => "singleton",
        }
    }

    fn of(name: &str) -> Option<Self> {
        let same = |bond: &Self| bond.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// Whether a submission is refused that names a job of which the controller does not know.
    /// Where it is not, the condition counts as fulfilled.
    pub const fn needs_known_job(self, generation: Generation) -> bool {
        matches!(self, Self::AfterOk | Self::AfterNotOk)
            && matches!(generation, Generation::V24_11 | Generation::V26_05)
    }
}

/// One condition: a bond with another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// What it asks.
    pub bond: Bond,
    /// Of which job; zero for a singleton.
    pub job: u32,
    /// `+N`: minutes since the other job's start. Only `after` heeds them.
    pub minutes: u32,
    /// Whether it can never come true any more.
    pub failed: bool,
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.bond.name())?;
        if self.bond != Bond::Singleton {
            write!(formatter, ":{}", self.job)?;
        }
        if self.minutes > 0 {
            write!(formatter, "+{}", self.minutes)?;
        }
        let state = if self.failed { "failed" } else { "unfulfilled" };
        write!(formatter, "({state})")
    }
}

/// How a condition looks at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It may still come true.
    Open,
    /// It came true.
    Fulfilled,
    /// It cannot come true any more.
    Failed,
}

/// What the conditions of a job come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It need not wait for others.
    Free,
    /// Reason Dependency.
    Waits,
    /// Reason DependencyNeverSatisfied.
    Never,
}

/// Why a dependency is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyError {
    /// The controller refuses it in these words.
    Refused(Refusal),
    /// A real controller has an answer to it that the fake does not play: a part of an array, a
    /// burst buffer, `,` and `?` together.
    NotPlayed,
}

const PROBLEM: DependencyError = DependencyError::Refused(Refusal::Dependency);

/// The conditions of a job that are not fulfilled yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// In the order in which they were asked for.
    pub requirements: Vec<Requirement>,
    /// One suffices (`?` between them) instead of all (`,`).
    pub any: bool,
}

impl Dependencies {
    /// Reads what `--dependency` asks for.
    ///
    /// # Errors
    /// What the controller refuses, and what is not played.
    pub fn parse(text: &str, generation: Generation) -> Result<Self, DependencyError> {
        // That is how scontrol takes a dependency away.
        if text.is_empty() || text == "0" {
            return Ok(Self::default());
        }
        let any = text.contains('?');
        if any && text.contains(',') {
            return Err(if generation == Generation::V26_05 {
                PROBLEM
            } else {
                DependencyError::NotPlayed
            });
        }
        let mut requirements = Vec::new();
        for part in text.split([',', '?']) {
            for each in part_of(part, part.len() == text.len(), generation)? {
                if !requirements.contains(&each) {
                    requirements.push(each);
                }
            }
        }
        Ok(Self { requirements, any })
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Looks at each condition that is open. Those that came true go: Slurm shows them no more.
    /// Once a job can never start, it does not look at the others again.
    pub fn review(&mut self, outlook: impl Fn(&Requirement) -> Outlook) -> Standing {
        if self.is_hopeless() {
            return Standing::Never;
        }
        let mut fulfilled = false;
        self.requirements.retain_mut(|condition| {
            let found = if condition.failed {
                Outlook::Failed
            } else {
                outlook(condition)
            };
            condition.failed = found == Outlook::Failed;
            fulfilled |= found == Outlook::Fulfilled;
            found != Outlook::Fulfilled
        });
        if self.any && fulfilled {
            self.requirements.clear();
        }
        match () {
            () if self.requirements.is_empty() => Standing::Free,
            () if self.is_hopeless() => Standing::Never,
            () => Standing::Waits,
        }
    }

    fn is_hopeless(&self) -> bool {
        let mut failed = self.requirements.iter().map(|condition| condition.failed);
        if self.any {
            !self.requirements.is_empty() && failed.all(|failed| failed)
        } else {
            failed.any(|failed| failed)
        }
    }
}

/// As squeue's `%E` shows them: `afterok:1(unfulfilled),singleton(unfulfilled)`.
impl fmt::Display for Dependencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.any { "?" } else { "," };
        for (turn, condition) in self.requirements.iter().enumerate() {
            let before = if turn == 0 { "" } else { separator };
            write!(formatter, "{before}{condition}")?;
        }
        Ok(())
    }
}

/// `afterok:1:2`, `singleton`, or a number by itself.
fn part_of(
    part: &str,
    alone: bool,
    generation: Generation,
) -> Result<Vec<Requirement>, DependencyError> {
    let condition = |bond, (job, minutes)| Requirement {
        bond,
        job,
        minutes,
        failed: false,
    };
    let Some((kind, jobs)) = part.split_once(':') else {
        return match Bond::of(part) {
            Some(Bond::Singleton) => Ok(vec![condition(Bond::Singleton, (0, 0))]),
            None if part.starts_with(|first: char| first.is_ascii_digit()) => {
                Ok(vec![condition(Bond::AfterAny, other_job(part)?)])
            }
            _ => Err(PROBLEM),
        };
    };
    match Bond::of(kind) {
        Some(Bond::Singleton) => Err(PROBLEM),
        Some(bond) => jobs
            .split(':')
            .map(|job| other_job(job).map(|job| condition(bond, job)))
            .collect(),
        None if kind.eq_ignore_ascii_case("expand") && alone => Err(expand(jobs, generation)),
        None if ["expand", "afterburstbuffer"].contains(&kind.to_ascii_lowercase().as_str()) => {
            Err(DependencyError::NotPlayed)
        }
        None => Err(PROBLEM),
    }
}

/// No batch job can give its nodes to another.
fn expand(job: &str, generation: Generation) -> DependencyError {
    let nothing = matches!(job, "" | "0");
    if nothing && generation == Generation::V26_05 {
        return PROBLEM;
    }
    DependencyError::Refused(Refusal::NotSupported)
}

/// `123` or `123+5`: the number of a job, and minutes.
fn other_job(text: &str) -> Result<(u32, u32), DependencyError> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (job, minutes) = match text.split_once('+') {
        Some((job, minutes)) => (job, Some(minutes)),
        None => (text, None),
    };
    // What strtol would read besides plain digits, and parts of arrays.
    let odd = job.starts_with(['-', '+', ' ', '\t']) || job.contains('_');
    if odd || (job.is_empty() && minutes.is_some()) {
        return Err(DependencyError::NotPlayed);
    }
    let nothing = |number: &str| number.trim_start_matches('0').is_empty();
    if !is_number(job) || nothing(job) {
        return Err(PROBLEM);
    }
    if minutes.is_some_and(|minutes| !is_number(minutes) || nothing(minutes)) {
        return Err(PROBLEM);
    }
    // A larger number loses its upper bits in a real one.
    let number = |digits: &str| digits.parse().map_err(|_| DependencyError::NotPlayed);
    Ok((number(job)?, minutes.map_or(Ok(0), number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, DependencyError> {
        Dependencies::parse(text, Generation::V22_05).map(|read| read.to_string())
    }

    #[test]
    fn every_spelling_is_shown_as_slurm_shows_it() {
        let shown = [
            ("afterok:7", "afterok:7(unfulfilled)"),
            ("AfterOk:07", "afterok:7(unfulfilled)"),
            ("7", "afterany:7(unfulfilled)"),
            ("after:7+5", "after:7+5(unfulfilled)"),
            (
                "afterok:7:8",
                "afterok:7(unfulfilled),afterok:8(unfulfilled)",
            ),
            (
                "afterok:7,8",
                "afterok:7(unfulfilled),afterany:8(unfulfilled)",
            ),
            (
                "afternotok:7?singleton",
                "afternotok:7(unfulfilled)?singleton(unfulfilled)",
            ),
            ("afterany:7:7,afterany:7", "afterany:7(unfulfilled)"),
            ("", ""),
            ("0", ""),
        ];
        for (text, expected) in shown {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_slurm_refuses_is_refused() {
        let refused = [
            "foo",
            "foo:1",
            "afterok",
            "afterok:",
            "afterok:0",
            "afterok:7:",
            "afterok::7",
            "afterok:7x",
            "afterok:7.0",
            "afterok:7,",
            ",",
            "?",
            "singleton:7",
            "after:7+0",
            "after:7+",
            "after:7+x",
            "after:7+-1",
            " afterok:7",
            "afterok:7 afterok:8",
            "expand",
        ];
        for text in refused {
            assert_eq!(read(text), Err(PROBLEM), "{text}");
        }
        let unsupported = DependencyError::Refused(Refusal::NotSupported);
        assert_eq!(read("expand:7"), Err(unsupported));
        assert_eq!(read("expand:"), Err(unsupported));
        let recent = |text| Dependencies::parse(text, Generation::V26_05);
        assert_eq!(recent("expand:"), Err(PROBLEM));
        assert_eq!(recent("afterok:7,afterok:8?afterok:9"), Err(PROBLEM));
    }

    #[test]
    fn what_is_not_played_is_told_apart() {
        let not_played = [
            "afterok:7_1",
            "afterok:7_*",
            "afterok:-1",
            "afterok:99999999999",
            "afterburstbuffer:7",
            "afterok:7,afterok:8?afterok:9",
            "afterok:7,expand:8",
        ];
        for text in not_played {
            assert_eq!(read(text), Err(DependencyError::NotPlayed), "{text}");
        }
    }

    /// Goes by the number of the other job: 1 came true, 2 failed, the others are open.
    fn review(text: &str) -> (Standing, String) {
        let mut read = Dependencies::parse(text, Generation::V22_05).expect("it is taken");
        let standing = read.review(|condition| match condition.job {
            1 => Outlook::Fulfilled,
            2 => Outlook::Failed,
            _ => Outlook::Open,
        });
        (standing, read.to_string())
    }

    #[test]
    fn all_have_to_come_true_or_one() {
        let (waits, never) = (Standing::Waits, Standing::Never);
        let comes_to = [
            ("afterok:1", Standing::Free, ""),
            ("afterok:2", never, "afterok:2(failed)"),
            ("afterok:1:3", waits, "afterok:3(unfulfilled)"),
            (
                "afterok:2:3",
                never,
                "afterok:2(failed),afterok:3(unfulfilled)",
            ),
            ("afterok:2?afterok:1", Standing::Free, ""),
            (
                "afterok:2?afterok:3",
                waits,
                "afterok:2(failed)?afterok:3(unfulfilled)",
            ),
            ("2?2", never, "afterany:2(failed)"),
        ];
        for (text, standing, shown) in comes_to {
            assert_eq!(review(text), (standing, shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn nothing_is_looked_at_again_once_it_is_hopeless() {
        let read = Dependencies::parse("afterok:2:3", Generation::V22_05);
        let mut read = read.expect("it is taken");
        let first = read.review(|condition| match condition.job {
            2 => Outlook::Failed,
            _ => Outlook::Open,
        });
        let second = read.review(|_| Outlook::Fulfilled);
        assert_eq!([first, second], [Standing::Never, Standing::Never]);
        let shown = "afterok:2(failed),afterok:3(unfulfilled)";
        assert_eq!(read.to_string(), shown);
    }
}
