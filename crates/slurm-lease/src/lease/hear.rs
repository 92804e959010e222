//! What a lease is told: one method for each thing that can come back.

use std::time::Duration;

use jiff::Timestamp;

use super::illegal::IllegalEvent;
use super::{Lease, Submitter};
use crate::endpoint::{Endpoint, EndpointError, StopMarker};
use crate::evidence::{
    Allocation, Evidence, Found, Look, NotVisible, Observation, Other, Search, SearchEvidence,
};
use crate::id::Nonce;
use crate::job_state::Meaning;
use crate::parse::Unavailable;
use crate::parse::sacct::Accounting;
use crate::parse::sbatch::Submitted;
use crate::parse::scancel::Cancelled;
use crate::record::{Event, Home, Journal, ReleaseCause};

/// What somebody wants of it, and what became of its record.
impl Lease {
    /// Takes the events that another process has put on disk meanwhile: the journal is replayed,
    /// and what this process has learnt since is kept as far as it still applies.
    ///
    /// # Errors
    /// When the events on disk contradict each other; the lease is unchanged then.
    pub fn handle_journal(&mut self, journal: &Journal) -> Result<(), IllegalEvent> {
        let Some(mut fresh) = Self::replay(journal, self.policy)? else {
            return Ok(());
        };
        for entry in self.outbox.drain(..) {
            // Where the tail is still missing, the replay has said so.
            if entry.event != Event::TailLost {
                fresh.learn(entry.at, entry.event);
            }
        }
        self.outbox = fresh.outbox;
        self.state = fresh.state;
        if self.state.wish.is_none() {
            self.state.wish = self.unwritten_wish;
        }
        // Another process may have been first.
        if self.intended != self.state.searched_for() {
            self.intended = None;
        }
        self.identified = None;
        self.pace.hurry();
        Ok(())
    }

    /// Somebody wants a job. If there is none, this nonce will be that of its submission.
    pub fn handle_acquire(&mut self, nonce: Nonce) {
        self.wanted = Some(nonce);
        self.acquiring = true;
    }

    /// The configuration leads there, and that is where the lease was looked for: its job was
    /// found, or it has none.
    pub fn handle_located(&mut self, now: Timestamp, home: Home) {
        self.learn(now, Event::Located(home));
    }

    /// Somebody wants the lease to end, or it can't be kept.
    pub fn handle_release(&mut self, now: Timestamp, cause: ReleaseCause) {
        self.wanted = None;
        self.withdraw(now);
        if self.state.wish.is_none() {
            self.learn(now, Event::ReleaseWished { cause });
        }
        self.pace.hurry();
    }

    /// What has been learnt and is not on disk yet.
    pub fn unrecorded(&self) -> &[crate::record::Entry] {
        &self.outbox
    }

    /// What was to be recorded is on disk.
    pub fn handle_recorded(&mut self) {
        self.outbox.clear();
    }

    /// What was to be recorded could not be. No submission is begun then; a release goes on,
    /// since its wish is worth more carried out than written down.
    pub fn handle_not_recorded(&mut self) {
        self.recordable = false;
        self.wanted = None;
        let wishes =
            |entry: &crate::record::Entry| matches!(entry.event, Event::ReleaseWished { .. });
        if self.outbox.iter().any(wishes) {
            self.unwritten_wish = self.state.wish;
        }
        self.outbox.clear();
        if self.intended.take().is_some() {
            self.state.attempt = None;
        }
    }
}

/// What Slurm answered.
impl Lease {
    /// sbatch answered.
    pub fn handle_submission(&mut self, now: Timestamp, outcome: Submitted) {
        let Some(nonce) = self.submitting.take() else {
            return;
        };
        self.learn(now, Event::SubmissionAnswered { nonce, outcome });
        self.pace.restart(now, self.policy.watch_first);
    }

