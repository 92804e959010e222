//! What gathers about one job, or about one submission without a job.
//!
//! Nothing here depends on how far apart two looks must be: that is asked when a proof is wanted.
//! So a journal replays to the same state under every [`Policy`](crate::Policy).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::identify::{Allocation, Claim};
use super::observation::{NotVisible, Observation, Sighting};
use super::proof::{GoneBecause, JobEnding, JobGone};
use crate::id::{JobRef, Nonce};
use crate::job_state::{JobState, Meaning};

/// The longest pause between two looks that still count as one run of absences, in seconds. Over
/// a longer one the controller may have been gone, or a clock set.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(120);
/// After how long an absence that goes on is worth writing down again, in seconds.
const REFRESHED: SignedDuration = SignedDuration::from_secs(45);

/// A run of looks that all came out the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Run {
    since: Timestamp,
    until: Timestamp,
}

impl Run {
    /// The run with one more look. A clock that was set back, or a pause too long, begins it anew.
    fn extended(run: Option<Self>, at: Timestamp) -> Self {
        let fits = |run: &Self| {
            let pause = at.duration_since(run.until);
            !pause.is_negative() && pause <= LONGEST_PAUSE
        };
        let since = run.filter(fits).map_or(at, |run| run.since);
        Self { since, until: at }
    }

    /// Whether its first and last look are at least this far apart.
    fn spans(&self, settle: Duration) -> bool {
        apart(self.since, self.until, settle)
    }

    fn is_stale(run: Option<Self>, at: Timestamp) -> bool {
        run.is_none_or(|run| at.duration_since(run.until).abs() >= REFRESHED || at < run.until)
    }
}

/// Whether `later` is at least `wait` after `earlier`.
fn apart(earlier: Timestamp, later: Timestamp, wait: Duration) -> bool {
    later.duration_since(earlier) >= SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
}

/// Everything that is known about one job of ours.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Evidence {
    of: Allocation,
    accepted: Timestamp,
    seen: Option<Sighting>,
    /// The run of it that was last seen with its nodes.
    ran: Option<u32>,
    last_look: Option<Observation>,
    absent: Option<Run>,
    /// Whether the last absence was the controller's not knowing the number.
    forgotten: bool,
    /// The run of it whose stop marker was found.
    stopped: Option<u32>,
}

impl Evidence {
    /// Nothing but that the controller accepted the job.
    pub(crate) fn new(of: Allocation, accepted: Timestamp) -> Self {
        Self {
            of,
            accepted,
            seen: None,
            ran: None,
            last_look: None,
            absent: None,
            forgotten: false,
            stopped: None,
        }
    }

    /// What it is about.
    pub(crate) fn of(&self) -> &Allocation {
        &self.of
    }

    /// The job.
    pub(crate) fn job(&self) -> &JobRef {
        &self.of.job
    }

    /// The last sighting, if there was one.
    pub(crate) fn seen(&self) -> Option<&Sighting> {
        self.seen.as_ref()
    }

    /// What the last look showed.
    pub(crate) fn last_look(&self) -> Option<&Observation> {
        self.last_look.as_ref()
    }

    /// Takes in one observation. A sighting ends every run of absences: a controller that forgot
    /// a job does not show it again.
    pub(crate) fn note(&mut self, at: Timestamp, observation: &Observation) {
        match observation {
            Observation::Seen(sighting) => self.note_seen(sighting),
            Observation::NotVisible(how) if how.is_definite() => {
                self.absent = Some(Run::extended(self.absent, at));
                self.forgotten = *how == NotVisible::InvalidJobId;
            }
            Observation::NotVisible(_) | Observation::Unknown(_) => {}
        }
        self.last_look = Some(observation.clone());
    }

    fn note_seen(&mut self, sighting: &Sighting) {
        if matches!(sighting.state.meaning(), Meaning::Starting | Meaning::Live) {
            self.ran = Some(sighting.restarts);
        }
        self.seen = Some(sighting.clone());
        self.absent = None;
    }

    fn restarts(&self) -> u32 {
        self.seen.as_ref().map_or(0, |seen| seen.restarts)
    }

