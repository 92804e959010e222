//! The values of sbatch's options: what they mean, and how sbatch refuses those that mean nothing.
//! What a real one reads in another way than the fake would ends with "not played".

use super::Answering;
use super::when::{Nearest, parse_when};
use crate::call::Reply;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::options::Parsed;
use crate::render::time::parse_limit;

/// From here on numbers overflow in one generation or another.
const LARGEST: u32 = 65_535;

/// A number of things that fits into the model.
pub(super) fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Status 255, as most errors of an option's value.
fn invalid(text: impl std::fmt::Display) -> Reply {
    Reply::fail(255, format!("sbatch: error: {text}\n"))
}

fn unspecific(name: &str) -> Reply {
    invalid(format!("Invalid --{name} specification"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The options of one call.
pub(super) struct Values<'a> {
    answering: &'a Answering<'a>,
    parsed: &'a Parsed,
}

impl<'a> Values<'a> {
    pub(super) fn new(answering: &'a Answering<'a>, parsed: &'a Parsed) -> Self {
        Self { answering, parsed }
    }

    fn not_played(&self, name: &str) -> Reply {
        let value = self.parsed.value(name).unwrap_or_default();
        self.answering.not_played(&format!("--{name}={value}"))
    }

    /// Options whose effect nobody sees are taken where their value is known to be right.
    pub(super) fn check_ignored(&self) -> Result<(), Reply> {
        for (name, right, wrong) in IGNORED {
            let value = self.parsed.value(name);
            if value.is_some_and(|value| wrong.contains(&value)) {
                return Err(unspecific(name));
            }
            let lower = value.map(str::to_ascii_lowercase);
            let mut parts = lower.iter().flat_map(|value| value.split(','));
            if !parts.all(|part| right.contains(&part)) {
                return Err(self.not_played(name));
            }
        }
        for name in ["export", "output", "error", "input", "job-name"] {
            // They mean something else than no such option.
            if self.parsed.value(name) == Some("") {
                return Err(self.not_played(name));
            }
        }
        if self.parsed.has("verbose") {
            return Err(self.answering.not_played("-v"));
        }
        Ok(())
    }

    /// A count of one or more; zero if it was not named.
    pub(super) fn count(&self, name: &str) -> Result<u32, Reply> {
        let Some(text) = self.parsed.value(name) else {
            return Ok(0);
        };
        let trimmed = text.trim_start();
        if trimmed.len() < text.len() && is_number(trimmed) || text.starts_with('+') {
            return Err(self.not_played(name));
        }
        let digits = text.trim_start_matches('0');
        if !is_number(text) || digits.is_empty() {
            return Err(self
                .answering
                .error(format!("Invalid numeric value \"{text}\" for --{name}.")));
        }
        let number = digits.parse::<u32>().ok();
        number
            .filter(|number| *number <= LARGEST)
            .ok_or_else(|| self.not_played(name))
    }

    /// `-N COUNT` or `-N LEAST-MOST`: the least and the most.
    pub(super) fn nodes(&self) -> Result<(Option<u32>, u32), Reply> {
        let Some(text) = self.parsed.value("nodes") else {
            return Ok((None, 0));
        };
        let (least, most) = match text.split_once('-') {
            Some((least, most)) => (least, Some(most)),
            None => (text, None),
        };
        for part in [Some(least), most].into_iter().flatten() {
            self.check_node_count(part)?;
        }
        let read = |part: &str| {
            let number = part.parse::<u32>().ok();
            let played = number.filter(|number| *number <= LARGEST);
            played.ok_or_else(|| self.not_played("nodes"))
        };
        match (read(least)?, most.map(read).transpose()?) {
            (least, None) => Ok((Some(least), least)),
            (0, Some(_)) | (_, Some(0)) => Err(self.not_played("nodes")),
            (least, Some(most)) if most < least => Err(invalid(format!(
                "Maximum node count {most} is less than minimum node count {least}"
            ))),
            (least, Some(most)) => Ok((Some(least), most)),
        }
    }

    fn check_node_count(&self, part: &str) -> Result<(), Reply> {
        if is_number(part) {
            return Ok(());
        }
        let recent = self.answering.generation() >= Generation::V24_11;
        let digits = part.trim_end_matches(['k', 'K', 'm', 'M']);
        let list = recent && part.split(',').all(is_number);
        let text = self.parsed.value("nodes").unwrap_or_default();
        // Multiples, lists of counts, a sign, blanks before it.
        if is_number(digits) || list || is_number(part.trim_start()) || text.starts_with('-') {
            return Err(self.not_played("nodes"));
        }
        Err(invalid(format!("\"{part}\" is not a valid node count")))
    }

    /// Minutes; `u64::MAX` is no limit.
    pub(super) fn time_limit(&self) -> Result<Option<u64>, Reply> {
        let Some(text) = self.parsed.value("time") else {
            return Ok(None);
        };
        // Beyond a year squeue calls it INVALID.
        let large = text.split([':', '-']).any(|part| {
            is_number(part) && part.parse::<u32>().map_or(true, |number| number > 525_600)
        });
        if large {
            return Err(self.not_played("time"));
        }
        parse_limit(text)
            .map(Some)
            .ok_or_else(|| unspecific("time"))
    }

    /// `--begin` or `--deadline`.
    pub(super) fn when(&self, name: &str) -> Result<Option<Moment>, Reply> {
        let Some(text) = self.parsed.value(name) else {
            return Ok(None);
        };
        let recent = self.answering.generation() >= Generation::V24_11;
        if name == "deadline" && text == "now" && !recent {
            // It is in time, and over when somebody looks.
            return Err(self.not_played(name));
        }
        let (now, call) = (self.answering.now, self.answering.call);
        match parse_when(text, Nearest::After, now, call) {
            Ok(Some(moment)) => Ok(Some(moment)),
            Ok(None) => Err(unspecific(name)),
            Err(None) => Err(self.not_played(name)),
            Err(Some(place)) => {
                let mut reply = unspecific(name);
                let first = format!("Invalid time specification (pos={place}): {text}\n");
                reply.stderr.insert_str(0, &first);
                Err(reply)
            }
        }
    }

    /// Whether output is appended. Without the option JobFileAppend=0 holds.
    pub(super) fn append(&self) -> Result<bool, Reply> {
        match self.parsed.value("open-mode") {
            Some("a" | "append") => Ok(true),
            Some("t" | "truncate") | None => Ok(false),
            Some(other) if other.starts_with(['a', 'A', 't', 'T']) => {
                Err(self.not_played("open-mode"))
            }
            Some(_) => Err(unspecific("open-mode")),
        }
    }

    pub(super) fn exclusive(&self) -> Result<bool, Reply> {
        match self.parsed.value("exclusive") {
            None => Ok(false),
            Some("") => Ok(true),
            Some("x" | "node") => Err(unspecific("exclusive")),
            Some(_) => Err(self.not_played("exclusive")),
        }
    }

    pub(super) fn nice(&self) -> Result<i64, Reply> {
        let Some(text) = self.parsed.value("nice") else {
            return Ok(0);
        };
        if text.is_empty() {
            return Ok(100);
        }
        let number = text.parse::<i64>().ok();
        let number = number.filter(|nice| *nice >= 0 || self.answering.call.uid == 0);
        let number = number.ok_or_else(|| self.not_played("nice"))?;
        if number.abs() > 2_147_483_645 {
            let text = "Invalid --nice value, out of range (+/- 2147483645)";
            return Err(invalid(text));
        }
        Ok(number)
    }

    /// MiB per node and per CPU.
    pub(super) fn memory(&self) -> Result<(Option<u64>, Option<u64>), Reply> {
        let read = |name: &str, text: &str| mebibytes(text).ok_or_else(|| unspecific(name));
        match (self.parsed.value("mem"), self.parsed.value("mem-per-cpu")) {
            (None, None) => Ok((None, None)),
            (Some(_), Some(_)) => Err(self.both_memories()),
            // Zero is all that the node has.
            (Some(text), None) => Ok((Some(read("mem", text)?), None)),
            (None, Some(text)) => match read("mem-per-cpu", text)? {
                0 => Err(self.not_played("mem-per-cpu")),
                each => Ok((None, Some(each))),
            },
        }
    }

    fn both_memories(&self) -> Reply {
        let given = |name: &str| {
            let mut words = self.answering.call.arguments.iter();
            words.any(|word| word.split('=').next() == Some(name))
        };
        if given("--mem") && given("--mem-per-cpu") {
            let text = "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.";
            return Reply::fail(1, format!("sbatch: fatal: {text}\n"));
        }
        self.answering
            .not_played("--mem and --mem-per-cpu from two places")
    }

    /// When somebody is to be written to, in Slurm's order; only words that are known are left here.
    pub(super) fn mail_type(&self) -> Option<String> {
        let given = self.parsed.value("mail-type")?.to_ascii_uppercase();
        let given: Vec<&str> = given.split(',').collect();
        let words = ["BEGIN", "END", "FAIL", "REQUEUE"];
        let wanted = |word: &&str| given.contains(word);
        match given.contains(&"ALL") {
            true => Some("INVALID_DEPEND,BEGIN,END,FAIL,REQUEUE,STAGE_OUT".to_owned()),
            false => Some(
                words
                    .into_iter()
                    .filter(wanted)
                    .collect::<Vec<_>>()
                    .join(","),
            )
            .filter(|words| !words.is_empty()),
        }
    }

    /// Generic resources; GPUs are one of them.
    pub(super) fn gres(&self) -> Result<Option<String>, Reply> {
        let nothing = |text: &str| {
            let count = text.rsplit(':').next().unwrap_or(text);
            text.is_empty() || text == "none" || is_number(count) && count.parse() == Ok(0)
        };
        for name in ["gres", "gpus"] {
            if self.parsed.value(name).is_some_and(nothing) {
                return Err(self.not_played(name));
            }
        }
        let gpus = || Some(format!("gpu:{}", self.parsed.value("gpus")?));
        Ok(self.parsed.value("gres").map(str::to_owned).or_else(gpus))
    }
}

/// Options that change nothing that can be seen from outside the job: the values that are taken,
/// and some that are refused as a real one does. All others are not played.
const IGNORED: &[(&str, &[&str], &[&str])] = &[
    ("distribution", &["block", "cyclic"], &["", "x"]),
    ("hint", &["compute_bound", "nomultithread"], &[]),
    ("kill-on-invalid-dep", &["yes", "no"], &["", "x"]),
    (
        "mail-type",
        &["none", "begin", "end", "fail", "requeue", "all"],
        &["", "x"],
    ),
    (
        "signal",
        &["usr1", "usr1@60", "b:usr1", "b:usr1@60", "10", "b:10@60"],
        &["", "x", "10@x"],
    ),
    ("tmp", &["0"], &["", "x", "-1"]),
];

/// `100`, `1K`, `1G`, `1GB`: MiB, rounded up.
fn mebibytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = Some(digits)
        .filter(|digits| is_number(digits))?
        .parse()
        .ok()?;
    match &lower[digits.len()..] {
        "" | "m" | "mb" => Some(number),
        "k" | "kb" => Some(number.div_ceil(1024)),
        "g" | "gb" => number.checked_mul(1024),
        "t" | "tb" => number.checked_mul(1024 * 1024),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_every_spelling() {
        let read = [
            "100", "1K", "1025k", "1g", "2TB", "1.5G", "5B", "1P", "-1", "",
        ];
        let expected = [
            Some(100),
            Some(1),
            Some(2),
            Some(1024),
            Some(2 * 1024 * 1024),
            None,
            None,
            None,
            None,
            None,
        ];
        assert_eq!(read.map(mebibytes), expected);
    }
}
