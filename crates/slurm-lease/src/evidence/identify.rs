//! Whose a row of the queue is.

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::SUBMIT_LIMIT;
use crate::id::{JobName, JobRef, Nonce, Tag, Uid};
use crate::lease::INTENTION_LIMIT;
use crate::parse::squeue::QueueRow;

/// How far a controller's clock may be off from ours when a submission is dated, in seconds.
/// munge refuses credentials that are older than five minutes, so clocks agree at least so far.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(300);

/// A job as the submission that made it. A number alone can come back as another job's, to the
/// same lease even; what was learnt of one allocation is never applied to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allocation {
    /// Its number.
    pub job: JobRef,
    /// The submission that made it; zeros where its comment does not say.
    pub nonce: Nonce,
}

/// What a job of ours looks like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Whose it is.
    pub uid: Uid,
    /// What it is called.
    pub name: JobName,
    /// Lease and nonce that its comment carries.
    pub tag: Tag,
    /// When its submission was begun.
    pub intended: Timestamp,
    /// Where it starts, if that tells it from others: it was submitted by us, and no other job of
    /// its name starts there.
    pub directory: Option<Utf8PathBuf>,
    /// Whether a submission is unanswered.
    pub outstanding: Outstanding,
    /// When the controller says that it was submitted, known from the last sighting.
    pub submitted: Option<Timestamp>,
    /// How often it was put back into the queue, as last seen.
    pub restarts: u32,
    /// Whether any submission of the lease will do, because which one it was is lost.
    pub any_nonce: bool,
    /// Whether it was seen to start there.
    pub placed: bool,
}

/// Whether a submission is unanswered, so that a job which has lost its comment can be its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outstanding {
    /// None is.
    Nothing,
    /// One is that was begun then: a job can be its that the controller dates no earlier.
    Since(Timestamp),
    /// What is lost of the record may have told of one.
    Unknown,
}

/// Whose a row of the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Ours: user and nonce are right.
    Ours,
    /// Ours, but our comment was taken away: user, name, directory and time of submission are
    /// right.
    OursWithoutTag,
    /// Ours or not: nothing in the row tells.
    Doubtful,
    /// Not that of this submission.
    NotOurs,
}

/// Where a row's job starts, as far as that tells whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where ours do.
    Ours,
    /// Somewhere else.
    Elsewhere,
    /// It does not tell.
    Untold,
}

impl Claim {
    /// Whose a row under the very number of our job is.
    ///
    /// Our tag decides where it is there: a job can be renamed. Else the controller's date of the
    /// submission does, whatever name and comment say, for anybody may edit them with `scontrol
    /// update`, and a number is given out but once at a time. A requeue changes that date and says
    /// so in the restart count; then it is ours if it starts where our job was seen to, and where
    /// nothing says so it may still be our job, so it is no absence.
    pub(super) fn whose_number(&self, row: &QueueRow) -> Whose {
        if row.uid != self.uid {
            return Whose::NotOurs;
        }
        let tag = Tag::in_comment(&row.comment);
        if tag.as_ref().is_some_and(|tag| self.covers(tag)) {
            return Whose::Ours;
        }
        let alike = match self.place(row) {
            Place::Ours => true,
            Place::Elsewhere => false,
            Place::Untold => row.name == self.name.as_str(),
        };
        if row.submitted.is_some() && row.submitted == self.submitted {
            // A job that is another's by its tag or its directory and is not like ours otherwise is
            // not cancelled on the strength of a date.
            let anothers = tag.is_some() || self.placed;
            return if anothers && !alike {
                Whose::Doubtful
            } else {
                Whose::OursWithoutTag
            };
        }
        if self.placed && self.place(row) == Place::Elsewhere {
            return Whose::NotOurs;
        }
        // A later submission of the lease is found by its tag.
        if tag.as_ref().is_some_and(|tag| tag.lease == self.tag.lease) {
            return Whose::NotOurs;
        }
        let requeued = row.restarts >= self.restarts.max(1);
        if tag.is_some() || !alike {
            return self.whose_edited(row, requeued);
        }
        let ours = match (row.submitted, self.submitted) {
            // Only a requeue changes the date, and it is counted.
            (Some(_), Some(_)) if !requeued => return Whose::NotOurs,
            (Some(at), None) if !requeued && at > self.latest() => return Whose::NotOurs,
            (Some(at), Some(known)) => at > known,
            (Some(at), None) => at >= self.earliest(),
            (None, _) => false,
        };
        if ours {
            Whose::OursWithoutTag
        } else {
            Whose::Doubtful
        }
    }