    /// Whether a further look at this time, with the same result as the last, says something new.
    pub(crate) fn is_worth_repeating(
        &self,
        at: Timestamp,
        observation: &Observation,
        claim: &Claim,
        settle: Duration,
    ) -> bool {
        let definite = matches!(observation, Observation::NotVisible(how) if how.is_definite());
        let proves = || {
            let mut then = self.clone();
            then.note(at, observation);
            then.gone(claim, settle).is_some() && self.gone(claim, settle).is_none()
        };
        definite && (Run::is_stale(self.absent, at) || proves())
    }

    /// The runner of this run left its stop marker.
    pub(crate) fn note_stop_marker(&mut self, restarts: u32) {
        self.stopped = Some(restarts);
    }

    /// The proof that this job is over, where there is one.
    pub(crate) fn gone(&self, claim: &Claim, settle: Duration) -> Option<JobGone> {
        let how = if self.seen.as_ref().is_some_and(Sighting::is_over) {
            GoneBecause::Finished
        } else {
            self.gone_from_view(settle)?
        };
        Some(JobGone::new(claim, self.of.clone(), how))
    }

    fn gone_from_view(&self, settle: Duration) -> Option<GoneBecause> {
        let absent = self.absent.as_ref()?;
        // Of a job that was never seen, an absence counts once it had the time to become visible.
        // A look can't be older than the job: where it seems so, a clock was set back.
        let accepted = self.accepted.min(absent.since);
        let counts = |wait| self.seen.is_some() || apart(accepted, absent.until, wait);
        // Neither accounting nor scancel is a second witness: of a job whose controller was wiped
        // they say at once that it is cancelled and unknown, while its processes run until the
        // node registers again (seen on 22.05, four seconds). The runner's own word is, of a
        // number that nobody has: one that shows another job may show a later run of ours, whose
        // name and comment were edited.
        let corroborated = self.forgotten && self.stopped == Some(self.restarts());
        match () {
            () if absent.spans(settle) && counts(settle.saturating_mul(2)) => {
                Some(GoneBecause::TwiceUnknown)
            }
            () if corroborated && counts(settle) => Some(GoneBecause::UnknownAndStopped),
            () => None,
        }
    }

    /// The proof that this job is ending and can't come back, where there is one.
    ///
    /// COMPLETING hides what comes after it. A job that was put back into the queue has its new
    /// restart count at once (seen on 22.05: `1|COMPLETING|1` and then `1|PENDING|1`), so only a
    /// run that was seen at work, or the very first, is known to end there.
    pub(crate) fn ending(&self) -> Option<JobEnding> {
        let Some(Observation::Seen(seen)) = &self.last_look else {
            return None;
        };
        let its_last = seen.restarts == 0 || self.ran == Some(seen.restarts);
        let ending = seen.state == JobState::Completing && !seen.requeueable && its_last;
        ending.then(|| JobEnding::new(self.of.job.clone()))
    }
}

/// Evidence about a submission of which no job number is known. It is of one process: what another
/// saw before, and what the controller did in between, is not known here.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct SearchEvidence {
    nonce: Nonce,
    clean: Option<Run>,
}

impl SearchEvidence {
    /// Nothing is known of this submission.
    pub(crate) fn new(nonce: Nonce) -> Self {
        Self { nonce, clean: None }
    }

    /// The submission.
    pub(crate) fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// A search came back clean. The caller vouches that no sbatch of this submission was running
    /// any more when the search was begun.
    pub(crate) fn note_clean(&mut self, at: Timestamp) {
        self.clean = Some(Run::extended(self.clean, at));
    }

    /// A search was not answered. A controller that hangs between two clean searches may hold the
    /// submission all the while.
    pub(crate) fn note_unanswered(&mut self) {
        self.clean = None;
    }

    /// Whether nothing of the submission is or will be there: two clean searches, the settle time
    /// apart. A controller that hung when it was asked to take the job, and answers both, has
    /// dealt with the request by the second.
    pub(crate) fn proves_absence(&self, settle: Duration) -> bool {
        self.clean.is_some_and(|clean| clean.spans(settle))
    }
}
