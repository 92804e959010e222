//! Jobs that somebody edited: name and comment are anybody's to change, and prove nothing by that.
//! And scripts that would make several jobs of one.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fake_slurm::Base;
use serde_json::json;

use crate::client::Identity;
use crate::fake_site::Site;
use crate::truth::{seconds, until};

/// The comment of a job that another lease made.
const ANOTHERS: &str = "slurm-lease/1 288575e0 cbx_000000000156 0000000000000001";

/// An operator's `scontrol update`.
fn edit(site: &Site, job: u32, comment: &str, name: Option<&str>) {
    let edited = site.cluster.change(|cluster, _| {
        name.map_or(Ok(()), |name| cluster.set_name(job, 0, name))?;
        cluster.set_comment(job, 0, comment)
    });
    edited.unwrap().unwrap();
}

fn comment_of(site: &Site, job: u32) -> String {
    let job = site.cluster.job(job).unwrap().expect("a job");
    job.request.comment.expect("a comment")
}

/// A job that waits in the queue, its client gone.
fn queued(site: &Site, identity: &Identity) -> u32 {
    let wanted = json!({"acquireTimeoutSeconds": 4});
    site.warmup(identity, &wanted).within(seconds(30)).error();
    site.wait_for_job(identity)
}

#[test]
fn a_job_with_another_comment_is_ended_all_the_same() {
    for comment in [ANOTHERS, "project=blue"] {
        let site = Site::queueing();
        let identity = site.identity();
        let job = queued(&site, &identity);
        edit(&site, job, comment, None);
        site.release(&identity).within(seconds(25)).done();
        assert_eq!(site.base(job), Base::Cancelled, "{comment}");
        assert_eq!(site.records(), Vec::<String>::new());
    }
}

/// The runner of the first run has left its stop marker, and the second run is in the queue under
/// another name.
#[test]
fn a_job_that_was_edited_and_requeued_is_not_taken_for_gone() {
    let site = Site::queueing();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.wait_for_job(&identity);
    let ours = comment_of(&site, job);
    let nonce = ours.rsplit(' ').next().unwrap();
    let marker = json!({
        "jobId": job, "restartCount": 0, "nonce": nonce, "exitCode": 0, "reason": "terminated",
        "message": ""
    });
    edit(&site, job, "bar", Some("foo"));
    let permitted = |permitted| {
        let set = |cluster: &mut fake_slurm::Cluster, _| cluster.set_requeue(job, 0, permitted);
        site.cluster.change(set).unwrap().unwrap();
    };
    permitted(true);
    site.cluster.advance(Duration::from_secs(2)).unwrap();
    assert!(site.cluster.requeue(job).unwrap());
    site.cluster.advance(Duration::from_secs(2)).unwrap();
    fs::write(
        site.lease_file(&identity, "stopped.json"),
        marker.to_string(),
    )
    .unwrap();
    assert_eq!(site.base(job), Base::Pending);

    let error = site.release(&identity).within(seconds(25)).error();
    assert!(error.contains("is not released yet"), "{error}");
    assert_eq!(site.base(job), Base::Pending);
    assert_eq!(site.records(), [identity.lease.as_str()]);

    // Once it can be told again, it is ended.
    edit(&site, job, &ours, None);
    site.release(&identity).within(seconds(25)).done();
    assert_eq!(site.base(job), Base::Cancelled);
    assert_eq!(site.records(), Vec::<String>::new());
}

#[test]
fn a_script_that_asks_for_several_jobs_is_refused_before_anything_happens() {
    for options in [
        "#SBATCH --array=1-3",
        "#SBATCH -n1\n#SBATCH hetjob\n#SBATCH -n1",
    ] {
        let site = Site::modelled();
        let identity = site.identity();
        let script = site.runner(&format!("{options}\nexec sleep 600\n"));
        let config = json!({"runnerScript": script});
        let said = [
            site.doctor(&config).error(),
            site.acquire(&identity, &config).error(),
        ];
        for error in said {
            let named = error.contains("#SBATCH") && error.contains("a lease is one job");
            assert!(named, "{error}");
        }
        assert!(site.submissions().is_empty());
        site.assert_nothing_left();
    }
}

#[test]
fn a_job_that_has_no_more_than_our_name_is_somebodys_own() {
    let site = Site::modelled();
    let identity = site.identity();
    let own = site.stranger(&identity.name);
    // A controller tells no more than the second.
    let second = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let submitted = second();
    until(seconds(3), "the next second", || second() > submitted);
    for request in [
        site.acquire(&identity, &json!({"acquireTimeoutSeconds": 6})),
        site.warmup(&identity, &json!({})),
    ] {
        let error = request.within(seconds(10)).error();
        let told = format!("nothing was submitted: whose a job is cannot be told: job {own} (");
        assert!(error.contains(&told), "{error}");
    }
    assert_eq!(site.base(own), Base::Running);
    assert_eq!(site.submissions().len(), 1, "the job itself");
    assert_eq!(site.records(), Vec::<String>::new());
}
