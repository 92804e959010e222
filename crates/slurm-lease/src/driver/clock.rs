//! The one clock of the driver.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Lets a moment pass before something is looked at again.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A time by which something must be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Timestamp);

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
        Self(now().saturating_add(limit).unwrap_or(Timestamp::MAX))
    }

    /// What is left, and nothing once it has passed.
    pub(crate) fn left(self) -> Duration {
        let left = self.0.duration_since(now());
        if left.is_positive() {
            left.unsigned_abs()
        } else {
            Duration::ZERO
        }
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_zero()
    }
}
