//! How far the exploration goes: not with everything at once, but with each kind of misfortune
//! next to two processes, and on sites that take the comments off jobs as well.

use super::run::explore;
use super::world::{Budget, World};

const NOTHING: Budget = Budget::NOTHING;

/// One process that acquires and one that releases, for as long as a proof takes.
const PAIR: Budget = Budget {
    acquires: 1,
    releases: 1,
    ticks: 2,
    ..NOTHING
};

/// One process that acquires and another that does the same.
const RIVALS: Budget = Budget {
    acquires: 2,
    ticks: 1,
    ..NOTHING
};

/// One process that acquires, with no time between. That a release follows is tried from every
/// state anyway. Several misfortunes at once fit beside it.
const ONE: Budget = Budget {
    acquires: 1,
    ..NOTHING
};

/// Declares plans: each is two tests, and a budget in the list of them all. The number is how many
/// states there must be at least, so that a change of the model can't make a plan void.
macro_rules! plans {
    ($($(#[$doc:meta])* $name:ident, $floor:literal: $budget:expr;)*) => {
        const PLANS: &[Budget] = &[$($budget,)*];

        $(
            $(#[$doc])*
            mod $name {
                use super::*;

                #[test]
                fn with_comments() {
                    let name = concat!(stringify!($name), ", with comments");
                    carry_out(name, $budget, false, $floor);
                }

                #[test]
                fn without_comments() {
                    let name = concat!(stringify!($name), ", without comments");
                    carry_out(name, $budget, true, $floor);
                }
            }
        )*
    };
}

plans! {
    /// Nothing goes wrong, and there is time.
    plain, 15_000: Budget { ticks: 3, ..PAIR };
    /// sbatch or scancel says nothing, or sbatch is refused.
    lost_reply, 15_000: Budget { lost: 1, refusals: 1, ..PAIR };
    /// The controller hangs, and sbatch may say nothing.
    hang, 40_000: Budget { hangs: 1, lost: 1, ticks: 1, ..PAIR };
    /// The controller starts anew, and sbatch may say nothing.
    restart, 30_000: Budget { restarts: 1, lost: 1, ..PAIR };
    /// Two processes want the lease at once.
    rivals, 60_000: Budget { refusals: 1, ..RIVALS };
    /// A process dies before or after anything that it does.
    crash, 10_000: Budget { crashes: 1, ..PAIR };
    /// A process dies and another wants the lease.
    crash_of_rival, 100_000: Budget { crashes: 1, ..RIVALS };
    /// The disk is full.
    full_disk, 70_000: Budget { full: 1, ..PAIR };
    /// A process dies, and the journal loses its end.
    cut, 150_000: Budget { crashes: 1, cuts: 1, ticks: 1, ..PAIR };
    /// A process dies, and the record is lost altogether.
    record_lost, 30_000: Budget { crashes: 1, losses: 1, purges: 1, ..PAIR };
    /// The job is put back into the queue, permitted or not.
    requeue, 100_000: Budget { requeues: 1, permits: 1, ticks: 1, ..PAIR };
    /// Two runs of the job publish endpoints.
    endpoint, 3_000: Budget { requeues: 1, endpoints: 2, acquires: 1, ticks: 1, ..NOTHING };
    /// The controller loses its state and gives the number to somebody else.
    wipe, 40_000: Budget { wipes: 1, strangers: 1, ticks: 1, ..PAIR };
    /// Somebody gives our name to a job of his own, and sbatch says nothing.
    namesake, 1_000: Budget { strangers: 1, lost: 1, ticks: 1, ..PAIR };
    /// A process dies, the journal loses its end, and somebody has given our name to a job.
    cut_and_namesake, 800: Budget { crashes: 1, cuts: 1, strangers: 1, ..ONE };
    /// A process dies, the journal loses its end, and the controller hangs.
    cut_and_hang, 70_000: Budget { crashes: 1, cuts: 1, hangs: 1, ticks: 0, ..PAIR };
    /// A process dies, the journal loses its end, and the job that ended may be put back.
    cut_and_permit, 900: Budget { crashes: 1, cuts: 1, permits: 1, ..ONE };
    /// A process dies, the journal loses its end, and the controller loses its state.
    cut_and_wipe, 1_000: Budget { crashes: 1, cuts: 1, wipes: 1, ..ONE };
    /// The job is put back into the queue, and the controller loses its state.
    requeue_and_wipe, 1_000: Budget { requeues: 1, wipes: 1, strangers: 1, ..ONE };
    /// Somebody changes name and comment of the job, and it is put back into the queue.
    edit_and_requeue, 1_000: Budget { edits: 1, requeues: 1, ticks: 1, ..ONE };
    /// Somebody changes name and comment of the job, and the controller loses its state.
    edit_and_wipe, 1_000: Budget { edits: 1, wipes: 1, strangers: 1, ..ONE };
    /// A reply is lost, the controller hangs, and a process dies.
    lost_hang_and_crash, 500: Budget { lost: 1, hangs: 1, crashes: 1, ..ONE };
    /// The controller is silent about single jobs, and forgets those that have finished.
    mute, 70_000: Budget { mutes: 1, purges: 1, ..PAIR };
}

fn carry_out(name: &str, budget: Budget, strips: bool, floor: usize) {
    let explored = explore(World::new(budget, strips, None));
    let (states, releases) = (explored.states, explored.releases);
    println!("{name}: {states} states, releases followed from {releases}");
    if let Some((rule, path)) = explored.violation {
        panic!("{rule}:\n{path}");
    }
    assert!(states >= floor, "{states} states are too few");
}

#[test]
fn every_kind_of_misfortune_has_its_plan() {
    let mut sums = [0; 19];
    for plan in PLANS {
        let Budget {
            acquires,
            releases,
            ticks,
            crashes,
            full,
            cuts,
            losses,
            lost,
            refusals,
            hangs,
            mutes,
            restarts,
            wipes,
            strangers,
            requeues,
            permits,
            edits,
            purges,
            endpoints,
        } = *plan;
        let all = [
            acquires, releases, ticks, crashes, full, cuts, losses, lost, refusals, hangs, mutes,
            restarts, wipes, strangers, requeues, permits, edits, purges, endpoints,
        ];
        for (sum, each) in sums.iter_mut().zip(all) {
            *sum += each;
        }
    }
    assert!(!sums.contains(&0), "{sums:?}");
}
