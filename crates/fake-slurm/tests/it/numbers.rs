//! Many jobs, and their numbers. What a call costs is measured by `examples/speed.rs`.

use fake_slurm::{Cluster, ClusterConfig, Generation, Job, Moment, Request};

use crate::Bench;

#[test]
fn ten_thousand_jobs_are_listed() {
    let bench = Bench::new();
    let count = 10_000_u32;
    bench
        .cluster
        .change(|cluster, now| {
            cluster.config.scheduling = false;
            let id = cluster.submit(Request::default(), now).expect("accepted");
            let one = cluster.jobs.remove(&id).expect("it is there");
            let many = (1..=count).map(|id| (id, Job { id, ..one.clone() }));
            cluster.jobs.extend(many);
        })
        .unwrap();
    let said = bench.run("squeue", &["-h", "-o", "%i"]);
    assert_eq!(said.stdout.lines().count(), 10_000);
}

#[test]
fn a_wrapped_number_skips_jobs_that_live() {
    let now = Moment::from_seconds(1_700_000_000);
    let config = ClusterConfig {
        max_job_id: 4,
        ..ClusterConfig::default()
    };
    let mut cluster = Cluster::new(config, now);
    let submit = |cluster: &mut Cluster| cluster.submit(Request::default(), now);
    let ids: Vec<_> = (0..3).map(|_| submit(&mut cluster)).collect();
    assert_eq!(ids, [Ok(1), Ok(2), Ok(3)]);
    cluster.cancel(2, 0, now).expect("it runs");
    let later = now + std::time::Duration::from_secs(301);
    cluster.tick(later);
    assert_eq!(cluster.submit(Request::default(), later), Ok(2));
}

/// Tried with FirstJobId=700 and MaxJobId=704 on real clusters.
#[test]
fn numbers_begin_and_end_as_each_generation_has_them() {
    let now = Moment::from_seconds(1_700_000_000);
    let first_seven = |generation: Generation| {
        let config = ClusterConfig {
            generation,
            first_job_id: 700,
            max_job_id: 704,
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config, now);
        let mut numbers = Vec::new();
        for _ in 0..7 {
            let id = cluster.submit(Request::default(), now).expect("accepted");
            cluster.jobs.remove(&id);
            numbers.push(id);
        }
        cluster.lose_state();
        let id = cluster.submit(Request::default(), now).expect("accepted");
        assert_eq!(id, numbers[0], "after a loss of its state");
        numbers
    };
    let usual = [700, 701, 702, 703, 700, 701, 702];
    assert_eq!(
        first_seven(Generation::V20_11),
        [701, 702, 703, 700, 701, 702, 703]
    );
    assert_eq!(first_seven(Generation::V22_05), usual);
    assert_eq!(first_seven(Generation::V24_11), usual);
    assert_eq!(first_seven(Generation::V26_05), usual);
}

/// Tried with MaxJobCount=4 on real clusters.
#[test]
fn the_queue_is_full_when_each_generation_has_it_so() {
    let now = Moment::from_seconds(1_700_000_000);
    let accepted = Generation::ALL.map(|generation| {
        let config = ClusterConfig {
            generation,
            max_jobs: 4,
            ..ClusterConfig::default()
        };
        let mut cluster = Cluster::new(config, now);
        let submitted = std::iter::repeat_with(|| cluster.submit(Request::default(), now));
        submitted.take(9).take_while(Result::is_ok).count()
    });
    assert_eq!(accepted, [3, 3, 3, 4]);
}
