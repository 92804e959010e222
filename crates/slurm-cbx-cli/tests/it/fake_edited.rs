//! Jobs that somebody edited: name and comment are anybody's to change, and prove nothing by that.
//! And scripts that would make several jobs of one.

use std::fs;
use std::time::Duration;

use fake_slurm::{Action, Base, Program, SubmitPlugin};
use serde_json::json;

use crate::client::Identity;
use crate::fake_site::{Site, each};
use crate::truth::seconds;

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
fn a_job_that_was_edited_and_requeued_is_known_by_its_directory() {
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
    let site = Site::queueing();
    let identity = site.identity();
    let before = site.stranger(&identity.name);
    let wanted = json!({"acquireTimeoutSeconds": 2});
    site.warmup(&identity, &wanted).within(seconds(30)).error();
    let after = site.stranger(&identity.name);
    let job = before + 1;
    for _ in 0..2 {
        site.release(&identity).within(seconds(10)).done();
    }
    assert_eq!(site.base(job), Base::Cancelled);
    for own in [before, after] {
        assert_eq!(site.base(own), Base::Pending);
    }
    assert_eq!(site.submissions().len(), 3);
    assert_eq!(site.records(), Vec::<String>::new());
}

/// As a site's own runner may.
#[test]
fn what_a_script_of_ours_submits_is_left_alone() {
    let site = Site::modelled();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.wait_for_job(&identity);
    let own = site.stranger_in(&site.lease_dir(&identity), "part-of-it");
    let listed = site.listed(&identity).expect("a row");
    assert_eq!(listed["cloudId"], format!("slurm/job/{job}"));
    site.release(&identity).within(seconds(10)).done();
    assert_eq!(site.base(job), Base::Cancelled);
    assert_eq!(site.base(own), Base::Running);
    assert!(site.listed(&identity).is_none());
    assert_eq!(site.records(), Vec::<String>::new());
}

/// Nothing is known of the lease but its id.
#[test]
fn what_a_script_of_a_lost_lease_submits_is_left_alone() {
    each(&[None, Some(String::new())], |comment| {
        let site = Site::modelled();
        let plugin = SubmitPlugin {
            comment: comment.clone(),
            ..SubmitPlugin::default()
        };
        site.cluster.plugin(plugin).unwrap();
        let identity = site.identity();
        site.warmup_modelled(&identity);
        let job = site.live(&identity)[0].id;
        let own = site.stranger_in(&site.lease_dir(&identity), "part-of-it");
        fs::remove_dir_all(site.lease_dir(&identity)).unwrap();
        let listed = site.listed(&identity).expect("a row");
        assert_eq!(listed["cloudId"], format!("slurm/job/{job}"));
        let by_id = json!({
            "protocolVersion": 1, "operation": "release", "lease": {"leaseId": identity.lease}, "force": true,
        });
        site.ask(&by_id).within(seconds(25)).done();
        assert_eq!(site.base(job), Base::Cancelled, "{comment:?}");
        assert_eq!(site.base(own), Base::Running, "{comment:?}");
        assert_eq!(site.records(), Vec::<String>::new());
    });
}

/// It may be ours after all, where a site changes both comments and directories. So it is named,
/// and nothing is cancelled.
#[test]
fn a_job_that_has_our_name_is_doubtful_while_a_submission_is_unanswered() {
    let site = Site::modelled();
    let identity = site.identity();
    let own = site.stranger(&identity.name);
    let unanswered = Action::Refuse {
        text: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
            .to_owned(),
        status: 1,
    };
    site.inject(Program::Sbatch, unanswered);
    let config = json!({"acquireTimeoutSeconds": 2});
    let told = format!("whose a job is cannot be told: job {own} (");
    let error = site.acquire(&identity, &config).within(seconds(40)).error();
    assert!(error.contains(&told), "{error}");
    let error = site.release(&identity).within(seconds(25)).error();
    assert!(error.contains(&told), "{error}");
    assert_eq!(site.base(own), Base::Running);
    site.cancel(own);
    site.cluster.advance(seconds(600)).unwrap();
    site.release(&identity).within(seconds(25)).done();
    site.assert_nothing_left();
}
