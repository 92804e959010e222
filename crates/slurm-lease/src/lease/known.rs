//! What is known of a lease.

use jiff::Timestamp;

use super::Lease;
use super::attempt::{Stage, claim};
use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{Claim, Evidence, JobEnding, Observation, Outstanding, Over, Sighting};
use crate::id::{JobRef, Nonce};
use crate::job_state::JobState;
use crate::parse::Unavailable;
use crate::record::{Home, Opened, ReleaseCause};

/// What is known.
impl Lease {
    /// Who asked for it and what as.
    pub fn opened(&self) -> &Opened {
        &self.state.opened
    }

    /// When it was asked for.
    pub fn opened_at(&self) -> Timestamp {
        self.state.opened_at
    }

    /// Where the configuration led when the lease was looked for, where no cluster was asked for.
    pub fn home(&self) -> Option<&Home> {
        self.state.home.as_ref()
    }

    /// The wish to end it, since when and why.
    pub fn wish(&self) -> Option<(Timestamp, ReleaseCause)> {
        self.state.wish
    }

    /// What a job of its present submission looks like; of any submission where there is none.
    pub fn claim(&self) -> Claim {
        match &self.state.attempt {
            Some(attempt) if self.over().is_none() => attempt.claim.clone(),
            _ => {
                let state = &self.state;
                Claim {
                    any_nonce: true,
                    outstanding: Outstanding::Nothing,
                    ..claim(&state.opened, state.opened_at, Nonce::from_bits(0))
                }
            }
        }
    }

    /// Whether its job may be put back into the queue, and that was not forbidden here. Once it has
    /// ended by itself it is too late for that, and Slurm must forget it before it is over.
    pub fn may_be_put_back(&self) -> bool {
        let permitted = self.sighting().is_some_and(|seen| seen.requeueable);
        permitted && !self.requeue_forbidden
    }

    /// Whether something is to be done to its job, for which it must be looked at by itself.
    pub fn is_to_be_identified(&self) -> bool {
        self.state.wish.is_some() || self.acquiring && self.may_be_put_back()
    }

    /// Whether nothing was submitted for it, or nothing of what was is left.
    pub fn is_vacant(&self) -> bool {
        self.over().is_some()
    }

    /// Whether the last look at its job did not find it, which does not prove it gone.
    pub fn is_missing(&self) -> bool {
        let last = self.state.evidence().and_then(Evidence::last_look);
        matches!(last, Some(Observation::NotVisible(_)))
    }

    /// Whether it may have a job that this process has not got to ask for.
    pub fn is_unseen(&self) -> bool {
        self.over().is_none()
            && self.seen_at.is_none()
            && !self.was_searched
            && self.unknown.is_none()
            && !self.is_missing()
    }

    /// Whether which submission was the last is lost, and with it perhaps on which cluster it was.
    pub fn has_lost_its_record(&self) -> bool {
        let attempt = self.state.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.claim.any_nonce)
    }

    /// Its job, once that is known.
    pub fn job(&self) -> Option<&JobRef> {
        self.state.evidence().map(Evidence::job)
    }

    /// The job that whoever has the lease knows it by. A release may find others, and end them too;
    /// it is still the release of this one.
    pub fn known_by(&self) -> Option<&JobRef> {
        self.state.wished_of.as_ref().or_else(|| self.job())
    }

    /// The job as it was last seen.
    pub fn sighting(&self) -> Option<&Sighting> {
        self.state.evidence()?.seen()
    }

    /// When this process last saw the job.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// What the scheduler last failed to say, and since when it has.
    pub fn unknown(&self) -> Option<&(Timestamp, Unavailable)> {
        self.unknown.as_ref()
    }

    /// Why the last submission was refused.
    pub fn refusal(&self) -> Option<&str> {
        match &self.state.attempt.as_ref()?.stage {
            Stage::Refused(refusal) => Some(&refusal.said),
            Stage::Unanswered { .. } | Stage::NotFound { .. } | Stage::Job(_) => None,
        }
    }

    /// What sbatch said of a submission that no job came of, where that was no answer.
    pub fn unclear(&self) -> Option<&Unavailable> {
        match &self.state.attempt.as_ref()?.stage {
            Stage::NotFound { said } => said.as_ref(),
            Stage::Refused(_) | Stage::Unanswered { .. } | Stage::Job(_) => None,
        }
    }

    /// Since when a submission is unanswered, and what sbatch said instead of an answer.
    pub fn unanswered(&self) -> Option<(Timestamp, Option<&Unavailable>)> {
        let attempt = self.state.attempt.as_ref()?;
        match &attempt.stage {
            Stage::Unanswered { said } => Some((attempt.claim.intended, said.as_ref())),
            Stage::Refused(_) | Stage::NotFound { .. } | Stage::Job(_) => None,
        }
    }

    /// The endpoint of the present run.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        let attempt = self.state.attempt.as_ref()?;
        attempt.endpoint.as_ref().map(|(_, endpoint)| endpoint)
    }

    /// When the endpoint of the present run was first seen.
    pub fn published_at(&self) -> Option<Timestamp> {
        let attempt = self.state.attempt.as_ref()?;
        attempt.endpoint.as_ref().map(|(at, _)| *at)
    }

    /// The endpoint, where the job was seen running since it was published.
    pub fn ready(&self) -> Option<&Endpoint> {
        let (published, endpoint) = self.state.attempt.as_ref()?.endpoint.as_ref()?;
        let running = matches!(
            self.state.evidence()?.last_look()?,
            Observation::Seen(seen) if seen.state == JobState::Running
        );
        let since = self.seen_at? >= *published;
        (running && since && self.unknown.is_none() && self.state.wish.is_none())
            .then_some(endpoint)
    }

    /// When the endpoint was first given to a client.
    pub fn handed_out(&self) -> Option<Timestamp> {
        self.state.attempt.as_ref()?.handed_out
    }

    /// How the runner said that it stopped.
    pub fn stop_marker(&self) -> Option<&StopMarker> {
        self.state.attempt.as_ref()?.marker.as_ref()
    }

    /// How accounting says that the job ended: its state, exit status and signal.
    pub fn accounted(&self) -> Option<&(JobState, Option<(i32, i32)>)> {
        self.state.attempt.as_ref()?.accounted.as_ref()
    }

    /// The proof that the job is ending and can't come back, where there is one.
    pub fn ending(&self) -> Option<JobEnding> {
        self.state.evidence()?.ending()
    }

    /// The proof that nothing of the lease is left with the scheduler, where there is one.
    pub fn over(&self) -> Option<Over> {
        self.state.over(self.policy.settle)
    }
}
