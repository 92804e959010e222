//! The journal on disk. The store's own reading and writing of it is tested elsewhere.

use std::rc::Rc;

use super::Mutant;
use super::scheduler::Job;
use crate::evidence::Evidence;
use crate::lease::illegal::IllegalEvent;
use crate::lease::state::State;
use crate::record::{Entry, Event, Journal};

#[derive(Clone)]
pub(super) struct Disk {
    /// Which of the lease's records it is: one can follow another.
    record: u32,
    pub(super) entries: Rc<Vec<Entry>>,
    /// What the entries replay to.
    pub(super) state: Rc<State>,
    pub(super) torn: bool,
}

/// How much of which record a process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    record: u32,
    entries: usize,
}

impl Disk {
    pub(super) fn begin(record: u32, entries: &[Entry]) -> Result<Self, IllegalEvent> {
        let Some(Event::Opened(opened)) = entries.first().map(|entry| &entry.event) else {
            panic!("a journal begins with who asked for the lease: {entries:?}");
        };
        let mut disk = Self {
            record,
            state: Rc::new(State::new(opened.clone(), entries[0].at)),
            entries: Rc::new(vec![entries[0].clone()]),
            torn: false,
        };
        disk.append(&entries[1..])?;
        Ok(disk)
    }

    /// The journal, cut behind this many entries: in the middle of a line or between two.
    pub(super) fn cut(&self, keep: usize, torn: bool) -> Self {
        let mut cut = Self::begin(self.record, &self.entries[..keep]).unwrap();
        cut.torn = torn;
        cut
    }

    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), IllegalEvent> {
        let all = Rc::make_mut(&mut self.entries);
        let state = Rc::make_mut(&mut self.state);
        for entry in entries {
            state.apply(entry)?;
            all.push(entry.clone());
        }
        self.torn = false;
        Ok(())
    }

    pub(super) fn tells_of(&self, job: &Job) -> bool {
        let evidence = self.state.evidence();
        evidence.is_some_and(|evidence| job.is(evidence.of()))
    }

    /// Whether it tells of the present run of this job.
    pub(super) fn tells_of_run(&self, job: &Job) -> bool {
        let seen = self.state.evidence().and_then(Evidence::seen);
        let restarts = seen.map_or(0, |seen| seen.restarts);
        self.tells_of(job) && restarts == job.restarts
    }

    pub(super) fn extent(&self) -> Extent {
        Extent {
            record: self.record,
            entries: self.entries.len(),
        }
    }

    /// The journal as it reads, with what a process must believe to be a torn tail.
    pub(super) fn journal(&self, mutant: Option<Mutant>) -> Journal {
        Journal {
            entries: self.entries.to_vec(),
            torn: self.torn && mutant != Some(Mutant::TornIsWhole),
            ..Journal::default()
        }
    }
}
