//! Events, journals, and histories that can have happened.

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::names::{
    cluster_name, job_name, job_ref, job_state, lease_id, line, nonce, store_id, timestamp, uid,
};
use super::queue::{exit, queue_row};
use super::replies::{sbatch, scancel};
use super::runner::{endpoint, stop_marker};
use crate::evidence::{Allocation, NotVisible, Observation, Sighting};
use crate::id::{JobRef, Nonce};
use crate::lease::{Lease, Policy};
use crate::parse::sbatch::Submitted;
use crate::parse::{Cause, Unavailable};
use crate::record::{Access, Entry, Event, Home, Journal, Login, Opened, ReleaseCause, Tip};

/// Any event, of any lease.
pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => opened().prop_map(Event::Opened),
        9 => allocation().prop_flat_map(about),
    ]
}

/// An entry of any lease.
pub fn entry() -> impl Strategy<Value = Entry> {
    (timestamp(), event()).prop_map(|(at, event)| Entry::new(at, event))
}

/// Entries without any order in them: a journal can hold them, but not all replay.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 0..12)
}

/// The journal of a lease as it is read: whole, and one that replays.
pub fn journal() -> impl Strategy<Value = Journal> {
    history().prop_map(|entries| {
        let mut journal = Journal::default();
        render_journal(&entries, &mut journal.tip);
        Journal { entries, ..journal }
    })
}

/// The lines of these entries behind a tip, which moves to their end.
pub fn render_journal(entries: &[Entry], tip: &mut Tip) -> Vec<u8> {
    let lines = entries.iter().filter_map(|entry| tip.append(entry).ok());
    lines.flatten().collect()
}

/// What can have happened to one lease: it is opened, and every event that follows is possible
/// in the state that those before it made.
pub fn history() -> impl Strategy<Value = Vec<Entry>> {
    let steps = [allocation(), allocation()].prop_flat_map(|[first, second]| {
        let event = prop_oneof![3 => about(first), 1 => about(second)];
        vec((0..3600_i64, event), 0..24)
    });
    (timestamp(), opened(), steps).prop_map(|(at, opened, steps)| {
        let mut at = at;
        let mut entries = vec![Entry::new(at, Event::Opened(opened))];
        for (seconds, event) in steps {
            at = later(at, seconds);
            entries.push(Entry::new(at, event));
            if !replays(&entries) {
                entries.pop();
            }
        }
        entries
    })
}

fn allocation() -> impl Strategy<Value = Allocation> {
    (job_ref(), nonce()).prop_map(|(job, nonce)| Allocation { job, nonce })
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(at)
}

fn replays(entries: &[Entry]) -> bool {
    let journal = Journal {
        entries: entries.to_vec(),
        ..Journal::default()
    };
    Lease::replay(&journal, Policy::default()).is_ok()
}

fn opened() -> BoxedStrategy<Opened> {
    let login =
        ("[a-z]{1,8}", option::of("[a-z]{1,8}")).prop_map(|(host, user)| Login { host, user });
    let key = "/[a-z]{1,8}".prop_map(Utf8PathBuf::from);
    let access = (option::of(login), option::of(key), option::of(line())).prop_map(
        |(login, key, proxy_command)| Access {
            login,
            key,
            proxy_command,
        },
    );
    let ids = (lease_id(), job_name(), uid(), store_id());
    let directory = option::of("/[a-z]{1,8}/[a-z]{1,8}".prop_map(Utf8PathBuf::from));
    let where_to = (option::of(cluster_name()), directory);
    (ids, line(), where_to, line(), access)
        .prop_map(|(ids, slug, (cluster, directory), asked, access)| Opened {
            lease: ids.0,
            slug,
            name: ids.1,
            uid: ids.2,
            store: ids.3,
            cluster,
            asked,
            directory,
            access,
        })
        .boxed()
}

/// Events after the first, about this submission and its job.
fn about(of: Allocation) -> BoxedStrategy<Event> {
    let (nonce, job) = (of.nonce.clone(), of.job.clone());
    prop_oneof![
        2 => early(nonce, job),
        3 => late(of),
    ]
    .boxed()
}

