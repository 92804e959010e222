//! The diagram of a lease in `docs/architecture.md` is drawn from what the machine does: from each
//! kind of state that can be reached, every event is tried.
//!
//! `UPDATE_DOCS=1 cargo test -p slurm-lease diagram` draws it anew.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::{Lease, Policy};
use crate::endpoint::{Endpoint, StopMarker};
use crate::evidence::{Allocation, Evidence, NotVisible, Observation, Over, Sighting};
use crate::id::{JobRef, LeaseId, Nonce, StoreId, Uid};
use crate::job_state::JobState;
use crate::parse::Unavailable;
use crate::parse::sbatch::{Refusal, Submitted};
use crate::parse::scancel::Cancelled;
use crate::record::{Access, Event, Home, Opened, ReleaseCause};

const BEGIN: &str = "<!-- generated: diagram -->\n";
const END: &str = "<!-- end -->\n";

/// How many events deep the machine is tried. Every change of kind that there is shows by then.
const DEPTH: usize = 5;

fn job() -> JobRef {
    "17".parse().unwrap()
}

fn nonce() -> Nonce {
    Nonce::from_bits(1)
}

fn opened() -> Opened {
    let lease: LeaseId = "cbx_0123456789ab".parse().unwrap();
    Opened {
        slug: "smoke".to_owned(),
        name: (&lease).into(),
        lease,
        uid: Uid(1000),
        store: StoreId::of_path("/state"),
        cluster: None,
        asked: String::new(),
        directory: None,
        access: Access::default(),
    }
}

