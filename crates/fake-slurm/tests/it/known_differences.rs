&[
    (
        "sacct/*",
        &[Generation::V20_11, Generation::V22_05],
        When::Sometimes,
        "up to 22.05 the database hears of a job some seconds late: no row, or one of user 0 named \
         `allocation` (the fake plays the first as `Accounting::Lagging`, the second not)",
    ),
    (
        "sacct/special-exit",
        &[Generation::V24_11],
        When::Sometimes,
        "the row of the job that waits again can come a moment after that of the run that ended",
    ),
    (
        "squeue/timeout",
        &[],
        When::Always,
        "the real controller looks at time limits every half minute, so the job ran longer than it \
         was allowed (`INVALID` time left); the fake ends it on time",
    ),
    (
        "squeue/preempted",
        &[],
        When::Sometimes,
        "preemption gives a job without a time limit one of a year there",
    ),
    (
        "squeue/completing.cancelled",
        &[],
        When::Sometimes,
        "the exit status is there once the script has ended, milliseconds after the cancel; here it has not",
    ),
    (
        "squeue/pending.priority*",
        &[],
        When::Sometimes,
        "the backfill scheduler may have put an estimate into StartTime; the fake estimates nothing",
    ),
    (
        "scancel/unknown.several.v",
        &[],
        When::Sometimes,
        "scancel asks for several jobs at once, and the answers come in any order",
    ),
    (
        "squeue/requeued.completed*",
        &[],
        When::Sometimes,
        "a job shows why it waits only when the scheduler has looked at it; here that is at once",
    ),
]