    /// The queue was searched.
    pub fn handle_search(&mut self, now: Timestamp, found: Search, submitter: Submitter) {
        self.pace.step(now, self.bounds());
        // One for a single submission can miss the job of a later one.
        let for_any = self.claim().any_nonce;
        match found {
            Search::Unknown(why) => {
                self.handle_silence(now, why);
                if let Some(searched) = &mut self.searched {
                    searched.note_unanswered();
                }
            }
            Search::Clean => {
                self.unknown = None;
                self.was_searched = true;
                self.scouted |= for_any;
                if submitter == Submitter::Ended {
                    self.handle_clean(now);
                }
            }
            Search::Found(found) => {
                self.scouted |= for_any;
                self.handle_found(now, *found, submitter);
            }
        }
    }

    fn handle_clean(&mut self, now: Timestamp) {
        let Some(nonce) = self.state.searched_for() else {
            return;
        };
        let evidence = self.searched.take();
        let evidence = evidence.filter(|evidence| *evidence.nonce() == nonce);
        let mut evidence = evidence.unwrap_or_else(|| SearchEvidence::new(nonce.clone()));
        evidence.note_clean(now);
        if evidence.proves_absence(self.policy.settle) {
            self.learn(now, Event::NotFound { nonce });
        } else {
            self.searched = Some(evidence);
        }
    }

    fn handle_found(&mut self, now: Timestamp, found: Found, submitter: Submitter) {
        self.unknown = None;
        // A job of an earlier submission that is over is not what was searched for; one that has
        // ended and may be put back is ours to wait for.
        let searched_for = self.state.searched_for();
        if searched_for.is_none() && found.sighting.is_over() {
            return;
        }
        // As long as sbatch may say which job is ours, none is taken without its comment.
        if !found.sighting.tagged && submitter == Submitter::MayRun {
            return;
        }
        let event = Event::Adopted {
            nonce: found.nonce.or(searched_for).unwrap_or(Nonce::from_bits(0)),
            job: found.job,
            sighting: found.sighting,
        };
        let before = self.allocation();
        if self.learn(now, event) {
            self.identified = Some((now, found.identified));
            self.seen_at = Some(now);
            if self.allocation() != before {
                // What was done was done to another job.
                self.cancelled_at = None;
                self.requeue_forbidden = false;
            }
        }
    }

    /// The job was looked at. A look at another allocation than the present one is no news.
    pub fn handle_look(&mut self, now: Timestamp, look: Look) {
        let (of, observation, identified, other) = look.into_parts();
        if self.allocation().as_ref() != Some(&of) {
            return;
        }
        let nonce = of.nonce.clone();
        let glimpsed = matches!(observation, Observation::Seen(_)) && identified.is_none();
        self.identified = identified.map(|identified| (now, identified));
        self.observe(now, of, observation);
        self.pace.step(now, self.bounds());
        if glimpsed && self.is_to_be_identified() {
            self.pace.hurry();
        }
        if let Some(other) = other.filter(|_| self.over().is_some()) {
            let Other { job, sighting } = *other;
            let event = Event::Adopted {
                nonce,
                job,
                sighting,
            };
            if self.learn(now, event) {
                self.identified = None;
                self.cancelled_at = None;
                self.requeue_forbidden = false;
            }
        }
    }

    /// Slurm was not asked, or did not say anything about the job.
    pub fn handle_silence(&mut self, now: Timestamp, why: Unavailable) {
        let since = self.unknown.take().map_or(now, |(since, _)| since);
        self.unknown = Some((since, why));
    }

    fn observe(&mut self, now: Timestamp, of: Allocation, observation: Observation) {
        match &observation {
            Observation::Unknown(why) => {
                self.handle_silence(now, why.clone());
                return;
            }
            Observation::NotVisible(NotVisible::Unlisted) => {}
            Observation::NotVisible(_) => self.accounting_due = true,
            Observation::Seen(_) => self.seen_at = Some(now),
        }
        self.unknown = None;
        if self.is_news(now, &observation) {
            self.learn(now, Event::Observed { of, observation });
        }
    }

