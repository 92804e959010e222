//! The one door: what each event does to a lease, whether it is learnt now or replayed.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{
    Claim, Evidence, NeverSubmitted, Observation, Over, SearchEvidence, Sighting,
};
use crate::id::{JobRef, Nonce, Tag};
use crate::job_state::JobState;
use crate::parse::Unavailable;
use crate::parse::sacct::AccountingRow;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::record::{Entry, Event, Opened, ReleaseCause};

/// An event that can't have happened to a lease in this state.
#[derive(Debug, Error)]
#[error("{event} does not apply: {why}")]
pub struct IllegalEvent {
    event: &'static str,
    why: &'static str,
}

fn illegal(event: &'static str, why: &'static str) -> IllegalEvent {
    IllegalEvent { event, why }
}

/// Everything about a lease that is replayed from its journal.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) opened: Opened,
    pub(super) opened_at: Timestamp,
    pub(super) wish: Option<(Timestamp, ReleaseCause)>,
    pub(super) attempt: Option<Attempt>,
    pub(super) settle: Duration,
}

/// One submission and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) claim: Claim,
    pub(super) stage: Stage,
    pub(super) endpoint: Option<(Timestamp, Endpoint)>,
    pub(super) handed_out: Option<Timestamp>,
    pub(super) marker: Option<StopMarker>,
    pub(super) accounted: Option<(JobState, Option<(i32, i32)>)>,
}

/// How far a submission got.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// sbatch is running, or its answer is lost or says nothing.
    Unanswered {
        search: SearchEvidence,
        said: Option<Unavailable>,
    },
    /// There never was a job.
    Refused(Refusal),
    /// There is or was a job.
    Job(Box<Evidence>),
}

impl State {
    pub(super) fn new(opened: Opened, opened_at: Timestamp, settle: Duration) -> Self {
        Self {
            opened,
            opened_at,
            wish: None,
            attempt: None,
            settle,
        }
    }

