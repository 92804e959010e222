//! The one door: what each event does to a lease, whether it is learnt now or replayed.

use std::time::Duration;

use super::attempt::{Attempt, Stage};
use super::illegal::{IllegalEvent, illegal};
use crate::evidence::{Evidence, NeverSubmitted, Outstanding, Over};
use crate::id::{JobRef, Nonce};
use crate::record::{Entry, Event, Home, Opened, ReleaseCause};
use jiff::Timestamp;

/// Everything about a lease that is replayed from its journal.
#[derive(Clone, Debug, Hash)]
pub(super) struct State {
    pub(super) opened: Opened,
    pub(super) opened_at: Timestamp,
    /// The cluster that the configuration led to.
    pub(super) home: Option<Home>,
    pub(super) wish: Option<(Timestamp, ReleaseCause)>,
    /// The job that it had then.
    pub(super) wished_of: Option<JobRef>,
    pub(super) attempt: Option<Attempt>,
}

impl State {
    pub(super) fn new(opened: Opened, opened_at: Timestamp) -> Self {
        Self {
            opened,
            opened_at,
            home: None,
            wish: None,
            wished_of: None,
            attempt: None,
        }
    }

    /// Whether this event may be written down now. What is in a journal was admitted when it was
    /// written, by whatever settle time held then, and is replayed without being asked again.
    pub(super) fn admits(&self, event: &Event, settle: Duration) -> bool {
        match event {
            Event::SubmissionIntended { .. } => self.over(settle).is_some(),
            Event::Adopted { nonce, .. } => {
                let searched = |attempt: &Attempt| attempt.is_searched_for(nonce);
                self.attempt.as_ref().is_some_and(searched) || self.over(settle).is_some()
            }
            // A submission can only have been begun where nothing was left of the last. Of one
            // that is unanswered what was lost may have told just that.
            Event::TailLost => self.searched_for().is_some() || self.over(settle).is_some(),
            // A name says more than a way.
            Event::Located(Home::Cluster(_)) => !matches!(self.home, Some(Home::Cluster(_))),
            Event::Located(Home::Way(_)) => self.home.is_none(),
            _ => true,
        }
    }

    /// What happens to the lease when this event is learnt. On error nothing has changed.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), IllegalEvent> {
        let at = entry.at;
        match &entry.event {
            Event::Opened(_) => Err(illegal("opened", "the lease is open already")),
            Event::TailLost => {
                if self.searched_for().is_none() {
                    let mut attempt = Attempt::new(&self.opened, at, Nonce::from_bits(0));
                    attempt.claim.outstanding = Outstanding::Unknown;
                    self.attempt = Some(attempt);
                }
                self.attempt_mut("tail_lost")?.claim.any_nonce = true;
                Ok(())
            }
            Event::Located(home) => {
                self.home = Some(home.clone());
                Ok(())
            }
            Event::SubmissionIntended { .. } if self.wish.is_some() => {
                Err(illegal("submission_intended", "the lease is to end"))
            }
            Event::SubmissionIntended { nonce } => {
                self.attempt = Some(Attempt::new(&self.opened, at, nonce.clone()));
                Ok(())
            }
            Event::Adopted {
                nonce,
                job,
                sighting,
            } => {
                let searched = |attempt: &Attempt| attempt.is_searched_for(nonce);
                if !self.attempt.as_ref().is_some_and(searched) {
                    self.attempt = Some(Attempt::new(&self.opened, at, nonce.clone()));
                }
                let attempt = self.attempt_mut("adopted")?;
                attempt.adopt(at, nonce, job, sighting);
                Ok(())
            }
            Event::ReleaseWished { cause } => {
                if self.wish.is_none() {
                    self.wished_of = self.evidence().map(Evidence::job).cloned();
                    self.wish = Some((at, *cause));
                }
                Ok(())
            }
            about_attempt => {
                let name = about_attempt.name();
                self.attempt_mut(name)?.apply(at, about_attempt)
            }
        }
    }

    fn attempt_mut(&mut self, event: &'static str) -> Result<&mut Attempt, IllegalEvent> {
        let attempt = self.attempt.as_mut();
        attempt.ok_or(illegal(event, "nothing was submitted"))
    }

    pub(super) fn evidence(&self) -> Option<&Evidence> {
        self.attempt.as_ref()?.evidence()
    }

    /// The submission that is unanswered.
    pub(super) fn searched_for(&self) -> Option<Nonce> {
        let attempt = self.attempt.as_ref()?;
        let unanswered = matches!(attempt.stage, Stage::Unanswered { .. });
        unanswered.then(|| attempt.claim.tag.nonce.clone())
    }

    /// The proof that nothing of the lease is left with the scheduler, where there is one.
    pub(super) fn over(&self, settle: Duration) -> Option<Over> {
        let Some(attempt) = &self.attempt else {
            let never = NeverSubmitted::not_begun(&self.opened.lease);
            return Some(Over::NeverSubmitted(never));
        };
        let claim = &attempt.claim;
        match &attempt.stage {
            Stage::Unanswered { .. } => None,
            Stage::NotFound { .. } => Some(Over::NeverSubmitted(NeverSubmitted::not_found(claim))),
            Stage::Refused(_) => Some(Over::NeverSubmitted(NeverSubmitted::refused(claim))),
            Stage::Job(evidence) => evidence.gone(claim, settle).map(Over::JobGone),
        }
    }
}
