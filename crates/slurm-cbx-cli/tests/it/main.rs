//! slurm-cbx as its client drives it: one process per operation, a request on stdin, an answer on
//! stdout. The `live_` modules do that on a real Slurm that `scripts/slurm-cluster` brings up;
//! they need root, to make the users whose leases these are and to stop daemons. The `crabbox_`
//! modules do the same through the real client, where there is a `crabbox` on `PATH`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod client;
mod cluster;
mod crabbox;
mod hostile;
mod transcript;
mod truth;

mod fake_cancel;
mod fake_configuration;
#[cfg(feature = "crash-points")]
mod fake_crash;
mod fake_disk;
mod fake_edited;
mod fake_endpoint;
mod fake_environment;
mod fake_former;
mod fake_identity;
mod fake_people;
mod fake_process;
mod fake_reading;
mod fake_several;
mod fake_site;
mod fake_strays;
mod fake_submission;
mod fake_time;

mod protocol_client;
mod protocol_input;

mod crabbox_faults;
mod crabbox_lease;
mod crabbox_proxy;
mod crabbox_queue;
mod crabbox_switch;

mod live_clusters;
mod live_disk;
mod live_environment;
mod live_failures;
mod live_interrupt;
mod live_lease;
mod live_races;
mod live_release;
mod live_site;
mod live_status;
mod schema;