    /// Whose a row from elsewhere, or with the tag of another lease, and of another date than the
    /// known one is: ours after all where somebody edited it, if something explains the date.
    /// Before the first look no date is known, but when sbatch was answered is: a plugin of the
    /// site can have changed everything at the submission.
    fn whose_edited(&self, row: &QueueRow, requeued: bool) -> Whose {
        let known = self.submitted.unwrap_or_else(|| self.earliest());
        let later = row.submitted.is_none_or(|at| at >= known);
        let in_time = row.submitted.is_none_or(|at| at <= self.latest());
        let explained = requeued || self.submitted.is_none() && in_time;
        if explained && later {
            Whose::Doubtful
        } else {
            Whose::NotOurs
        }
    }

    /// Whose any row of the user's is, where the number of our job is not known. Without a tag
    /// name and directory stand for the lease and the time of submission for this attempt. One of
    /// them is enough to doubt only as long as an answer is outstanding: anybody may give our name
    /// to a job of his own, and what a script of ours submits starts in its directory.
    pub(super) fn whose(&self, row: &QueueRow) -> Whose {
        if row.uid != self.uid {
            return Whose::NotOurs;
        }
        if let Some(tag) = Tag::in_comment(&row.comment) {
            return if self.covers(&tag) {
                Whose::Ours
            } else {
                Whose::NotOurs
            };
        }
        let dated = match (self.outstanding, row.submitted) {
            (Outstanding::Since(since), Some(at)) if at < before(since) => return Whose::NotOurs,
            (Outstanding::Since(_), None) => false,
            _ => true,
        };
        match (self.place(row), self.is_named(row), self.outstanding) {
            (Place::Ours, true, _) if dated => Whose::OursWithoutTag,
            (Place::Ours, true, _) => Whose::Doubtful,
            (_, _, Outstanding::Nothing) => Whose::NotOurs,
            (Place::Ours, false, _) | (Place::Untold, true, _) => Whose::Doubtful,
            (Place::Elsewhere, true, Outstanding::Since(_)) => Whose::Doubtful,
            (Place::Elsewhere, true, Outstanding::Unknown)
            | (Place::Elsewhere | Place::Untold, false, _) => Whose::NotOurs,
        }
    }

    /// Whether it is called like ours; where that is lost, whether it can be.
    fn is_named(&self, row: &QueueRow) -> bool {
        let lost = self.name == JobName::from(&self.tag.lease);
        row.name == self.name.as_str() || lost && self.tag.lease.is_in_name(&row.name)
    }

    pub(super) fn is_in_place(&self, row: &QueueRow) -> bool {
        self.place(row) == Place::Ours
    }

    fn place(&self, row: &QueueRow) -> Place {
        match (&self.directory, &row.directory) {
            (Some(ours), Some(its)) if ours.as_str() == its => Place::Ours,
            (Some(_), Some(_)) => Place::Elsewhere,
            (None, _) | (_, None) => Place::Untold,
        }
    }

    /// Whether this is the tag of the submission, or of any where any will do. Another state
    /// directory of the same user may have a lease of the same id.
    fn covers(&self, tag: &Tag) -> bool {
        tag.store == self.tag.store
            && tag.lease == self.tag.lease
            && (self.any_nonce || tag.nonce == self.tag.nonce)
    }

    /// The earliest time that the controller can have given our submission.
    fn earliest(&self) -> Timestamp {
        before(self.intended)
    }

    /// The latest time that the controller can have given our submission, which was answered.
    fn latest(&self) -> Timestamp {
        let answered = SignedDuration::try_from(SUBMIT_LIMIT).unwrap_or(SignedDuration::MAX);
        let latest = answered.saturating_add(INTENTION_LIMIT + CLOCK_SKEW);
        self.intended.checked_add(latest).unwrap_or(Timestamp::MAX)
    }
}

/// What the controller's clock may show at a time of ours, at the least.
fn before(at: Timestamp) -> Timestamp {
    at.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN)
}

