//! What takes too many steps to get there by going everywhere.

use std::collections::HashSet;

use super::process::{Role, Write};
use super::run::end;
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

/// Whatever the journal loses of the two submissions, an acquire makes no third one while the job
/// of the second may live, and its record is not removed.
#[test]
fn a_journal_that_lost_a_second_submission_leads_to_its_job() {
    for strips in [false, true] {
        let mut world = second_submission(strips);
        world.budget.cuts = 1;
        let cuts = world.actions().into_iter();
        let cuts: Vec<Action> = cuts
            .filter(|action| matches!(action, Action::Cut { .. }))
            .collect();
        assert!(cuts.len() > 3, "{cuts:?}");
        for cut in cuts {
            let mut world = world.clone();
            world.act(cut);
            world.perform(Action::Start(0, Role::Acquires));
            let step = Action::Step(0, Write::Whole);
            for _ in 0..40 {
                if world.actions().contains(&step) {
                    world.act(step);
                }
            }
            let broken = world.violation.or_else(|| end(&world, &mut HashSet::new()));
            assert_eq!(
                broken, None,
                "{cut:?}, where comments are stripped: {strips}"
            );
        }
    }
}
