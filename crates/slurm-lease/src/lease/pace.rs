//! When to look again: soon at first, then ever more seldom.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The time of the next look.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Pace {
    next: Option<Timestamp>,
    interval: Duration,
}

impl Pace {
    /// The time before which nothing is due, if that is still to come. A clock that was set back
    /// by more than any interval does not stop the looks.
    pub(super) fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.next?;
        let ahead = next.duration_since(now);
        (ahead.is_positive() && ahead.unsigned_abs() <= self.interval).then_some(next)
    }

    /// A look is due at once.
    pub(super) fn hurry(&mut self) {
        self.next = None;
        self.interval = Duration::ZERO;
    }

    /// The next look is due after `interval`, and later ones grow from there.
    pub(super) fn restart(&mut self, now: Timestamp, interval: Duration) {
        self.interval = interval;
        self.next = SignedDuration::try_from(interval)
            .ok()
            .map(|interval| now + interval);
    }

    /// A look was taken: the next is due half as much later again, within these bounds.
    pub(super) fn step(&mut self, now: Timestamp, (first, most): (Duration, Duration)) {
        let grown = (self.interval * 3 / 2).clamp(first, most);
        self.restart(now, grown);
    }
}