/// A job that was seen to be ours in this very pass: user and nonce stood in a row that was just
/// parsed. Not Clone, not stored: what it permits must follow at once.
///
/// There is no other way to cancel a job:
///
/// ```
/// use slurm_lease::{Command, cancel, evidence::Identified};
///
/// fn cancel_what_was_seen(job: Identified) -> Command {
///     cancel(job)
/// }
/// ```
///
/// ```compile_fail,E0308
/// use slurm_lease::{Command, JobRef, cancel};
///
/// fn cancel_by_number(job: JobRef) -> Command {
///     cancel(job)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use slurm_lease::{JobRef, evidence::Identified};
///
/// fn identify_at_will(job: JobRef) -> Identified {
///     Identified { job }
/// }
/// ```
///
/// ```
/// fn can_be_kept_for_later<T: Clone>() {}
/// can_be_kept_for_later::<slurm_lease::JobRef>();
/// ```
///
/// ```compile_fail,E0277
/// fn can_be_kept_for_later<T: Clone>() {}
/// can_be_kept_for_later::<slurm_lease::evidence::Identified>();
/// ```
///
/// It is used up:
///
/// ```compile_fail,E0382
/// use slurm_lease::{Command, cancel, evidence::Identified, forbid_requeue};
///
/// fn two_commands(job: Identified) -> [Command; 2] {
///     [forbid_requeue(job), cancel(job)]
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
#[must_use = "an identification permits one command, now"]
pub struct Identified {
    job: JobRef,
}

impl Identified {
    pub(super) fn new(job: JobRef) -> Self {
        Self { job }
    }

    pub(crate) fn into_job(self) -> JobRef {
        self.job
    }

