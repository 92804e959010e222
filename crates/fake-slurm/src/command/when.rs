//! Times as they are named on a command line.

use std::time::Duration;

use jiff::civil::{Date, DateTime};

use crate::call::Call;
use crate::moment::Moment;
use crate::render::time::TimeStyle;

/// A time that was not understood: where Slurm says that it stopped reading, or nothing where
/// Slurm does understand it and the fake does not.
pub(super) type Wrong = Option<i64>;

/// Words that stand for times.
const WORDS: &[&str] = &[
    "today",
    "midnight",
    "tomorrow",
    "noon",
    "fika",
    "teatime",
    "elevenses",
    "uts",
];

/// Which of two days a time of the day is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearest {
    /// The last one, as for sacct.
    Before,
    /// The next one, as for a job that is to start.
    After,
}

/// Farther away the generations overflow in one way or another: fifty years, in seconds.
const FARTHEST: u64 = 50 * 365 * 86_400;

/// Reads `now-1hour`, `midnight`, `tomorrow`, `2026-01-31T12:00:00` and the like, in the caller's
/// zone. An empty text is no time.
pub(super) fn parse_when(
    text: &str,
    nearest: Nearest,
    now: Moment,
    call: &Call,
) -> Result<Option<Moment>, Wrong> {
    let style = TimeStyle::with_format(call, "%Y-%m-%d");
    let midnight = |date: Date| style.moment(date.at(0, 0, 0, 0)).ok_or(None).map(Some);
    let today = || style.show(now).parse::<Date>().map_err(|_| None);
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "today" => midnight(today()?),
        "midnight" if nearest == Nearest::Before => midnight(today()?),
        "midnight" | "tomorrow" => midnight(today()?.tomorrow().map_err(|_| None)?),
        // Times of the day, which are of yesterday where today's is still to come.
        "noon" | "fika" | "teatime" | "elevenses" => Err(None),
        word if word.starts_with("now") => relative(word, now).map(Some),
        word if word.starts_with(|character: char| character.is_ascii_digit()) => {
            let moment = absolute(text).and_then(|date| style.moment(date));
            moment.map(Some).ok_or(None)
        }
        // Slurm stops behind the word that it knows.
        word if WORDS.iter().any(|known| word.starts_with(known)) => Err(None),
        word if word.contains(' ') || !word.starts_with(char::is_alphabetic) => Err(None),
        _ => Err(Some(0)),
    }
}

const UNITS: &[&str] = &["second", "minute", "hour", "day", "week"];

fn relative(word: &str, now: Moment) -> Result<Moment, Wrong> {
    let rest = &word["now".len()..];
    if rest.is_empty() {
        return Ok(now);
    }
    let sign = rest.chars().next().filter(|sign| "+-".contains(*sign));
    let Some(sign) = sign else { return Err(None) };
    let rest = &rest[1..];
    let unit = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = &rest[..rest.len() - unit.len()];
    if unit.starts_with(' ') {
        return Err(None);
    }
    if digits.is_empty() {
        return Err(Some(3));
    }
    let seconds = match unit {
        "" | "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        "week" | "weeks" => 604_800,
        // Slurm stops behind the unit that it knows.
        _ if UNITS.iter().any(|known| unit.starts_with(known)) => return Err(None),
        _ => return Err(i64::try_from(3 + digits.len()).ok()),
    };
    let count: u64 = digits.parse().map_err(|_| None)?;
    let span = count.checked_mul(seconds).filter(|span| *span < FARTHEST);
    let span = Duration::from_secs(span.ok_or(None)?);
    let millis = i64::try_from(span.as_millis()).map_err(|_| None)?;
    Ok(if sign == '-' {
        Moment::from_millis(now.millis().saturating_sub(millis))
    } else {
        now + span
    })
}

/// `2026-01-31`, with or without a time of the day. Other forms are Slurm's too.
fn absolute(text: &str) -> Option<DateTime> {
    let (date, clock) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let well_formed = date.len() == 10 && [5, 8].contains(&clock.len());
    let clock = if clock.len() == 5 {
        format!("{clock}:00")
    } else {
        clock.to_owned()
    };
    let read = || format!("{date}T{clock}").parse().ok();
    well_formed.then(read).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Program;

    fn call() -> Call {
        Call {
            program: Program::Sacct,
            arguments: Vec::new(),
            environment: vec![("TZ".to_owned(), "UTC".to_owned())],
            uid: 0,
            gid: 0,
            directory: "/".to_owned(),
            host_name: "host".to_owned(),
        }
    }

    #[test]
    fn times_that_are_played() {
        // 2026-01-31T12:00:00Z
        let now = Moment::from_seconds(1_769_860_800);
        let read = |text| {
            let when = parse_when(text, Nearest::Before, now, &call());
            when.map(|when| when.map(Moment::seconds))
        };
        assert_eq!(read("now"), Ok(Some(1_769_860_800)));
        assert_eq!(read("now-1hour"), Ok(Some(1_769_857_200)));
        assert_eq!(read("NOW+2days"), Ok(Some(1_770_033_600)));
        assert_eq!(read("midnight"), Ok(Some(1_769_817_600)));
        assert_eq!(read("tomorrow"), Ok(Some(1_769_904_000)));
        assert_eq!(read("2026-01-31T12:00"), Ok(Some(1_769_860_800)));
        assert_eq!(read("now+90"), Ok(Some(1_769_860_890)));
        assert_eq!(read("now+2weeks"), Ok(Some(1_771_070_400)));
        let next = parse_when("midnight", Nearest::After, now, &call());
        assert_eq!(next, Ok(Some(Moment::from_seconds(1_769_904_000))));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn times_that_slurm_refuses_and_others_that_are_not_played() {
        let now = Moment::from_seconds(1_769_860_800);
        let read = |text| parse_when(text, Nearest::Before, now, &call());
        for (text, at) in [
            ("garbage", 0),
            ("yesterday", 0),
            ("now-", 3),
            ("now-x", 3),
            ("now-1min", 4),
            ("now-1month", 4),
            ("now+10min", 5),
            ("now+1s", 4),
            ("now+x", 3),
            ("x", 0),
        ] {
            assert_eq!(read(text), Err(Some(at)), "{text}");
        }
        for text in [
            "todayx",
            "-1",
            "noon",
            "12:00",
            "0131",
            "01/31/26",
            "now - 1 hour",
            "now+1hourx",
            "now+ 1hour",
            "now+2000000000",
            "0",
        ] {
            assert_eq!(read(text), Err(None), "{text}");
        }
    }
}
