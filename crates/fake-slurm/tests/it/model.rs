//! No sequence of operations brings the model into a state that Slurm's controller is never in.

use std::collections::BTreeMap;
use std::time::Duration;

use fake_slurm::{
    Base, Cluster, ClusterConfig, Execution, Exit, Flag, Hold, Moment, Refusal, Request, Requeued,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Submit {
        requeue: bool,
        hold: bool,
        minutes: Option<u64>,
        cpus: u32,
    },
    Cancel(u32),
    Requeue(u32, bool),
    Hold(u32),
    Release(u32),
    Suspend(u32, bool),
    Finish(u32, u8),
    Start(u32),
    Preempt(u32),
    FailNode,
    RestoreNode,
    Cleared(u32),
    Wait(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    let id = 1..12_u32;
    prop_oneof![
        (
            any::<bool>(),
            any::<bool>(),
            proptest::option::of(1..9_u64),
            1..9_u32
        )
            .prop_map(|(requeue, hold, minutes, cpus)| Operation::Submit {
                requeue,
                hold,
                minutes,
                cpus
            }),
        id.clone().prop_map(Operation::Cancel),
        (id.clone(), any::<bool>()).prop_map(|(id, special)| Operation::Requeue(id, special)),
        id.clone().prop_map(Operation::Hold),
        id.clone().prop_map(Operation::Release),
        (id.clone(), any::<bool>()).prop_map(|(id, on)| Operation::Suspend(id, on)),
        (id.clone(), any::<u8>()).prop_map(|(id, status)| Operation::Finish(id, status)),
        id.clone().prop_map(Operation::Start),
        id.clone().prop_map(Operation::Preempt),
        Just(Operation::FailNode),
        Just(Operation::RestoreNode),
        id.prop_map(Operation::Cleared),
        (0..700_u32).prop_map(Operation::Wait),
    ]
}

fn apply(cluster: &mut Cluster, operation: &Operation, now: Moment) {
    match *operation {
        Operation::Submit {
            requeue,
            hold,
            minutes,
            cpus,
        } => {
            let request = Request {
                requeue: Some(requeue),
                hold,
                time_limit: minutes,
                tasks: cpus,
                ..Request::default()
            };
            cluster
                .submit(request, now)
                .expect("nothing in it can be refused");
        }
        // That an operation is refused is as good as that it is done.
        Operation::Cancel(id) => _ = cluster.cancel(id, 0, now),
        Operation::Requeue(id, special) => {
            let hold = special.then_some(Requeued::SpecialExit);
            _ = cluster.requeue(id, 0, hold, now);
        }
        Operation::Hold(id) => _ = cluster.hold(id, 0, Hold::User),
        Operation::Release(id) => _ = cluster.release(id, 0, now),
        Operation::Suspend(id, on) => _ = cluster.suspend(id, 0, on, now),
        Operation::Finish(id, status) => cluster.finish(id, Exit::status(status), now),
        Operation::Start(id) => cluster.start(id, now),
        Operation::Preempt(id) => cluster.preempt(id, now),
        Operation::FailNode => cluster.fail_node("n1", now),
        Operation::RestoreNode => cluster.set_node("n1", false, now),
        Operation::Cleared(id) => cluster.cleared(id, now),
        Operation::Wait(_) => {}
    }
}

/// What holds after every operation.
fn check(cluster: &Cluster, gone: &BTreeMap<u32, u64>) {
    for (id, job) in &cluster.jobs {
        assert_eq!(job.id, *id);
        assert_ne!(
            gone.get(id),
            Some(&job.serial),
            "a purged job is back: {job:?}"
        );
        if job.base.is_started() {
            assert!(job.start.is_some() && job.end.is_none(), "{job:?}");
            assert!(!job.nodes.is_empty(), "{job:?}");
        }
        if job.base.is_over() {
            assert!(job.end.is_some(), "{job:?}");
        }
        if job.is_waiting() {
            assert!(job.nodes.is_empty() && job.start.is_none(), "{job:?}");
        }
        if !job.requeue {
            assert_eq!(job.restarts, 0, "{job:?}");
        }
        assert!(!(job.is_completing() && job.base.is_started()), "{job:?}");
        assert!(
            job.flags.has(Flag::Completing) || job.cleared.is_none(),
            "{job:?}"
        );
    }
    // An accounting record is of a job that was.
    for record in &cluster.records {
        assert!(record.id < cluster.next_id && !record.entries.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_rules(
        operations in proptest::collection::vec(operation(), 1..60),
        epilog in 0..50_u64,
        processes: bool,
    ) {
        let mut now = Moment::from_seconds(1_700_000_000);
        let config = ClusterConfig {
            epilog: Duration::from_secs(epilog),
            execution: if processes { Execution::Processes } else { Execution::Virtual },
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config, now);
        let mut known: BTreeMap<u32, u64> = BTreeMap::new();
        let mut gone: BTreeMap<u32, u64> = BTreeMap::new();
        for operation in &operations {
            if let Operation::Wait(seconds) = operation {
                now = now + Duration::from_secs(u64::from(*seconds));
            }
            cluster.tick(now);
            apply(&mut cluster, operation, now);
            gone.extend(known.iter().filter(|(id, _)| !cluster.jobs.contains_key(id)));
            known.extend(cluster.jobs.values().map(|job| (job.id, job.serial)));
            check(&cluster, &gone);
        }
        // Whatever happened, time alone ends what is to end.
        let virtual_jobs = !processes;
        cluster.tick(now + Duration::from_secs(1_000_000));
        check(&cluster, &gone);
        if virtual_jobs {
            prop_assert!(cluster.jobs.values().all(|job| !job.is_completing()));
            prop_assert!(cluster.jobs.values().all(|job| !job.base.is_over()), "all are purged");
        }
    }

    #[test]
    fn a_job_without_requeue_never_starts_twice(
        operations in proptest::collection::vec(operation(), 1..60),
    ) {
        let mut now = Moment::from_seconds(1_700_000_000);
        let mut cluster = Cluster::new(ClusterConfig::default(), now);
        for operation in &operations {
            now = now + Duration::from_secs(1);
            apply(&mut cluster, operation, now);
        }
        for record in &cluster.records {
            let runs = cluster.records.iter().filter(|other| other.id == record.id).count();
            let fixed = cluster.jobs.get(&record.id).is_some_and(|job| !job.requeue);
            prop_assert!(!fixed || runs == 1);
            let started = record.entries.iter().filter(|entry| entry.state == Base::Running.names().0);
            prop_assert!(started.filter_map(|entry| entry.start).collect::<std::collections::BTreeSet<_>>().len() <= 1);
        }
    }
}

/// Tried on real clusters: two nodes of 8 CPUs and 4000 MiB.
#[test]
fn memory_is_used_up() {
    let now = Moment::from_seconds(1_700_000_000);
    let mut cluster = Cluster::new(ClusterConfig::default(), now);
    let mut submit = |change: fn(&mut Request)| {
        let mut request = Request::default();
        change(&mut request);
        let id = cluster.submit(request, now)?;
        let job = &cluster.jobs[&id];
        Ok::<_, Refusal>((job.base, job.reason.clone(), job.nodes.len()))
    };
    let waits = |reason: &str| Ok((Base::Pending, reason.to_owned(), 0));
    let runs = |nodes| Ok((Base::Running, "None".to_owned(), nodes));
    let dear = |request: &mut Request| request.memory_per_cpu = Some(3000);
    let refused = Err(Refusal::NodeConfigUnavailable);
    assert_eq!(
        submit(|request| (request.memory_per_cpu, request.tasks) = (Some(3000), 3)),
        refused
    );
    assert_eq!(
        submit(|request| (request.memory_per_cpu, request.tasks) = (Some(3000), 2)),
        runs(2)
    );
    assert_eq!(submit(|request| request.memory = Some(1000)), runs(1));
    assert_eq!(submit(|request| request.memory = Some(1000)), runs(1));
    assert_eq!(
        submit(|request| request.memory = Some(1)),
        waits("Resources")
    );
    assert_eq!(submit(dear), waits("Priority"));
}