    /// The job that was identified.
    pub fn job(&self) -> &JobRef {
        &self.job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_state::JobState;

    /// When our job was submitted, as the controller says.
    const SUBMITTED: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Option<Timestamp> {
        Timestamp::from_second(SUBMITTED + seconds).ok()
    }

    fn tag(lease: &str, nonce: u64) -> Tag {
        Tag {
            store: "0a1b2c3d".parse().unwrap(),
            lease: lease.parse().unwrap(),
            nonce: Nonce::from_bits(nonce),
        }
    }

    /// Our job, seen once.
    fn claim() -> Claim {
        Claim {
            uid: Uid(4001),
            name: NAME.parse().unwrap(),
            tag: tag("cbx_0123456789ab", 1),
            intended: at(-1).unwrap(),
            directory: Some(HERE.into()),
            outstanding: Outstanding::Since(at(-1).unwrap()),
            submitted: at(0),
            restarts: 0,
            any_nonce: false,
            placed: true,
        }
    }

    /// A row under our number.
    fn row(name: &str, comment: &str, directory: &str, submitted: i64, restarts: u32) -> QueueRow {
        QueueRow {
            id: "9".parse().unwrap(),
            state: JobState::Pending,
            uid: Uid(4001),
            submitted: at(submitted),
            started: None,
            ends: None,
            restarts,
            requeueable: true,
            reason: String::new(),
            batch_host: None,
            nodes: None,
            exit: None,
            partition: "batch".to_owned(),
            time_left: None,
            directory: Some(directory.to_owned()),
            name: name.to_owned(),
            comment: comment.to_owned(),
        }
    }

    const NAME: &str = "crabbox-s-01234567";
    const HERE: &str = "/home/alice/state/jobs/cbx_0123456789ab";
    const AWAY: &str = "/home/alice";
    const OURS: &str = "slurm-lease/1 0a1b2c3d cbx_0123456789ab 0000000000000001";
    const LATER: &str = "slurm-lease/1 0a1b2c3d cbx_0123456789ab 0000000000000002";
    const OTHER: &str = "slurm-lease/1 0a1b2c3d cbx_ffffffffffff 0000000000000003";

    #[test]
    fn whose_a_row_under_our_number_is() {
        for (name, comment, directory, submitted, restarts, whose) in [
            (NAME, OURS, HERE, 0, 0, Whose::Ours),
            ("foo", OURS, AWAY, 500, 1, Whose::Ours),
            // What is edited while the job waits or runs.
            (NAME, "bar", HERE, 0, 0, Whose::OursWithoutTag),
            ("foo", "bar", HERE, 0, 0, Whose::OursWithoutTag),
            ("foo", "bar", AWAY, 0, 0, Whose::Doubtful),
            (NAME, OTHER, HERE, 0, 0, Whose::OursWithoutTag),
            ("foo", OTHER, HERE, 0, 0, Whose::OursWithoutTag),
            ("foo", OTHER, AWAY, 0, 0, Whose::Doubtful),
            (NAME, OTHER, AWAY, 0, 0, Whose::Doubtful),
            (NAME, LATER, HERE, 0, 0, Whose::OursWithoutTag),
            // What is edited, and put back into the queue.
            (NAME, "bar", HERE, 500, 1, Whose::OursWithoutTag),
            ("foo", "bar", HERE, 500, 1, Whose::OursWithoutTag),
            (NAME, OTHER, HERE, 500, 1, Whose::Doubtful),
            // The number was given out again.
            (NAME, LATER, HERE, 500, 0, Whose::NotOurs),
            (NAME, LATER, HERE, 500, 1, Whose::NotOurs),
            (NAME, OTHER, HERE, 500, 0, Whose::NotOurs),
            ("foo", OTHER, AWAY, 500, 0, Whose::NotOurs),
            ("foo", "", AWAY, 500, 0, Whose::NotOurs),
            (NAME, "", AWAY, 500, 0, Whose::NotOurs),
            (NAME, "", HERE, 500, 0, Whose::NotOurs),
            ("foo", "", AWAY, -500, 1, Whose::NotOurs),
            // And the job that has it now was put back.
            (NAME, "bar", AWAY, 500, 1, Whose::NotOurs),
            ("foo", "bar", AWAY, 500, 1, Whose::NotOurs),
            ("foo", OTHER, AWAY, 500, 1, Whose::NotOurs),
        ] {
            let row = row(name, comment, directory, submitted, restarts);
            assert_eq!(claim().whose_number(&row), whose, "{row:?}");
            let another = QueueRow {
                uid: Uid(4002),
                ..row
            };
            assert_eq!(claim().whose_number(&another), Whose::NotOurs);
        }
    }

    /// As on a site that starts jobs in another directory than they ask for.
    #[test]
    fn a_job_that_was_never_seen_in_its_place_may_be_anywhere() {
        let strayed = Claim {
            placed: false,
            ..claim()
        };
        for (name, comment, submitted, restarts, whose) in [
            (NAME, OURS, 500, 1, Whose::Ours),
            (NAME, "bar", 0, 0, Whose::OursWithoutTag),
            ("foo", "bar", 0, 0, Whose::OursWithoutTag),
            (NAME, OTHER, 0, 0, Whose::Doubtful),
            (NAME, "bar", 500, 1, Whose::Doubtful),
            ("foo", "bar", 500, 1, Whose::Doubtful),
            ("foo", OTHER, 500, 1, Whose::Doubtful),
            (NAME, "", 500, 0, Whose::NotOurs),
        ] {
            let row = row(name, comment, AWAY, submitted, restarts);
            assert_eq!(strayed.whose_number(&row), whose, "{row:?}");
        }
    }

    #[test]
    fn without_a_comment_name_and_directory_tell_and_a_name_alone_only_makes_doubt() {
        let any = Claim {
            any_nonce: true,
            outstanding: Outstanding::Nothing,
            ..claim()
        };
        let lost = Claim {
            outstanding: Outstanding::Unknown,
            ..any.clone()
        };
        let unanswered = |any_nonce| Claim {
            any_nonce,
            outstanding: Outstanding::Since(at(0).unwrap()),
            ..claim()
        };
        for (claim, name, comment, directory, submitted, whose) in [
            // No submission is unanswered, as far as is known.
            (any.clone(), NAME, "", HERE, -500, Whose::OursWithoutTag),
            (any.clone(), NAME, "bar", HERE, 0, Whose::OursWithoutTag),
            (any.clone(), NAME, "", AWAY, 0, Whose::NotOurs),
            (any.clone(), "foo", "", HERE, 0, Whose::NotOurs),
            (any.clone(), "foo", "", AWAY, 0, Whose::NotOurs),
            (any.clone(), "foo", OURS, AWAY, -500, Whose::Ours),
            (any.clone(), NAME, OTHER, HERE, 0, Whose::NotOurs),
            // One may have been.
            (lost.clone(), NAME, "", HERE, -500, Whose::OursWithoutTag),
            (lost.clone(), NAME, "", AWAY, 0, Whose::NotOurs),
            (lost.clone(), "foo", "", HERE, 0, Whose::Doubtful),
            (lost.clone(), "foo", "", AWAY, 0, Whose::NotOurs),
            // One is, or several may be.
            (unanswered(true), NAME, "", HERE, 0, Whose::OursWithoutTag),
            (unanswered(true), NAME, "", HERE, -500, Whose::NotOurs),
            (unanswered(true), NAME, "", AWAY, 0, Whose::Doubtful),
            (unanswered(true), "foo", "", AWAY, 0, Whose::NotOurs),
            (unanswered(true), "foo", "", HERE, 0, Whose::Doubtful),
            (unanswered(true), "foo", "", HERE, -500, Whose::NotOurs),
            (unanswered(false), NAME, "", HERE, 0, Whose::OursWithoutTag),
            (unanswered(false), NAME, "", HERE, -500, Whose::NotOurs),
            (unanswered(false), NAME, "", AWAY, 0, Whose::Doubtful),
            (unanswered(false), NAME, "", AWAY, -500, Whose::NotOurs),
        ] {
            let row = row(name, comment, directory, submitted, 0);
            assert_eq!(claim.whose(&row), whose, "{row:?}");
        }
    }

    #[test]
    fn a_row_that_does_not_tell_enough_is_doubtful_while_an_answer_is_outstanding() {
        let with = |outstanding| Claim {
            any_nonce: true,
            outstanding,
            ..claim()
        };
        let (nothing, lost) = (with(Outstanding::Nothing), with(Outstanding::Unknown));
        let imported = |claim: &Claim| Claim {
            directory: None,
            ..claim.clone()
        };
        let plain = row(NAME, "", HERE, 0, 0);
        let placeless = QueueRow {
            directory: None,
            ..plain.clone()
        };
        let dateless = QueueRow {
            submitted: None,
            ..plain.clone()
        };
        assert_eq!(claim().whose(&placeless), Whose::Doubtful);
        assert_eq!(claim().whose(&dateless), Whose::Doubtful);
        assert_eq!(lost.whose(&placeless), Whose::Doubtful);
        assert_eq!(lost.whose(&dateless), Whose::OursWithoutTag);
        assert_eq!(nothing.whose(&placeless), Whose::NotOurs);
        assert_eq!(nothing.whose(&dateless), Whose::OursWithoutTag);
        // What another program submitted starts anywhere.
        assert_eq!(imported(&lost).whose(&plain), Whose::Doubtful);
        assert_eq!(imported(&claim()).whose(&plain), Whose::Doubtful);
        assert_eq!(imported(&nothing).whose(&plain), Whose::NotOurs);
        let unseen = Claim {
            submitted: None,
            placed: false,
            ..imported(&claim())
        };
        assert_eq!(unseen.whose_number(&plain), Whose::OursWithoutTag);
        let later = row(NAME, "", AWAY, 3600, 0);
        assert_eq!(unseen.whose_number(&later), Whose::NotOurs);
        let put_back = row(NAME, "", AWAY, 3600, 1);
        assert_eq!(unseen.whose_number(&put_back), Whose::OursWithoutTag);
    }

    #[test]
    fn a_job_whose_name_is_lost_is_told_by_its_directory_and_what_crabbox_calls_it() {
        let nameless = Claim {
            name: (&claim().tag.lease).into(),
            any_nonce: true,
            outstanding: Outstanding::Unknown,
            ..claim()
        };
        for (name, directory, whose) in [
            (NAME, HERE, Whose::OursWithoutTag),
            ("cbx_0123456789ab", HERE, Whose::OursWithoutTag),
            // What its script has submitted.
            ("foo", HERE, Whose::Doubtful),
            ("crabbox-s-0123456", HERE, Whose::Doubtful),
            (NAME, AWAY, Whose::NotOurs),
            ("foo", AWAY, Whose::NotOurs),
        ] {
            let row = row(name, "", directory, 0, 0);
            assert_eq!(nameless.whose(&row), whose, "{row:?}");
        }
    }

    #[test]
    fn a_job_that_was_not_seen_yet_is_told_by_tag_or_directory() {
        let unseen = Claim {
            submitted: None,
            placed: false,
            ..claim()
        };
        for (name, comment, directory, submitted, restarts, whose) in [
            ("foo", OURS, AWAY, 0, 0, Whose::Ours),
            (NAME, "", HERE, 0, 0, Whose::OursWithoutTag),
            ("foo", "", HERE, 0, 0, Whose::OursWithoutTag),
            (NAME, "", HERE, -500, 0, Whose::Doubtful),
            (NAME, "", AWAY, 0, 0, Whose::Doubtful),
            (NAME, OTHER, HERE, 0, 0, Whose::Doubtful),
            (NAME, OTHER, HERE, -500, 0, Whose::NotOurs),
            (NAME, LATER, HERE, 0, 0, Whose::NotOurs),
            ("foo", OTHER, AWAY, 0, 0, Whose::Doubtful),
            ("foo", "", AWAY, 0, 0, Whose::Doubtful),
            ("foo", "", AWAY, 0, 1, Whose::Doubtful),
            ("foo", "", AWAY, 600, 0, Whose::NotOurs),
            ("foo", OTHER, AWAY, 600, 0, Whose::NotOurs),
            ("foo", "", AWAY, -500, 0, Whose::NotOurs),
        ] {
            let row = row(name, comment, directory, submitted, restarts);
            assert_eq!(unseen.whose_number(&row), whose, "{row:?}");
        }
    }
}