/// What happens until the job of a submission is known, or it is known that there is none.
fn early(nonce: Nonce, job: JobRef) -> BoxedStrategy<Event> {
    let [intended, missing] = [nonce.clone(), nonce.clone()];
    let adopted = (nonce.clone(), job.clone());
    prop_oneof![
        1 => Just(Event::TailLost),
        1 => cluster_name().prop_map(|cluster| Event::Located(Home::Cluster(cluster))),
        1 => "[ -~]{0,20}".prop_map(|way| Event::Located(Home::Way(way))),
        3 => Just(Event::SubmissionIntended { nonce: intended }),
        4 => sbatch().prop_map(move |said| answered(nonce.clone(), job.clone(), said.expected)),
        2 => sighting().prop_map(move |sighting| {
            let (nonce, job) = adopted.clone();
            Event::Adopted { nonce, job, sighting }
        }),
        1 => Just(Event::NotFound { nonce: missing }),
    ]
    .boxed()
}

/// What happens to a job that is known, and the wish to end it.
fn late(of: Allocation) -> BoxedStrategy<Event> {
    let copies: [Allocation; 6] = std::array::from_fn(|_| of.clone());
    let [seen, accounted, stopped, cancelled, served, handed_out] = copies;
    prop_oneof![
        6 => observation().prop_map(move |observation| {
            let of = seen.clone();
            Event::Observed { of, observation }
        }),
        1 => (job_state(), option::of(timestamp()), option::of(exit())).prop_map(
            move |(state, ended, exit)| {
                let (of, submitted) = (accounted.clone(), ended);
                Event::AccountedEnd { of, state, submitted, ended, exit }
            },
        ),
        1 => (stop_marker(), any::<bool>()).prop_map(move |(mut marker, ours)| {
            let of = stopped.clone();
            marker.job_id = of.job.id;
            marker.nonce = ours.then(|| of.nonce.clone());
            Event::StopMarked { of, marker }
        }),
        1 => cause().prop_map(|cause| Event::ReleaseWished { cause }),
        1 => scancel().prop_map(move |said| {
            let (of, outcome) = (cancelled.clone(), said.expected);
            Event::CancelAnswered { of, outcome }
        }),
        2 => (endpoint(), any::<bool>()).prop_map(move |(mut endpoint, ours)| {
            let of = served.clone();
            // The bundled runner says whose it is; a site's own may not.
            endpoint.job_id = ours.then_some(of.job.id);
            endpoint.nonce = ours.then(|| of.nonce.clone());
            Event::EndpointPublished { of, endpoint }
        }),
        1 => Just(Event::HandedOut { of: handed_out }),
    ]
    .boxed()
}

fn answered(nonce: Nonce, job: JobRef, said: Submitted) -> Event {
    let outcome = match said {
        Submitted::Accepted(_) => Submitted::Accepted(job),
        other => other,
    };
    Event::SubmissionAnswered { nonce, outcome }
}

fn cause() -> impl Strategy<Value = ReleaseCause> {
    proptest::sample::select(vec![
        ReleaseCause::Asked,
        ReleaseCause::TimedOut,
        ReleaseCause::Abandoned,
        ReleaseCause::Failed,
    ])
}

fn observation() -> BoxedStrategy<Observation> {
    let hidden = proptest::sample::select(vec![
        NotVisible::InvalidJobId,
        NotVisible::IdReused,
        NotVisible::Unlisted,
    ]);
    let causes = proptest::sample::select(vec![
        Cause::Unreachable,
        Cause::Hung,
        Cause::TimedOut,
        Cause::Unreadable,
    ]);
    prop_oneof![
        3 => sighting().prop_map(Observation::Seen),
        2 => hidden.prop_map(Observation::NotVisible),
        1 => (causes, line())
            .prop_map(|(cause, said)| Observation::Unknown(Unavailable { cause, said })),
    ]
    .boxed()
}

fn sighting() -> BoxedStrategy<Sighting> {
    (queue_row(), any::<bool>(), any::<bool>())
        .prop_map(|(row, tagged, placed)| Sighting {
            state: row.state,
            reason: row.reason,
            restarts: row.restarts,
            requeueable: row.requeueable,
            submitted: row.submitted,
            started: row.started,
            ends: row.ends,
            nodes: row.nodes,
            partition: row.partition,
            exit: row.exit,
            tagged,
            placed,
        })
        .boxed()
}