fn sighting(state: JobState, requeueable: bool) -> Sighting {
    Sighting {
        state,
        reason: String::new(),
        restarts: 0,
        requeueable,
        submitted: Some(start()),
        started: None,
        ends: None,
        nodes: None,
        partition: String::new(),
        exit: None,
        tagged: true,
        placed: true,
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// What can be learnt, and the words for it in the diagram.
fn events() -> Vec<(&'static str, Event)> {
    let of = Allocation {
        job: job(),
        nonce: nonce(),
    };
    let silence = Unavailable::unreadable("");
    let answered = |outcome| Event::SubmissionAnswered {
        nonce: nonce(),
        outcome,
    };
    let observed = |observation| Event::Observed {
        of: of.clone(),
        observation,
    };
    let marker = r#"{"jobId":17,"nonce":"0000000000000001","exitCode":0,"reason":"released"}"#;
    let endpoint = r#"{"host":"n1","port":2222,"user":"alice"}"#;
    let seen = |state, requeueable| observed(Observation::Seen(sighting(state, requeueable)));
    vec![
        ("", Event::Opened(opened())),
        ("", Event::TailLost),
        ("", Event::Located(Home::Cluster("alpha".parse().unwrap()))),
        ("", Event::SubmissionIntended { nonce: nonce() }),
        (" accepted", answered(Submitted::Accepted(job()))),
        (
            " refused",
            answered(Submitted::Refused(Refusal {
                said: String::new(),
            })),
        ),
        (" unclear", answered(Submitted::Unclear(silence))),
        (
            "",
            Event::Adopted {
                nonce: nonce(),
                job: job(),
                sighting: sighting(JobState::Running, false),
            },
        ),
        ("", Event::NotFound { nonce: nonce() }),
        (" there", seen(JobState::Running, false)),
        (" finished, requeueable", seen(JobState::Completed, true)),
        (
            " COMPLETING, not requeueable",
            seen(JobState::Completing, false),
        ),
        (
            " finished, not requeueable",
            seen(JobState::Completed, false),
        ),
        (
            " absent",
            observed(Observation::NotVisible(NotVisible::InvalidJobId)),
        ),
        (
            " unlisted",
            observed(Observation::NotVisible(NotVisible::Unlisted)),
        ),
        (
            "",
            Event::AccountedEnd {
                of: of.clone(),
                state: JobState::Completed,
                submitted: None,
                ended: None,
                exit: None,
            },
        ),
        (
            "",
            Event::StopMarked {
                of: of.clone(),
                marker: StopMarker::parse(marker.as_bytes()).unwrap(),
            },
        ),
        (
            "",
            Event::ReleaseWished {
                cause: ReleaseCause::Asked,
            },
        ),
        (
            "",
            Event::CancelAnswered {
                of: of.clone(),
                outcome: Cancelled::UnknownId,
            },
        ),
        (
            "",
            Event::EndpointPublished {
                of: of.clone(),
                endpoint: Endpoint::parse(endpoint.as_bytes()).unwrap(),
            },
        ),
        ("", Event::HandedOut { of }),
    ]
}

/// The kind of state that a lease is in, as the diagram calls it.
fn kind(lease: &Lease) -> String {
    match lease.over() {
        Some(Over::JobGone(gone)) => return format!("{:?}", gone.how()),
        Some(Over::NeverSubmitted(never)) => return format!("{:?}", never.how()),
        None => {}
    }
    let last = lease.state.evidence().map(Evidence::last_look);
    let kind = match last {
        _ if lease.ending().is_some() => "Ending",
        None => "Unanswered",
        Some(None) => "Accepted",
        Some(Some(Observation::Seen(_))) => "Visible",
        Some(Some(Observation::NotVisible(_))) => "Missing",
        // Silence is no event of a lease: it is never learnt.
        Some(Some(Observation::Unknown(_))) => "Unknown",
    };
    kind.to_owned()
}

type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// Every change from one kind of state to another, and the events that never change the kind.
fn explored() -> (Edges, BTreeSet<&'static str>) {
    let (mut edges, mut changing) = (Edges::new(), BTreeSet::new());
    let mut known = HashSet::new();
    let first = Lease::open(opened(), start(), Policy::default());
    let mut leases = vec![(start(), first)];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (at, lease) in &leases {
            for (words, event) in events() {
                // Once within the settle time, once after it.
                for pause in [SignedDuration::from_secs(1), SignedDuration::from_secs(30)] {
                    let (at, mut changed) = (*at + pause, lease.clone());
                    if !changed.learn(at, event.clone()) {
                        continue;
                    }
                    changed.outbox.clear();
                    let (from, to) = (kind(lease), kind(&changed));
                    if from != to {
                        changing.insert(event.name());
                        let label = format!("{}{words}", event.name());
                        edges.entry((from, to)).or_default().insert(label);
                    }
                    let mut hasher = DefaultHasher::new();
                    changed.hash(&mut hasher);
                    if known.insert(hasher.finish()) {
                        next.push((at, changed));
                    }
                }
            }
        }
        leases = next;
    }
    let quiet = events().into_iter().map(|(_, event)| event.name());
    let quiet = quiet.filter(|name| !changing.contains(name)).collect();
    (edges, quiet)
}

fn drawn() -> String {
    let (edges, quiet) = explored();
    let mut text = "\n```mermaid\nstateDiagram-v2\n    [*] --> NotBegun: opened\n".to_owned();
    for ((from, to), labels) in &edges {
        let labels = labels.iter().cloned().collect::<Vec<_>>().join(" / ");
        text += &format!("    {from} --> {to}: {labels}\n");
    }
    let quiet: Vec<String> = quiet.into_iter().map(|name| format!("`{name}`")).collect();
    text += &format!(
        "```\n\nThese change no kind of state: {}.\n\n",
        quiet.join(", ")
    );
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the diagram is in a file")]
fn the_diagram_is_what_the_machine_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md");
    let old = std::fs::read_to_string(path).unwrap();
    let (before, rest) = old.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let new = [before, BEGIN, &drawn(), END, after].concat();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, new).unwrap();
    } else {
        assert!(
            old == new,
            "docs/architecture.md is old: run the test with UPDATE_DOCS=1"
        );
    }
}

/// No event is missing from what is tried: one that is added does not compile until it is here.
#[test]
fn every_event_is_tried() {
    let number = |event: &Event| match event {
        Event::Opened(_) => 0,
        Event::TailLost => 1,
        Event::SubmissionIntended { .. } => 2,
        Event::SubmissionAnswered { .. } => 3,
        Event::Adopted { .. } => 4,
        Event::NotFound { .. } => 5,
        Event::Observed { .. } => 6,
        Event::AccountedEnd { .. } => 7,
        Event::StopMarked { .. } => 8,
        Event::ReleaseWished { .. } => 9,
        Event::CancelAnswered { .. } => 10,
        Event::EndpointPublished { .. } => 11,
        Event::HandedOut { .. } => 12,
        Event::Located(_) => 13,
    };
    let tried: BTreeSet<i32> = events().iter().map(|(_, event)| number(event)).collect();
    assert_eq!(tried, (0..14).collect());
}