    /// What happens to the lease when this event is learnt. On error nothing has changed.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), IllegalEvent> {
        let at = entry.at;
        match &entry.event {
            Event::Opened(_) => Err(illegal("opened", "the lease is open already")),
            Event::TailLost => {
                self.doubt(at);
                Ok(())
            }
            Event::SubmissionIntended { nonce } => self.intend(at, nonce),
            Event::SubmissionAnswered { nonce, outcome } => self.answer(at, nonce, outcome),
            Event::Adopted {
                nonce,
                job,
                sighting,
            } => self.adopt(at, nonce, job, sighting),
            Event::SearchedClean { nonce } => self.searched(at, nonce),
            Event::Observed(observation) => self.observe(at, observation),
            Event::AccountedEnd { .. } => self.account(&entry.event),
            Event::StopMarked(marker) => self.mark_stopped(marker),
            Event::ReleaseWished { cause } => {
                self.wish.get_or_insert((at, *cause));
                Ok(())
            }
            Event::CancelAnswered(outcome) => {
                self.evidence_mut("cancel_answered")?.note_cancel(outcome);
                Ok(())
            }
            Event::EndpointPublished(endpoint) => self.publish(at, endpoint),
            Event::HandedOut => {
                let attempt = self.attempt.as_mut();
                let attempt = attempt.ok_or(illegal("handed_out", "nothing was submitted"))?;
                attempt.handed_out = Some(at);
                Ok(())
            }
        }
    }

    fn intend(&mut self, at: Timestamp, nonce: &Nonce) -> Result<(), IllegalEvent> {
        if self.wish.is_some() {
            return Err(illegal("submission_intended", "the lease is to end"));
        }
        if self.over().is_none() {
            return Err(illegal(
                "submission_intended",
                "the last job may still exist",
            ));
        }
        self.attempt = Some(self.new_attempt(at, nonce.clone()));
        Ok(())
    }

    /// Assumes a submission that no record is left of, unless one is being looked into already.
    fn doubt(&mut self, at: Timestamp) {
        if self.over().is_some() {
            let mut attempt = self.new_attempt(at, Nonce::from_bits(0));
            attempt.claim.any_nonce = true;
            self.attempt = Some(attempt);
        }
    }

    /// A submission that was begun at this time.
    pub(super) fn new_attempt(&self, at: Timestamp, nonce: Nonce) -> Attempt {
        Attempt {
            claim: self.claim_of(at, nonce),
            stage: Stage::Unanswered {
                search: SearchEvidence::new(),
                said: None,
            },
            endpoint: None,
            handed_out: None,
            marker: None,
            accounted: None,
        }
    }

    pub(super) fn claim_of(&self, intended: Timestamp, nonce: Nonce) -> Claim {
        Claim {
            uid: self.opened.uid,
            name: self.opened.name.clone(),
            tag: Tag {
                store: self.opened.store.clone(),
                lease: self.opened.lease.clone(),
                nonce,
            },
            intended,
            submitted: None,
            any_nonce: false,
        }
    }

    fn answer(
        &mut self,
        at: Timestamp,
        nonce: &Nonce,
        outcome: &Submitted,
    ) -> Result<(), IllegalEvent> {
        let attempt = self.current(nonce, "submission_answered")?;
        let Stage::Unanswered { said, .. } = &mut attempt.stage else {
            // Somebody else found the job in the queue before sbatch's answer was written down.
            return Ok(());
        };
        match outcome {
            Submitted::Accepted(job) => {
                attempt.stage = Stage::Job(Box::new(Evidence::new(job.clone(), at)))
            }
            Submitted::Refused(refusal) => attempt.stage = Stage::Refused(refusal.clone()),
            Submitted::Unclear(why) => *said = Some(why.clone()),
        }
        Ok(())
    }

    fn adopt(
        &mut self,
        at: Timestamp,
        nonce: &Nonce,
        job: &JobRef,
        sighting: &Sighting,
    ) -> Result<(), IllegalEvent> {
        let searching = matches!(
            &self.attempt,
            Some(Attempt { claim, stage: Stage::Unanswered { .. }, .. })
                if claim.any_nonce || claim.tag.nonce == *nonce
        );
        if !searching {
            if self.over().is_none() {
                return Err(illegal(
                    "adopted",
                    "another job of the lease may still exist",
                ));
            }
            self.attempt = Some(self.new_attempt(at, nonce.clone()));
        }
        let settle = self.settle;
        let Some(attempt) = &mut self.attempt else {
            return Err(illegal("adopted", "nothing was submitted"));
        };
        let mut evidence = Evidence::new(job.clone(), attempt.claim.intended);
        evidence.note(at, &Observation::Seen(sighting.clone()), settle);
        attempt.claim.tag.nonce = nonce.clone();
        attempt.claim.any_nonce = false;
        attempt.claim.submitted = sighting.submitted;
        attempt.stage = Stage::Job(Box::new(evidence));
        Ok(())
    }

    fn searched(&mut self, at: Timestamp, nonce: &Nonce) -> Result<(), IllegalEvent> {
        let attempt = self.current(nonce, "searched_clean")?;
        let Stage::Unanswered { search, .. } = &mut attempt.stage else {
            return Err(illegal("searched_clean", "the submission was answered"));
        };
        search.note_clean(at);
        Ok(())
    }

    fn observe(&mut self, at: Timestamp, observation: &Observation) -> Result<(), IllegalEvent> {
        let settle = self.settle;
        self.evidence_mut("observed")?.note(at, observation, settle);
        let (Some(attempt), Observation::Seen(sighting)) = (&mut self.attempt, observation) else {
            return Ok(());
        };
        // A requeue gives the job a new time of submission; its comment then has to identify it.
        if attempt.claim.submitted.is_none() || sighting.tagged {
            attempt.claim.submitted = sighting.submitted;
        }
        let of_run = |restarts: u32| restarts == sighting.restarts;
        if !attempt
            .endpoint
            .as_ref()
            .is_some_and(|(_, endpoint)| of_run(endpoint.restart_count))
        {
            attempt.endpoint = None;
        }
        if !attempt
            .marker
            .as_ref()
            .is_some_and(|marker| of_run(marker.restart_count))
        {
            attempt.marker = None;
        }
        Ok(())
    }

    fn account(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let Event::AccountedEnd {
            state,
            submitted,
            ended,
            exit,
        } = event
        else {
            return Err(illegal("accounted_end", "it is another event"));
        };
        let (uid, name) = (self.opened.uid, self.opened.name.to_string());
        let evidence = self.evidence_mut("accounted_end")?;
        evidence.note_accounting(&AccountingRow {
            id: evidence.job().id,
            state: state.clone(),
            submitted: *submitted,
            started: None,
            ended: *ended,
            exit: *exit,
            uid: Some(uid),
            nodes: String::new(),
            name,
            comment: String::new(),
        });
        if let Some(attempt) = &mut self.attempt {
            attempt.accounted = Some((state.clone(), *exit));
        }
        Ok(())
    }

    fn mark_stopped(&mut self, marker: &StopMarker) -> Result<(), IllegalEvent> {
        let evidence = self.evidence_mut("stop_marked")?;
        if evidence.job().id != marker.job_id {
            return Err(illegal("stop_marked", "it is another job's"));
        }
        evidence.note_stop_marker(marker.restart_count);
        if let Some(attempt) = &mut self.attempt {
            attempt.marker = Some(marker.clone());
        }
        Ok(())
    }

    fn publish(&mut self, at: Timestamp, endpoint: &Endpoint) -> Result<(), IllegalEvent> {
        let evidence = self.evidence_mut("endpoint_published")?;
        if endpoint.job_id.is_some_and(|id| id != evidence.job().id) {
            return Err(illegal("endpoint_published", "it is another job's"));
        }
        let attempt = self.attempt.as_mut();
        let attempt = attempt.ok_or(illegal("endpoint_published", "nothing was submitted"))?;
        if endpoint
            .nonce
            .as_ref()
            .is_some_and(|nonce| *nonce != attempt.claim.tag.nonce)
        {
            return Err(illegal("endpoint_published", "it is another submission's"));
        }
        attempt.endpoint = Some((at, endpoint.clone()));
        Ok(())
    }

    fn current(
        &mut self,
        nonce: &Nonce,
        event: &'static str,
    ) -> Result<&mut Attempt, IllegalEvent> {
        self.attempt
            .as_mut()
            .filter(|attempt| attempt.claim.any_nonce || attempt.claim.tag.nonce == *nonce)
            .ok_or(illegal(event, "it is about another submission"))
    }

    fn evidence_mut(&mut self, event: &'static str) -> Result<&mut Evidence, IllegalEvent> {
        match &mut self.attempt {
            Some(Attempt {
                stage: Stage::Job(evidence),
                ..
            }) => Ok(evidence),
            _ => Err(illegal(event, "no job is known")),
        }
    }

    pub(super) fn evidence(&self) -> Option<&Evidence> {
        match &self.attempt {
            Some(Attempt {
                stage: Stage::Job(evidence),
                ..
            }) => Some(evidence),
            _ => None,
        }
    }

    /// The proof that nothing of the lease is left with the scheduler, where there is one.
    pub(super) fn over(&self) -> Option<Over> {
        let Some(attempt) = &self.attempt else {
            let never = NeverSubmitted::not_begun(&self.opened.lease);
            return Some(Over::NeverSubmitted(never));
        };
        match &attempt.stage {
            Stage::Unanswered { search, .. } => search
                .never_submitted(&attempt.claim, self.settle)
                .map(Over::NeverSubmitted),
            Stage::Refused(_) => Some(Over::NeverSubmitted(NeverSubmitted::refused(
                &attempt.claim,
            ))),
            Stage::Job(evidence) => evidence
                .gone(&attempt.claim, self.settle)
                .map(Over::JobGone),
        }
    }
}
