//! Everything at once: the scheduler, the disk, the processes, and what may still go wrong.

use super::disk::Disk;
use super::process::{Process, Role, Write};
use super::scheduler::{Job, Life, Mood, Request, RunId, Scheduler, Serial, hung};
use super::{Mutant, Rule};
use crate::lease::Step;
use crate::parse::sbatch::{Refusal, Submitted};

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Processes that acquire the lease.
    pub(super) acquires: u8,
    /// Processes that release it.
    pub(super) releases: u8,
    /// Steps of time, each as long as the settle time.
    pub(super) ticks: u8,
    /// Processes that are killed, between two steps or in the middle of a write.
    pub(super) crashes: u8,
    /// Writes to a disk that is full.
    pub(super) full: u8,
    /// Journals that lose their end, in the middle of a line or after one.
    pub(super) cuts: u8,
    /// Records that are lost altogether.
    pub(super) losses: u8,
    /// Replies that are lost, of sbatch or scancel.
    pub(super) lost: u8,
    /// Submissions that are refused.
    pub(super) refusals: u8,
    /// Times that the controller hangs.
    pub(super) hangs: u8,
    /// Times that it is silent about single jobs.
    pub(super) mutes: u8,
    /// Restarts of the controller with its state.
    pub(super) restarts: u8,
    /// Restarts of the controller without its state.
    pub(super) wipes: u8,
    /// Jobs of somebody else.
    pub(super) strangers: u8,
    /// Requeues, of jobs that do not permit it too: a prolog that fails does that.
    pub(super) requeues: u8,
    /// Jobs whose name and comment somebody changes.
    pub(super) edits: u8,
    /// Times that somebody permits the requeue of a job.
    pub(super) permits: u8,
    /// Finished jobs that the controller forgets.
    pub(super) purges: u8,
    /// Endpoints that are published.
    pub(super) endpoints: u8,
}

impl Budget {
    pub(super) const NOTHING: Self = Self {
        acquires: 0,
        releases: 0,
        ticks: 0,
        crashes: 0,
        full: 0,
        cuts: 0,
        losses: 0,
        lost: 0,
        refusals: 0,
        hangs: 0,
        mutes: 0,
        restarts: 0,
        wipes: 0,
        strangers: 0,
        requeues: 0,
        permits: 0,
        edits: 0,
        purges: 0,
        endpoints: 0,
    };
}

/// What the caller of an sbatch that ends is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Truth,
    Nothing,
    Refused,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start(usize, Role),
    Step(usize, Write),
    StepWithoutReply(usize),
    Refresh(usize),
    ReadFiles(usize),
    GiveUp(usize),
    /// The lease is handed out.
    Leave(usize),
    Crash(usize),
    Accept(usize),
    Answer(usize, Told),
    Advance(usize),
    Requeue(usize),
    Permit(usize),
    Edit(usize),
    Purge(usize),
    Publish(usize),
    Stranger,
    Hang,
    Mute,
    Recover,
    Restart {
        wiped: bool,
    },
    Cut {
        keep: usize,
        torn: bool,
    },
    Lose,
    Tick,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) tick: u32,
    pub(super) scheduler: Scheduler,
    pub(super) disk: Option<Disk>,
    pub(super) processes: [Option<Process>; 2],
    /// The files of the runner.
    pub(super) marker: Option<RunId>,
    pub(super) endpoint: Option<RunId>,
    /// Whether the record was lost by no fault of ours.
    pub(super) lost: bool,
    pub(super) serials: Serial,
    pub(super) records: u32,
    pub(super) budget: Budget,
    pub(super) mutant: Option<Mutant>,
    pub(super) violation: Option<Rule>,
    /// Whether the last action turned out to be none.
    pub(super) impossible: bool,
}

impl World {
    pub(super) fn new(budget: Budget, strips: bool, mutant: Option<Mutant>) -> Self {
        Self {
            tick: 0,
            scheduler: Scheduler::new(strips),
            disk: None,
            processes: [None, None],
            marker: None,
            endpoint: None,
            lost: false,
            serials: 0,
            records: 0,
            budget,
            mutant,
            violation: None,
            impossible: false,
        }
    }

    pub(super) fn violated(&mut self, rule: Rule) {
        self.violation.get_or_insert(rule);
    }

