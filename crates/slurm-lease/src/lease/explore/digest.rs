//! What makes two states the same: whatever can make a difference to what follows, and no more.

use std::hash::{Hash, Hasher};

use super::disk::Disk;
use super::process::Process;
use super::scheduler::{Mood, Request, moment};
use super::world::World;
use crate::lease::Lease;
use crate::lease::attempt::{Attempt, Stage};
use crate::lease::state::State;

impl World {
    /// A sum over the state. Two of a million states have the same one by accident once in
    /// thirty million explorations.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = Folded::default();
        let scheduler = &self.scheduler;
        (self.tick, self.serials, self.lost, self.violation).hash(&mut hasher);
        (&self.marker, &self.endpoint, &self.budget).hash(&mut hasher);
        (scheduler.mood, &scheduler.jobs, scheduler.next_number()).hash(&mut hasher);
        for request in &scheduler.requests {
            let Request {
                serial,
                caller,
                sbatch,
                became,
            } = request;
            (serial, caller.is_some(), sbatch, became).hash(&mut hasher);
        }
        self.disk.is_some().hash(&mut hasher);
        if let Some(disk) = &self.disk {
            self.hash_disk(disk, &mut hasher);
        }
        // Which process is which makes no difference.
        let mut processes = [0, 1].map(|slot| self.digest_of(slot));
        processes.sort_unstable();
        processes.hash(&mut hasher);
        hasher.finish()
    }

    fn hash_disk(&self, disk: &Disk, hasher: &mut impl Hasher) {
        hash_state(&disk.state, hasher);
        disk.torn.hash(hasher);
        if disk.torn {
            // Whoever finds the tail missing dates that by the last line.
            disk.entries.last().map(|last| last.at).hash(hasher);
        }
        if self.budget.cuts > 0 {
            // What is left of a journal that is cut does not follow from what it replays to.
            disk.entries.hash(hasher);
        }
    }

    fn digest_of(&self, slot: usize) -> u64 {
        let Some(process) = &self.processes[slot] else {
            return 0;
        };
        let mut hasher = Folded::default();
        let mut requests = self.scheduler.requests.iter();
        let waits_for = requests.position(|request| request.caller == Some(slot));
        waits_for.hash(&mut hasher);
        process.is_behind(self.disk.as_ref()).hash(&mut hasher);
        let Process {
            lease,
            role,
            known,
            locks,
            noticed,
            unrecorded,
            searched,
            held_back,
        } = process;
        hash_lease(lease, self.tick, &mut hasher);
        // An endpoint that is published now counts for a job that was seen now.
        let seen_now = lease.seen_at == Some(moment(self.tick));
        (seen_now && self.budget.endpoints > 0).hash(&mut hasher);
        let hangs = self.scheduler.mood == Mood::Hangs || self.budget.hangs > 0;
        (role, known.is_some(), locks, *noticed && hangs).hash(&mut hasher);
        (unrecorded, searched, held_back).hash(&mut hasher);
        hasher.finish()
    }
}

/// Times count as far as something is decided by them. Looks are always due here, an
/// identification and an intention get old by whole ticks, and nobody asks since when the
/// controller is silent.
fn hash_lease(lease: &Lease, tick: u32, hasher: &mut impl Hasher) {
    let Lease {
        state,
        policy: _,
        outbox,
        recordable,
        unwritten_wish,
        wanted,
        acquiring,
        scouted,
        was_searched: _,
        searched,
        intended,
        submitting,
        identified,
        cancelling,
        seen_at,
        unknown,
        pace: _,
        announced: _,
        accounting_due,
        requeue_forbidden,
        cancelled_at: _,
    } = lease;
    hash_state(state, hasher);
    let published = lease.published_at();
    let seen_since = published.map(|published| seen_at.is_some_and(|seen| seen >= published));
    let identified = identified
        .as_ref()
        .map(|(at, identified)| (*at == moment(tick), identified));
    (outbox, recordable, unwritten_wish.is_some(), wanted).hash(hasher);
    (acquiring, scouted, searched, intended, submitting).hash(hasher);
    (identified, cancelling, seen_since).hash(hasher);
    (unknown.is_some(), accounting_due, requeue_forbidden).hash(hasher);
}

/// When the lease was opened, its end wished for and its submission begun matters only over
/// minutes.
fn hash_state(state: &State, hasher: &mut impl Hasher) {
    let State {
        opened: _,
        opened_at: _,
        home: _,
        wish,
        wished_of: _,
        attempt,
    } = state;
    (wish.is_some(), attempt.is_some()).hash(hasher);
    let Some(attempt) = attempt else { return };
    let Attempt {
        claim,
        stage,
        endpoint,
        handed_out,
        marker,
        accounted,
    } = attempt;
    (&claim.tag.nonce, claim.submitted, claim.restarts).hash(hasher);
    (claim.any_nonce, claim.placed).hash(hasher);
    std::mem::discriminant(&claim.outstanding).hash(hasher);
    (endpoint, handed_out).hash(hasher);
    (marker, accounted).hash(hasher);
    match stage {
        // What was said instead of an answer is for people.
        Stage::Unanswered { said: _ } => 0.hash(hasher),
        Stage::NotFound { said: _ } => 1.hash(hasher),
        other => other.hash(hasher),
    }
}

/// A fast hash of good quality; nobody chooses these inputs to make it collide.
struct Folded(u64);

impl Default for Folded {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = [product, product >> 64].map(|half| half as u64);
        self.0 = low.rotate_left(23) ^ high;
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.fold(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }
}
