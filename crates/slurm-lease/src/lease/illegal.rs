//! What a journal can't say.

use thiserror::Error;

/// An event that can't have happened to a lease in this state.
#[derive(Debug, Error)]
#[error("{event} does not apply: {why}")]
pub struct IllegalEvent {
    event: &'static str,
    why: &'static str,
}

pub(super) fn illegal(event: &'static str, why: &'static str) -> IllegalEvent {
    IllegalEvent { event, why }
}
