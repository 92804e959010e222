//! The client's word that a lease is in use.

use std::io::Write;

use jiff::Timestamp;

use crate::driver::Leases;
use crate::driver::clock::now;
use crate::driver::keeper::claim;
use crate::driver::status::StatusError;
use crate::driver::store::StoreError;
use crate::id::LeaseId;

/// How long a lease is to live, as the client says with each touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// After how many seconds without a session or a touch it may end.
    pub idle_seconds: Option<u64>,
    /// When it may end in any case.
    pub expires: Option<Timestamp>,
}

impl Leases {
    /// Writes down that a lease is in use, for its runner to read.
    ///
    /// # Errors
    /// When there is no such lease, or it can't be written.
    pub fn touch(&self, lease: &LeaseId, lifetime: Lifetime) -> Result<(), StatusError> {
        self.pursue_abandoned(Some(lease));
        let dir = self.store.dir(lease);
        if !dir.exists() {
            return Err(StatusError::NoSuchLease(lease.clone()));
        }
        let mut lines = Vec::new();
        let written = write_lines(&mut lines, lifetime)
            .and_then(|()| dir.write("heartbeat", &lines))
            .and_then(|()| claim(&dir));
        written.map_err(|error| StatusError::Store(StoreError::Io(error)))
    }
}

fn write_lines(lines: &mut Vec<u8>, lifetime: Lifetime) -> std::io::Result<()> {
    writeln!(lines, "touched_at={}", now().as_second())?;
    if let Some(seconds) = lifetime.idle_seconds {
        writeln!(lines, "idle_timeout_secs={seconds}")?;
    }
    if let Some(expires) = lifetime.expires {
        writeln!(lines, "expires_at={}", expires.as_second())?;
    }
    Ok(())
}
