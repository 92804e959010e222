//! Leases that the Python adapter left behind: their jobs have no comment and start anywhere.

use std::fs;

use fake_slurm::Base;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::client::Identity;
use crate::fake_site::Site;
use crate::truth::seconds;

/// Its record of a lease whose job was submitted so long ago.
fn record(site: &Site, identity: &Identity, job: u32, age: SignedDuration) {
    let directory = site.lease_dir(identity);
    fs::create_dir_all(&directory).unwrap();
    let state = json!({
        "leaseId": identity.lease, "slug": identity.slug, "name": identity.name,
        "jobId": job.to_string(), "createdAt": (Timestamp::now() - age).to_string(),
    });
    fs::write(directory.join("state.json"), state.to_string()).unwrap();
}

#[test]
fn a_lease_is_released_beside_jobs_of_its_name() {
    let site = Site::modelled();
    let identity = site.identity();
    let before = site.stranger(&identity.name);
    let job = site.stranger(&identity.name);
    record(&site, &identity, job, SignedDuration::from_secs(1));
    let after = site.stranger(&identity.name);
    let row = site.listed(&identity).expect("a row");
    assert_eq!(row["cloudId"], format!("slurm/job/{job}"), "{row}");
    for _ in 0..2 {
        site.release(&identity).within(seconds(10)).done();
    }
    assert_eq!(site.base(job), Base::Cancelled);
    for own in [before, after] {
        assert_eq!(site.base(own), Base::Running);
    }
}

#[test]
fn a_job_of_its_number_and_name_that_came_hours_later_is_another() {
    let site = Site::modelled().with_settle("1");
    let identity = site.identity();
    let job = site.stranger(&identity.name);
    record(&site, &identity, job, SignedDuration::from_hours(2));
    site.release(&identity).within(seconds(20)).done();
    assert_eq!(site.base(job), Base::Running);
    assert_eq!(site.records(), Vec::<String>::new());
}