    /// The record is removed.
    pub(super) fn remove(&mut self) {
        let under_way = |request: &Request| request.became.is_none();
        let live = self.scheduler.jobs.iter().any(Job::may_live);
        if live || self.scheduler.requests.iter().any(under_way) {
            self.violated(Rule::ProvenOver);
        }
        self.disk = None;
        self.lost = false;
        (self.marker, self.endpoint) = (None, None);
    }

    /// Everything that can happen next.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (slot, process) in self.processes.iter().enumerate() {
            match process {
                Some(process) => self.process_actions(slot, process, &mut actions),
                None => self.start_actions(slot, &mut actions),
            }
        }
        for (at, request) in self.scheduler.requests.iter().enumerate() {
            self.request_actions(at, request, &mut actions);
        }
        for (at, job) in self.scheduler.jobs.iter().enumerate() {
            self.job_actions(at, job, &mut actions);
        }
        self.controller_actions(&mut actions);
        self.disk_actions(&mut actions);
        if self.budget.ticks > 0 && self.may_tick() {
            actions.push(Action::Tick);
        }
        actions
    }

    fn start_actions(&self, slot: usize, actions: &mut Vec<Action>) {
        // Slots are alike: the first that is free is used.
        if self.processes.iter().position(Option::is_none) != Some(slot) {
            return;
        }
        if self.budget.acquires > 0 {
            actions.push(Action::Start(slot, Role::Acquires));
        }
        if self.budget.releases > 0 && (self.disk.is_some() || self.lost) {
            actions.push(Action::Start(slot, Role::Releases));
        }
    }

    fn process_actions(&self, slot: usize, process: &Process, actions: &mut Vec<Action>) {
        if self.budget.crashes > 0 {
            actions.push(Action::Crash(slot));
        }
        if self.waits(slot) {
            return;
        }
        actions.push(Action::Step(slot, Write::Whole));
        if self.budget.full > 0 {
            actions.push(Action::Step(slot, Write::Fails));
        }
        if self.budget.crashes > 0 {
            actions.push(Action::Step(slot, Write::Torn));
            actions.push(Action::Step(slot, Write::Never));
        }
        let cancels = || matches!(process.next_step(self.tick), Step::Cancel(_));
        if self.budget.lost > 0 && cancels() {
            actions.push(Action::StepWithoutReply(slot));
        }
        if self.disk.is_some() && process.is_behind(self.disk.as_ref()) {
            actions.push(Action::Refresh(slot));
        }
        if self.marker.is_some() || self.endpoint.is_some() {
            actions.push(Action::ReadFiles(slot));
        }
        if process.role == Role::Acquires && self.budget.releases > 0 {
            actions.push(Action::GiveUp(slot));
        }
        if process.role == Role::Acquires && process.lease.ready().is_some() {
            actions.push(Action::Leave(slot));
        }
    }

    /// Whether a process waits for its sbatch.
    fn waits(&self, slot: usize) -> bool {
        let mut requests = self.scheduler.requests.iter();
        requests.any(|request| request.caller == Some(slot))
    }

    fn request_actions(&self, at: usize, request: &Request, actions: &mut Vec<Action>) {
        let answers = self.scheduler.mood != Mood::Hangs;
        let open = request.became.is_none() && answers;
        if open {
            actions.push(Action::Accept(at));
        }
        if !request.sbatch {
            return;
        }
        if request.became.is_some() {
            actions.push(Action::Answer(at, Told::Truth));
        }
        if self.budget.lost > 0 {
            actions.push(Action::Answer(at, Told::Nothing));
        }
        if open && self.budget.refusals > 0 {
            actions.push(Action::Answer(at, Told::Refused));
        }
    }

    fn job_actions(&self, at: usize, job: &Job, actions: &mut Vec<Action>) {
        let is_known = job.serial.is_some() && job.life != Life::Orphaned;
        if self.scheduler.mood == Mood::Hangs || !is_known {
            return;
        }
        if job.life != Life::Finished {
            actions.push(Action::Advance(at));
        }
        // Nobody could find one whose number is not known either.
        let told = self.disk.as_ref().is_some_and(|disk| disk.tells_of(job));
        if self.budget.edits > 0 && told && !job.edited && job.can_be_updated() {
            actions.push(Action::Edit(at));
        }
        let comes_back = job.life == Life::Finished && job.requeueable;
        if self.budget.requeues > 0 && (job.life == Life::Running || comes_back) {
            actions.push(Action::Requeue(at));
        }
        if self.budget.permits > 0 && job.can_be_updated() && !job.requeueable {
            actions.push(Action::Permit(at));
        }
        if self.budget.purges > 0 && job.life == Life::Finished {
            actions.push(Action::Purge(at));
        }
        let published = self.endpoint == job.run();
        if self.budget.endpoints > 0 && job.life == Life::Running && !published {
            actions.push(Action::Publish(at));
        }
    }

    fn controller_actions(&self, actions: &mut Vec<Action>) {
        let budget = &self.budget;
        let answers = self.scheduler.mood == Mood::Answers;
        let possible = [
            (answers && budget.strangers > 0, Action::Stranger),
            (answers && budget.hangs > 0, Action::Hang),
            (answers && budget.mutes > 0, Action::Mute),
            (!answers, Action::Recover),
            (budget.restarts > 0, Action::Restart { wiped: false }),
            (budget.wipes > 0, Action::Restart { wiped: true }),
        ];
        actions.extend(
            possible
                .iter()
                .filter(|(may, _)| *may)
                .map(|(_, what)| *what),
        );
    }

    /// Journals are damaged while nobody is there: what one process has read and the disk has
    /// lost is not lost.
    fn disk_actions(&self, actions: &mut Vec<Action>) {
        let Some(disk) = &self.disk else { return };
        if self.processes.iter().any(Option::is_some) {
            return;
        }
        // Without a trace on disk of a submission that is not in the queue either, nobody can
        // know of it. Where a line is torn there is a trace.
        let traceless = self.scheduler.requests.is_empty();
        if self.budget.cuts > 0 {
            for keep in 1..disk.entries.len() {
                actions.push(Action::Cut { keep, torn: true });
                if traceless {
                    actions.push(Action::Cut { keep, torn: false });
                }
            }
        }
        if self.budget.losses > 0 && traceless {
            actions.push(Action::Lose);
        }
    }

    /// Time passes only where nothing is due: a controller that answers has dealt with what it
    /// was sent, and whoever looks has noticed one that does not. A controller that hung for less
    /// than the settle time need not be noticed.
    fn may_tick(&self) -> bool {
        let knows = |slot: usize| {
            let process = self.processes[slot].as_ref();
            process.is_none_or(|process| process.noticed) || self.waits(slot)
        };
        match self.scheduler.mood {
            Mood::Hangs => (0..self.processes.len()).all(knows),
            Mood::Mute | Mood::Answers => {
                let mut requests = self.scheduler.requests.iter();
                requests.all(|request| request.became.is_some() || request.sbatch)
            }
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        if let Some(left) = self.budget_of(action) {
            *left = left.saturating_sub(1);
        }
        self.perform(action);
        self.check();
    }

    /// What is left of what this action uses up.
    fn budget_of(&mut self, action: Action) -> Option<&mut u8> {
        let budget = &mut self.budget;
        Some(match action {
            Action::Start(_, Role::Acquires) => &mut budget.acquires,
            Action::Start(_, Role::Releases) | Action::GiveUp(_) => &mut budget.releases,
            Action::Step(_, Write::Fails) => &mut budget.full,
            Action::Step(_, Write::Torn | Write::Never) | Action::Crash(_) => &mut budget.crashes,
            Action::StepWithoutReply(_) | Action::Answer(_, Told::Nothing) => &mut budget.lost,
            Action::Answer(_, Told::Refused) => &mut budget.refusals,
            Action::Requeue(_) => &mut budget.requeues,
            Action::Permit(_) => &mut budget.permits,
            Action::Edit(_) => &mut budget.edits,
            Action::Purge(_) => &mut budget.purges,
            Action::Publish(_) => &mut budget.endpoints,
            Action::Stranger => &mut budget.strangers,
            Action::Hang => &mut budget.hangs,
            Action::Mute => &mut budget.mutes,
            Action::Restart { wiped: true } => &mut budget.wipes,
            Action::Restart { wiped: false } => &mut budget.restarts,
            Action::Cut { .. } => &mut budget.cuts,
            Action::Lose => &mut budget.losses,
            Action::Tick => &mut budget.ticks,
            Action::Step(_, Write::Whole)
            | Action::Refresh(_)
            | Action::ReadFiles(_)
            | Action::Leave(_)
            | Action::Accept(_)
            | Action::Answer(_, Told::Truth)
            | Action::Advance(_)
            | Action::Recover => return None,
        })
    }

    pub(super) fn perform(&mut self, action: Action) {
        let tick = self.tick;
        let scheduler = &mut self.scheduler;
        match action {
            Action::Start(slot, role) => self.start(slot, role),
            Action::Step(slot, write) => self.step(slot, write, true),
            Action::StepWithoutReply(slot) => self.step(slot, Write::Whole, false),
            Action::Refresh(slot) => self.refresh(slot),
            Action::ReadFiles(slot) => self.read_files(slot),
            Action::GiveUp(slot) => self.give_up(slot),
            Action::Leave(slot) | Action::Crash(slot) => self.end_process(slot),
            Action::Accept(request) => scheduler.accept(request, tick),
            Action::Answer(request, told) => self.answer(request, told),
            Action::Advance(job) => self.advance(job),
            Action::Requeue(job) => self.requeue(job),
            Action::Permit(job) => scheduler.jobs[job].requeueable = true,
            Action::Edit(job) => scheduler.jobs[job].edited = true,
            Action::Purge(job) => drop(scheduler.jobs.remove(job)),
            Action::Publish(job) => self.endpoint = scheduler.jobs[job].run(),
            Action::Stranger => scheduler.admit_stranger(tick),
            Action::Hang => scheduler.mood = Mood::Hangs,
            Action::Mute => scheduler.mood = Mood::Mute,
            Action::Recover => scheduler.mood = Mood::Answers,
            Action::Restart { wiped } => self.restart(wiped),
            Action::Cut { keep, torn } => self.cut(keep, torn),
            Action::Lose => {
                self.disk = None;
                self.lost = true;
            }
            Action::Tick => self.pass(),
        }
    }

    /// The settle time passes.
    pub(super) fn pass(&mut self) {
        self.scheduler.pass();
        self.tick += 1;
    }

    /// A controller that lost its state was stopped, emptied and started by hand. That takes
    /// longer than the five seconds for which an identification permits a command: between a look
    /// and the scancel that follows it no number changes its owner.
    ///
    /// A job that was started and forgotten between two searches, before anybody knew its number,
    /// can't be told from one that never was. Nor can a run that nobody saw from an earlier one,
    /// whose runner has said that it stopped. Its node ends it seconds later; it does not count.
    fn restart(&mut self, wiped: bool) {
        if wiped {
            self.pass();
            let (disk, marked) = (self.disk.clone(), self.marker.is_some());
            let is_known = |job: &Job| {
                let tells = |disk: &Disk| disk.tells_of_run(job) || !marked && disk.tells_of(job);
                disk.as_ref().is_some_and(tells)
            };
            self.scheduler.forget(is_known);
        }
        self.scheduler.restart();
    }

    /// The journal loses its end. With it goes, for the seconds until its node registers, what was
    /// known of a job whose controller was wiped.
    fn cut(&mut self, keep: usize, torn: bool) {
        let Some(disk) = &self.disk else { return };
        let cut = disk.cut(keep, torn);
        let jobs = &mut self.scheduler.jobs;
        jobs.retain(|job| job.life != Life::Orphaned || cut.tells_of(job));
        self.disk = Some(cut);
    }

    fn answer(&mut self, request: usize, told: Told) {
        let outcome = match told {
            Told::Truth => self.reply(request),
            Told::Nothing => Submitted::Unclear(hung()),
            Told::Refused => Submitted::Refused(Refusal {
                said: String::new(),
            }),
        };
        self.end_sbatch(request, outcome);
    }

    /// A process is no more. What it has sent is on its way all the same.
    pub(super) fn end_process(&mut self, slot: usize) {
        self.processes[slot] = None;
        for request in &mut self.scheduler.requests {
            request.caller.take_if(|caller| *caller == slot);
        }
    }

    /// A runner that ends leaves its marker.
    fn advance(&mut self, job: usize) {
        self.mark_stop(job);
        self.scheduler.advance(job, self.tick);
    }

    fn requeue(&mut self, job: usize) {
        self.mark_stop(job);
        self.scheduler.requeue(job, self.tick);
    }

    fn mark_stop(&mut self, job: usize) {
        let job = &self.scheduler.jobs[job];
        if job.life == Life::Running {
            self.marker = job.run();
        }
    }

    fn check(&mut self) {
        let live = self.scheduler.jobs.iter().filter(|job| job.may_live());
        let requests = self.scheduler.requests.iter();
        let on_the_way = requests.filter(|request| request.became.is_none());
        let live = live.count();
        if live + on_the_way.count() > 1 {
            self.violated(Rule::OneJob);
        }
        let held = self.processes.iter().any(Option::is_some);
        if live > 0 && self.disk.is_none() && !self.lost && !held {
            self.violated(Rule::Recorded);
        }
    }
}