    /// Whether an observation says more than the journal holds.
    fn is_news(&self, now: Timestamp, observation: &Observation) -> bool {
        let Some(evidence) = self.state.evidence() else {
            return false;
        };
        match (observation, evidence.last_look()) {
            (Observation::Seen(new), Some(Observation::Seen(old))) => !new.agrees_with(old),
            (Observation::NotVisible(new), Some(Observation::NotVisible(old))) if new == old => {
                evidence.is_worth_repeating(now, observation, &self.claim(), self.policy.settle)
            }
            _ => true,
        }
    }

    /// Accounting was asked.
    pub fn handle_accounting(&mut self, now: Timestamp, answer: &Accounting) {
        self.accounting_due = false;
        let opened = &self.state.opened;
        let Some(of) = self.allocation() else { return };
        let Some(row) = answer.newest(of.job.id, opened.uid, opened.name.as_str()) else {
            return;
        };
        if row.state.meaning() == Meaning::Finished {
            let event = Event::AccountedEnd {
                of,
                state: row.state.clone(),
                submitted: row.submitted,
                ended: row.ended,
                exit: row.exit,
            };
            self.learn(now, event);
        }
    }

    /// `scontrol update … Requeue=0` was tried. Whether it helped, the next look shows.
    pub fn handle_requeue_forbidden(&mut self) {
        self.requeue_forbidden = true;
        self.pace.hurry();
    }

    /// scancel answered.
    pub fn handle_cancel(&mut self, now: Timestamp, outcome: Cancelled) {
        let Some(of) = self.cancelling.take() else {
            return;
        };
        self.cancelled_at = Some(now);
        self.learn(now, Event::CancelAnswered { of, outcome });
        self.pace.restart(now, self.policy.chase_first);
    }

    fn bounds(&self) -> (Duration, Duration) {
        if self.state.wish.is_some() {
            (self.policy.chase_first, self.policy.chase_most)
        } else {
            (self.policy.watch_first, self.policy.watch_most)
        }
    }
}

/// What the runner wrote.
impl Lease {
    /// The runner's stop marker was found.
    pub fn handle_stop_marker(&mut self, now: Timestamp, marker: StopMarker) {
        let restarts = self.sighting().map_or(0, |seen| seen.restarts);
        let Some(of) = self.allocation() else { return };
        if self.stop_marker() != Some(&marker)
            && marker.restart_count == restarts
            && self.learn(now, Event::StopMarked { of, marker })
        {
            self.pace.hurry();
        }
    }

    /// A published endpoint was found.
    ///
    /// # Errors
    /// When it belongs to another run than the one last seen.
    pub fn handle_endpoint(
        &mut self,
        now: Timestamp,
        endpoint: Endpoint,
    ) -> Result<(), EndpointError> {
        if self.endpoint() == Some(&endpoint) {
            return Ok(());
        }
        let restarts = self.sighting().map_or(0, |seen| seen.restarts);
        // Once: the scheduler may not show that run for a while, or ever.
        let newer = endpoint.restart_count > restarts.max(self.announced);
        self.announced = self.announced.max(endpoint.restart_count);
        let of_run = endpoint.job_id.is_none() || endpoint.restart_count == restarts;
        let of = self.allocation().filter(|_| of_run);
        let learnt =
            of.is_some_and(|of| self.learn(now, Event::EndpointPublished { of, endpoint }));
        if learnt || newer {
            self.pace.hurry();
        }
        if learnt {
            Ok(())
        } else {
            Err(EndpointError::OtherRun)
        }
    }

    /// The endpoint is about to be given to the client.
    pub fn handle_handed_out(&mut self, now: Timestamp) {
        if let (None, Some(of)) = (self.handed_out(), self.allocation()) {
            self.learn(now, Event::HandedOut { of });
        }
    }

    pub(super) fn allocation(&self) -> Option<Allocation> {
        self.state.evidence().map(Evidence::of).cloned()
    }
}
