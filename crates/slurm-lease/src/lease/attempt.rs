//! One submission and what became of it.

use jiff::Timestamp;

use super::illegal::{IllegalEvent, illegal};
use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{Allocation, Claim, Evidence, Observation, Outstanding, Sighting};
use crate::id::{JobRef, Nonce, Tag};
use crate::job_state::JobState;
use crate::parse::Unavailable;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::record::{Event, Opened};

#[derive(Clone, Debug, Hash)]
pub(super) struct Attempt {
    pub(super) claim: Claim,
    pub(super) stage: Stage,
    pub(super) endpoint: Option<(Timestamp, Endpoint)>,
    pub(super) handed_out: Option<Timestamp>,
    pub(super) marker: Option<StopMarker>,
    pub(super) accounted: Option<(JobState, Option<(i32, i32)>)>,
}

/// How far a submission got.
#[derive(Clone, Debug, Hash)]
pub(super) enum Stage {
    /// sbatch is running, or its answer is lost or says nothing.
    Unanswered { said: Option<Unavailable> },
    /// Its answer is lost, and it was searched for long enough: nothing came of it.
    NotFound { said: Option<Unavailable> },
    /// There never was a job.
    Refused(Refusal),
    /// There is or was a job.
    Job(Box<Evidence>),
}

impl Attempt {
    /// A submission that was begun at this time.
    pub(super) fn new(opened: &Opened, at: Timestamp, nonce: Nonce) -> Self {
        Self {
            claim: claim(opened, at, nonce),
            stage: Stage::Unanswered { said: None },
            endpoint: None,
            handed_out: None,
            marker: None,
            accounted: None,
        }
    }

    pub(super) fn evidence(&self) -> Option<&Evidence> {
        match &self.stage {
            Stage::Job(evidence) => Some(evidence),
            Stage::Unanswered { .. } | Stage::NotFound { .. } | Stage::Refused(_) => None,
        }
    }

    /// Whether a job of this nonce is what is looked for.
    pub(super) fn is_searched_for(&self, nonce: &Nonce) -> bool {
        matches!(self.stage, Stage::Unanswered { .. })
            && (self.claim.any_nonce || self.claim.tag.nonce == *nonce)
    }

    pub(super) fn adopt(
        &mut self,
        at: Timestamp,
        nonce: &Nonce,
        job: &JobRef,
        sighting: &Sighting,
    ) {
        self.claim.tag.nonce = nonce.clone();
        self.claim.any_nonce = false;
        self.stage = self.job(job, self.claim.intended);
        self.observe(at, &Observation::Seen(sighting.clone()));
    }

    fn job(&self, job: &JobRef, accepted: Timestamp) -> Stage {
        let of = Allocation {
            job: job.clone(),
            nonce: self.claim.tag.nonce.clone(),
        };
        Stage::Job(Box::new(Evidence::new(of, accepted)))
    }

