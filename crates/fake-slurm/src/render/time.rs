//! Times and durations as Slurm prints them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::call::Call;
use crate::moment::Moment;

const STANDARD: &str = "%Y-%m-%dT%H:%M:%S";

fn local_zone() -> TimeZone {
    zone_of_file("/etc/localtime").unwrap_or_else(TimeZone::system)
}

/// How a caller wants its times: SLURM_TIME_FORMAT and TZ.
#[derive(Clone, Debug)]
pub(crate) struct TimeStyle {
    format: String,
    zone: TimeZone,
}

impl TimeStyle {
    /// As `slurm_make_time_str` reads them from the environment.
    pub(crate) fn of(call: &Call) -> Self {
        let format = match call.variable("SLURM_TIME_FORMAT") {
            None | Some("standard") => STANDARD,
            Some(other) => other,
        };
        Self::with_format(call, format)
    }

    /// A format of one's own, in the caller's zone.
    pub(crate) fn with_format(call: &Call, format: &str) -> Self {
        let zone = match call.variable("TZ") {
            _ if format == "%s" => TimeZone::UTC,
            Some(name) => named_zone(name),
            None => local_zone(),
        };
        Self {
            format: format.to_owned(),
            zone,
        }
    }

    /// As a daemon, which has no caller, writes them.
    pub(crate) fn local() -> Self {
        Self {
            format: STANDARD.to_owned(),
            zone: local_zone(),
        }
    }

    /// A time in that style.
    pub(crate) fn show(&self, moment: Moment) -> String {
        if self.format == "%s" {
            return moment.seconds().to_string();
        }
        let Ok(timestamp) = Timestamp::from_second(moment.seconds()) else {
            return "Unknown".to_owned();
        };
        let zoned = timestamp.to_zoned_datetime(self.zone.clone());
        jiff::fmt::strtime::format(&self.format, &zoned).unwrap_or_else(|_| "Unknown".to_owned())
    }

    /// The moment of a time in the caller's zone.
    pub(crate) fn moment(&self, civil: jiff::civil::DateTime) -> Option<Moment> {
        let zoned = civil.to_zoned_datetime(self.zone.clone()).ok()?;
        Some(Moment::from_seconds(zoned.timestamp().as_second()))
    }

    /// A time, or `otherwise`.
    pub(crate) fn show_or(&self, moment: Option<Moment>, otherwise: &str) -> String {
        moment.map_or_else(|| otherwise.to_owned(), |moment| self.show(moment))
    }
}

/// The zone that TZ names. Its file is read where it usually is: to look a name up in a database
/// of zones is to walk through all of them, which takes longer than the rest of a call.
fn named_zone(name: &str) -> TimeZone {
    let file = format!("/usr/share/zoneinfo/{name}");
    zone_of_file(&file)
        .or_else(|| TimeZone::posix(name).ok())
        .or_else(|| TimeZone::get(name).ok())
        .unwrap_or(TimeZone::UTC)
}

fn zone_of_file(path: &str) -> Option<TimeZone> {
    let bytes = std::fs::read(path).ok()?;
    TimeZone::tzif(path, &bytes).ok()
}

/// `1-02:03:04`, `2:03:04`, `3:04`: squeue's durations.
pub(crate) fn short_duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}-{hours:02}:{minutes:02}:{seconds:02}")
    } else if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `1-02:03:04`, `02:03:04`: the durations of sacct and scontrol.
pub(crate) fn long_duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    let days = if days > 0 {
        format!("{days}-")
    } else {
        String::new()
    };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}")
}

/// A time limit in minutes, as squeue prints it.
pub(crate) fn limit(minutes: Option<u64>) -> String {
    minutes.map_or_else(
        || "UNLIMITED".to_owned(),
        |minutes| short_duration(minutes * 60),
    )
}

/// The same with a leading zero, as sacct and scontrol print it.
pub(crate) fn limit_long(minutes: Option<u64>) -> String {
    minutes.map_or_else(|| limit(None), |minutes| long_duration(minutes * 60))
}

/// Reads a time limit as sbatch does: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`; in minutes,
/// rounded up. `0`, `UNLIMITED` and `INFINITE` are no limit (`u64::MAX`).
pub(crate) fn parse_limit(text: &str) -> Option<u64> {
    if ["UNLIMITED", "INFINITE", "-1"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text))
    {
        return Some(u64::MAX);
    }
    let text = text
        .strip_suffix('-')
        .map_or_else(|| text.to_owned(), |days| format!("{days}-0"));
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(days.parse::<u64>().ok()?), clock),
        None => (None, text.as_str()),
    };
    let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
    let seconds = match (days, parts?.as_slice()) {
        (None, [minutes]) => minutes * 60,
        (None, [minutes, seconds]) => minutes * 60 + seconds,
        (None, [hours, minutes, seconds]) => hours * 3600 + minutes * 60 + seconds,
        (Some(days), [hours]) => days * 86_400 + hours * 3600,
        (Some(days), [hours, minutes]) => days * 86_400 + hours * 3600 + minutes * 60,
        (Some(days), [hours, minutes, seconds]) => {
            days * 86_400 + hours * 3600 + minutes * 60 + seconds
        }
        _ => return None,
    };
    Some(if seconds == 0 {
        u64::MAX
    } else {
        seconds.div_ceil(60)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_every_spelling() {
        let read = [
            "90",
            "1:30",
            "1:00:00",
            "1-0",
            "1-1:30",
            "2-00:00:01",
            "x",
            "UNLIMITED",
        ];
        let minutes = read.map(parse_limit);
        let day = 1440;
        assert_eq!(minutes[..4], [Some(90), Some(2), Some(60), Some(day)]);
        assert_eq!(minutes[4..6], [Some(day + 90), Some(2 * day + 1)]);
        assert_eq!(minutes[6..], [None, Some(u64::MAX)]);
    }

    #[test]
    fn durations_as_squeue_and_sacct_print_them() {
        assert_eq!(short_duration(59), "0:59");
        assert_eq!(short_duration(93_784), "1-02:03:04");
        assert_eq!(long_duration(3), "00:00:03");
    }
}
