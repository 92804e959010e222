//! The lease machine against a small scheduler, in every order that things can happen in.
//!
//! Two processes share a journal; submissions are slow, lost, late or refused; processes die
//! between any two steps and in the middle of a write; controllers hang, restart, forget
//! everything and give numbers out again; jobs are put back into the queue and purged. How often
//! each of these may happen is a [`Budget`](world::Budget); within it every state is visited that
//! can be reached, and none of them may break a [`Rule`].
//!
//! And where something that the rules rest on is broken, a [`Mutant`], the exploration finds out:
//! else it would show nothing.
//!
//! `scheduler` is Slurm, `disk` the journal, `process` whoever drives the lease as `driver` does,
//! `world` all of them together, `run` goes everywhere, and `plans` says how far.

use std::fmt;

mod digest;
mod disk;
mod mutants;
mod plans;
mod process;
mod run;
mod scheduler;
mod stories;
mod world;

/// Declares an enum and the list of its variants, so that none can be left out.
macro_rules! listed {
    ($(#[$about:meta])* enum $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

listed! {
    /// What must hold in every state.
    enum Rule {
        /// There are never two jobs of one lease, submissions on their way included.
        OneJob,
        /// There is never a live job that no record leads to.
        Recorded,
        /// No record is removed while its job may live or be submitted.
        ProvenOver,
        /// Nobody else's job is cancelled or changed.
        OursOnly,
        /// No endpoint is believed but that of the present run of the present job.
        OwnEndpoint,
        /// What counts as ending does not run again.
        EndingEnds,
        /// What a process writes fits what others have written.
        Coherent,
        /// A release comes to its end once nothing goes wrong any more.
        ReleaseEnds,
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneJob => "two jobs of one lease",
            Self::Recorded => "a live job without a record",
            Self::ProvenOver => "a record removed while the job may live",
            Self::OursOnly => "somebody else's job cancelled or changed",
            Self::OwnEndpoint => "an endpoint of another run believed",
            Self::EndingEnds => "a job that may come back taken for ending",
            Self::Coherent => "a journal that contradicts itself",
            Self::ReleaseEnds => "a release without an end",
        })
    }
}

listed! {
    /// Something that the rules rest on, broken.
    enum Mutant {
        /// No row and no error counts as `Invalid job id specified`.
        UnlistedIsAbsence,
        /// `Invalid job id specified` counts as no row and no error.
        UnknownIdIsNothing,
        /// A controller that does not answer counts as one that shows nothing.
        SilenceIsAbsence,
        /// A finished job that can be requeued counts as over.
        RequeueableIsOver,
        /// A job that completes counts as in its first run, whichever that is.
        CompletingIsEnding,
        /// An unclear submission counts as refused.
        UnclearIsRefused,
        /// Whatever has our job number counts as our job.
        NumberIsIdentity,
        /// A scancel that was taken counts as a job that is gone.
        CancelledIsOver,
        /// An endpoint counts for whichever run was last seen.
        EndpointOfAnyRun,
        /// An sbatch counts as ended, though it is running.
        SbatchIsNeverRunning,
        /// One look counts for two.
        NoSettling,
        /// The intention to submit is written after the submission.
        IntentionWrittenLate,
        /// Nothing is written before the submission is answered.
        NothingWrittenBefore,
        /// A journal that lost its end counts as whole.
        TornIsWhole,
        /// A record is removed though others have written to it since.
        RemovalLooksAway,
        /// What was learnt is written without reading what others have written since.
        CommitLooksAway,
        /// A search for stray jobs that is not answered counts as one that finds none.
        UnansweredIsClean,
        /// A stray job that has finished counts as over, whether or not it may be put back.
        StrayIsOver,
        /// Our number counts as somebody else's once name and comment are not ours.
        EditedIsStranger,
        /// Whatever has our name counts as our job where it has no comment.
        NameIsIdentity,
    }
}
