//! Going everywhere, and seeing from everywhere that a release comes to an end.

use std::collections::{HashSet, VecDeque};

use super::Rule;
use super::process::{Role, Write};
use super::scheduler::{Job, Life, Mood};
use super::world::{Action, Budget, World};

/// How many rounds of time a release may take once nothing goes wrong any more.
const ROUNDS: usize = 8;
/// How many steps a process does in one round.
const STEPS: usize = 12;

/// What an exploration came to.
#[derive(Debug)]
pub(super) struct Explored {
    /// How many states can be reached.
    pub(super) states: usize,
    /// From how many a release was followed to its end.
    pub(super) releases: usize,
    /// The first rule that was broken, and how.
    pub(super) violation: Option<(Rule, String)>,
}

/// Visits every state that can be reached, breadth first, until one breaks a rule.
pub(super) fn explore(start: World) -> Explored {
    let mut seen = HashSet::from([start.digest()]);
    let mut ended = HashSet::new();
    let mut trail: Vec<(usize, Action)> = Vec::new();
    let mut queue = VecDeque::from([(usize::MAX, start)]);
    let mut violation = None;
    while let Some((at, world)) = queue.pop_front() {
        for action in world.actions() {
            let mut next = world.clone();
            next.act(action);
            if next.impossible || !seen.insert(next.digest()) {
                continue;
            }
            trail.push((at, action));
            let here = trail.len() - 1;
            if let Some(rule) = next.violation.or_else(|| end(&next, &mut ended)) {
                violation = Some((rule, path(&trail, here)));
                queue.clear();
                break;
            }
            queue.push_back((here, next));
        }
    }
    Explored {
        states: seen.len(),
        releases: ended.len(),
        violation,
    }
}

fn path(trail: &[(usize, Action)], mut at: usize) -> String {
    let mut steps = Vec::new();
    while let Some((before, action)) = trail.get(at) {
        steps.push(format!("  {action:?}"));
        at = *before;
    }
    steps.reverse();
    steps.join("\n")
}

/// Every process dies, everything that is under way arrives, and then somebody releases the lease
/// while nothing goes wrong: the rule, if any, that this breaks.
pub(super) fn end(world: &World, ended: &mut HashSet<u64>) -> Option<Rule> {
    let mut world = world.clone();
    world.budget = Budget::NOTHING;
    world.calm();
    let live = |world: &World| world.scheduler.jobs.iter().any(Job::may_live);
    if world.disk.is_none() && !live(&world) || !ended.insert(world.digest()) {
        return None;
    }
    world.start(0, Role::Releases);
    for _ in 0..ROUNDS {
        for _ in 0..STEPS {
            world.step(0, Write::Whole, true);
        }
        if world.violation.is_some() {
            return world.violation;
        }
        if world.processes[0].is_none() {
            let left = live(&world) || world.disk.is_some();
            return left.then_some(Rule::ReleaseEnds);
        }
        world.settle();
    }
    Some(Rule::ReleaseEnds)
}

impl World {
    fn calm(&mut self) {
        for slot in 0..self.processes.len() {
            self.end_process(slot);
        }
        self.scheduler.mood = Mood::Answers;
        while let Some(at) = self
            .scheduler
            .requests
            .iter()
            .position(|r| r.became.is_none())
        {
            self.scheduler.accept(at, self.tick);
        }
        self.scheduler.requests.clear();
    }

    /// Time passes: what completes has completed, and after `MinJobAge` what has finished is
    /// forgotten. A stranger's job that may be ours for all that is told ends by its time limit:
    /// one that has our number and that we have not seen, or our name as long as sbatch has not
    /// answered. So does a job of ours whose name and comment are both not ours, and whose number
    /// is lost.
    fn settle(&mut self) {
        let disk = self.disk.as_ref();
        let evidence = disk.and_then(|disk| disk.state.evidence());
        let unseen = evidence.is_some_and(|evidence| evidence.seen().is_none());
        let known = evidence.map(|evidence| evidence.job().id.number());
        let unanswered = disk.is_some_and(|disk| disk.state.searched_for().is_some());
        for job in &mut self.scheduler.jobs {
            let namesake = job.serial.is_none() && (unseen || unanswered);
            if namesake || job.edited && known != Some(job.number) {
                job.life = Life::Finished;
            }
        }
        self.scheduler.jobs.retain(|job| job.life != Life::Finished);
        for job in 0..self.scheduler.jobs.len() {
            if matches!(self.scheduler.jobs[job].life, Life::Completing { .. }) {
                self.scheduler.advance(job, self.tick);
            }
        }
        self.pass();
    }
}
