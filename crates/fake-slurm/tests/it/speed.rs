//! What a call costs is measured by `examples/speed.rs`; here only that many jobs work at all.

use fake_slurm::{Cluster, ClusterConfig, Job, Moment, Request};

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
        max_job_id: 3,
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
