use fake_slurm::{ClusterConfig, Execution, FakeCluster, Generation, Partition};
use std::time::Duration;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let generation: Generation = a[2].parse().unwrap();
    let nodes = ["n1", "n2"];
    let mut batch = Partition::new("batch", &nodes);
    batch.default_time = Some(30);
    let mut short = Partition::new("short", &nodes);
    (short.max_time, short.default_time) = (Some(5), Some(1));
    let [low, high] = ["low", "high"].map(|name| Partition::new(name, &nodes));
    let config = ClusterConfig {
        generation,
        partitions: vec![batch, short, low, high],
        execution: Execution::Processes,
        first_job_id: a[3].parse().unwrap(),
        start_delay: Duration::from_millis(200),
        ..ClusterConfig::default()
    };
    let c = FakeCluster::with_config(std::path::Path::new(&a[1]), config).unwrap();
    std::mem::forget(c);
}