    /// What happens to the attempt when this event is learnt. On error nothing has changed.
    pub(super) fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), IllegalEvent> {
        match event {
            Event::SubmissionAnswered { nonce, outcome } => self.answer(at, nonce, outcome),
            Event::NotFound { nonce } => match &mut self.stage {
                Stage::Unanswered { said } if self.claim.tag.nonce == *nonce => {
                    let said = said.take();
                    self.stage = Stage::NotFound { said };
                    Ok(())
                }
                _ => Err(illegal(event.name(), "no such submission is unanswered")),
            },
            Event::Observed { of, observation } => {
                self.check(of, event)?;
                self.observe(at, observation);
                Ok(())
            }
            Event::AccountedEnd {
                of, state, exit, ..
            } => {
                self.check(of, event)?;
                self.accounted = Some((state.clone(), *exit));
                Ok(())
            }
            Event::StopMarked { of, marker } => {
                self.check(of, event)?;
                self.mark_stopped(marker)
            }
            Event::CancelAnswered { of, .. } => {
                self.check(of, event)?;
                Ok(())
            }
            Event::EndpointPublished { of, endpoint } => {
                self.check(of, event)?;
                self.publish(at, endpoint)
            }
            Event::HandedOut { of } => {
                self.check(of, event)?;
                self.handed_out = Some(at);
                Ok(())
            }
            Event::Opened(_)
            | Event::TailLost
            | Event::Located(_)
            | Event::SubmissionIntended { .. }
            | Event::Adopted { .. }
            | Event::ReleaseWished { .. } => Err(illegal(event.name(), "it is about the lease")),
        }
    }

    /// The evidence, where the event is about the present job.
    fn check(&mut self, of: &Allocation, event: &Event) -> Result<&mut Evidence, IllegalEvent> {
        match &mut self.stage {
            Stage::Job(evidence) if evidence.of() == of => Ok(evidence),
            _ => Err(illegal(event.name(), "it is about another job")),
        }
    }

    fn answer(
        &mut self,
        at: Timestamp,
        nonce: &Nonce,
        outcome: &Submitted,
    ) -> Result<(), IllegalEvent> {
        // Where the end of the journal is lost, an answer that comes late can be that of an earlier
        // submission than the last one known.
        let known = &self.claim.tag.nonce;
        let unknown = self.claim.any_nonce && *known == Nonce::from_bits(0);
        if !(unknown || known == nonce) {
            let why = "it is about another submission";
            return Err(illegal("submission_answered", why));
        }
        match (&mut self.stage, outcome) {
            (Stage::Unanswered { said }, Submitted::Unclear(why)) => *said = Some(why.clone()),
            (Stage::Unanswered { .. } | Stage::NotFound { .. }, Submitted::Refused(refusal)) => {
                self.stage = Stage::Refused(refusal.clone());
            }
            (Stage::Unanswered { .. } | Stage::NotFound { .. }, Submitted::Accepted(job)) => {
                self.claim.tag.nonce = nonce.clone();
                self.claim.any_nonce = false;
                self.stage = self.job(job, at);
            }
            // Somebody else has found a job without its comment, and it was not the one.
            (Stage::Job(found), Submitted::Accepted(job))
                if found.job().id != job.id && found.seen().is_some_and(|seen| !seen.tagged) =>
            {
                self.claim.submitted = None;
                self.claim.restarts = 0;
                self.claim.placed = false;
                self.stage = self.job(job, at);
            }
            // Somebody else has found the job before sbatch's answer was written down.
            (Stage::Job(_) | Stage::Refused(_) | Stage::NotFound { .. }, _) => {}
        }
        Ok(())
    }

    fn observe(&mut self, at: Timestamp, observation: &Observation) {
        let Stage::Job(evidence) = &mut self.stage else {
            return;
        };
        let last = evidence.seen().map(|seen| seen.restarts);
        evidence.note(at, observation);
        let Observation::Seen(sighting) = observation else {
            return;
        };
        if sighting.submitted.is_some() {
            self.claim.submitted = sighting.submitted;
        }
        self.claim.restarts = sighting.restarts;
        self.claim.placed |= sighting.placed;
        // Before the first sighting a run can only be taken for the first.
        let same_run = last.unwrap_or(0) == sighting.restarts;
        let of_run = |said: bool, restarts: u32| {
            if said {
                restarts == sighting.restarts
            } else {
                same_run
            }
        };
        self.endpoint
            .take_if(|(_, endpoint)| !of_run(endpoint.job_id.is_some(), endpoint.restart_count));
        self.marker
            .take_if(|marker| !of_run(true, marker.restart_count));
    }

    fn mark_stopped(&mut self, marker: &StopMarker) -> Result<(), IllegalEvent> {
        let Stage::Job(evidence) = &mut self.stage else {
            return Err(illegal("stop_marked", "no job is known"));
        };
        let is_named = marker.nonce.as_ref() == Some(&self.claim.tag.nonce);
        if evidence.job().id != marker.job_id || (marker.nonce.is_some() && !is_named) {
            return Err(illegal("stop_marked", "it is another job's"));
        }
        // One that does not say of which submission it is may have lain there before.
        if is_named {
            evidence.note_stop_marker(marker.restart_count);
        }
        self.marker = Some(marker.clone());
        Ok(())
    }

    fn publish(&mut self, at: Timestamp, endpoint: &Endpoint) -> Result<(), IllegalEvent> {
        let of_job = |id| self.evidence().is_some_and(|known| known.job().id == id);
        if endpoint.job_id.is_some_and(|id| !of_job(id)) {
            return Err(illegal("endpoint_published", "it is another job's"));
        }
        // Which submission made the job is not known where its comment is lost with its record.
        let known = &self.claim.tag.nonce;
        let of_attempt = |nonce: &Nonce| nonce == known || *known == Nonce::from_bits(0);
        if !endpoint.nonce.as_ref().is_none_or(of_attempt) {
            return Err(illegal("endpoint_published", "it is another submission's"));
        }
        self.endpoint = Some((at, endpoint.clone()));
        Ok(())
    }
}

/// What a job of this submission looks like.
pub(super) fn claim(opened: &Opened, intended: Timestamp, nonce: Nonce) -> Claim {
    Claim {
        uid: opened.uid,
        name: opened.name.clone(),
        directory: opened.directory.clone(),
        tag: Tag {
            store: opened.store.clone(),
            lease: opened.lease.clone(),
            nonce,
        },
        intended,
        outstanding: Outstanding::Since(intended),
        submitted: None,
        restarts: 0,
        any_nonce: false,
        placed: false,
    }
}
