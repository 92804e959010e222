//! Explorations that begin in the middle: what comes before takes too many steps to get there by
//! going everywhere.

use super::process::{Role, Write};
use super::run::explore;
use super::world::{Action, Budget, Told, World};

/// The first submission was intended and never begun, its process having died. The next process
/// searched for it in vain, submitted again, and is gone as well. The job is in the queue.
fn second_submission(strips: bool) -> World {
    let mut world = World::new(Budget::NOTHING, strips, None);
    world.perform(Action::Start(0, Role::Acquires));
    drive(&mut world, |world| world.is_searched_for());
    world.perform(Action::Crash(0));
    world.perform(Action::Start(0, Role::Acquires));
    world.perform(Action::Step(0, Write::Whole));
    world.perform(Action::Tick);
    drive(&mut world, |world| !world.scheduler.requests.is_empty());
    world.perform(Action::Accept(0));
    world.perform(Action::Answer(0, Told::Truth));
    world.perform(Action::Step(0, Write::Whole));
    world.perform(Action::Crash(0));
    world
}

fn drive(world: &mut World, is_there: impl Fn(&World) -> bool) {
    for _ in 0..12 {
        if is_there(world) {
            return;
        }
        world.perform(Action::Step(0, Write::Whole));
    }
    panic!("the process did not get there");
}

impl World {
    fn is_searched_for(&self) -> bool {
        let searched_for = self.disk.as_ref().map(|disk| disk.state.searched_for());
        searched_for.flatten().is_some()
    }
}

/// Whatever the journal loses of the two submissions, nobody makes a third one while the job of
/// the second may live, and its record is not removed.
#[test]
fn a_journal_that_lost_a_second_submission_leads_to_its_job() {
    for strips in [false, true] {
        let mut world = second_submission(strips);
        world.budget = Budget {
            acquires: 1,
            releases: 1,
            cuts: 1,
            ticks: 1,
            ..Budget::NOTHING
        };
        let explored = explore(world);
        if let Some((rule, path)) = explored.violation {
            panic!("{rule}, where comments are stripped: {strips}:\n{path}");
        }
        assert!(explored.states > 1000, "{}", explored.states);
    }
}
