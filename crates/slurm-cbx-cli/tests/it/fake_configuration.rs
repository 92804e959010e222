//! One state directory, and a configuration that leads now to one cluster and now to another.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use fake_slurm::{Action, Base, ClusterConfig, Program};
use serde_json::json;

use crate::client::{acquire, text};
use crate::fake_site::Site;
use crate::truth::{seconds, until};

/// Two clusters of one user, who has one home directory.
fn two_clusters() -> (Site, Site) {
    beside(Site::modelled())
}

/// The same, the one of which is given.
fn beside(here: Site) -> (Site, Site) {
    let there = Site::with_config(ClusterConfig {
        name: "other".to_owned(),
        ..ClusterConfig::default()
    });
    let there = there.with_state_dir(&here.state_dir());
    (here, there)
}

#[test]
fn nothing_that_another_cluster_says_is_about_a_lease() {
    let (here, there) = two_clusters();
    let identity = here.identity();
    here.warmup_modelled(&identity);
    here.forget_queue();

    let told = "cluster, and this leads to other";
    let row = there.listed(&identity).expect("a row");
    assert!(text(&row["status"]).contains("another cluster"), "{row}");
    for error in [
        there.resolve(&identity).within(seconds(8)).error(),
        there.release(&identity).within(seconds(25)).error(),
        there.acquire(&identity, &json!({})).error(),
    ] {
        assert!(error.contains(told), "{error}");
    }
    let cleaned = there.cleanup().within(seconds(60)).done();
    assert!(text(&cleaned["message"]).starts_with("removed 0"));
    assert_eq!(here.base(1), Base::Running);
    assert_eq!(here.records(), [identity.lease.as_str()]);
    assert!(there.submissions().is_empty());
    let cancels = there.cluster.calls_of(Program::Scancel).unwrap();
    assert!(cancels.is_empty(), "{cancels:?}");

    here.release(&identity).within(seconds(25)).done();
    here.assert_nothing_left();
}

#[test]
fn a_lost_record_may_be_of_the_other_cluster() {
    let (here, there) = two_clusters();
    let identity = here.identity();
    here.warmup_modelled(&identity);
    fs::remove_dir_all(here.lease_dir(&identity)).unwrap();
    here.forget_queue();
    let error = there.release(&identity).within(seconds(25)).error();
    assert!(error.contains("it may be on cluster"), "{error}");
    assert_eq!(here.base(1), Base::Running);
    here.release(&identity).within(seconds(25)).done();
    assert_eq!(here.base(1), Base::Cancelled);
    here.assert_nothing_left();
}

#[test]
fn each_cluster_is_asked_for_its_own_leases() {
    let (here, there) = two_clusters();
    let (mine, theirs) = (here.identity(), there.identity());
    here.warmup_modelled(&mine);
    there.warmup_modelled(&theirs);
    // Within the second for which a picture of the queue is shared.
    for (site, identity) in [(&here, &mine), (&there, &theirs)] {
        let row = site.listed(identity).expect("a row");
        assert!(text(&row["status"]).starts_with("RUNNING"), "{row}");
    }
    there.release(&theirs).done();
    here.release(&mine).done();
    here.assert_nothing_left();
    there.assert_nothing_left();
}

#[test]
fn a_cluster_that_never_told_its_name_is_known_by_the_way_to_it() {
    let (here, there) = two_clusters();
    let conf = here.cluster.slurm_conf();
    let here = here.with_variable("SLURM_CONF", conf.to_str().unwrap());
    let identity = here.identity();
    here.inject(Program::Scontrol, Action::Kill(9));
    here.warmup_modelled(&identity);
    // What does not lead elsewhere is the same way.
    let mut configuration = fs::File::options().append(true).open(&conf).unwrap();
    configuration.write_all(b"\n# mended\n").unwrap();
    let row = here.listed(&identity).expect("a row");
    assert!(text(&row["status"]).starts_with("RUNNING"), "{row}");

    let error = there.resolve(&identity).within(seconds(8)).error();
    assert!(error.contains("never told its name"), "{error}");
    let error = there.release(&identity).within(seconds(25)).error();
    assert!(error.contains("never told its name"), "{error}");
    let cleaned = there.cleanup().within(seconds(60)).done();
    assert!(text(&cleaned["message"]).starts_with("removed 0"));
    assert_eq!(here.records(), [identity.lease.as_str()]);

    // A record that is lost beside it may be of that cluster too.
    fs::remove_dir_all(here.lease_dir(&identity)).unwrap();
    let error = there.release(&identity).within(seconds(25)).error();
    assert!(error.contains("never told its name"), "{error}");
    assert_eq!(here.base(1), Base::Running);

    here.release(&identity).within(seconds(25)).done();
    assert_eq!(here.base(1), Base::Cancelled);
    here.assert_nothing_left();
}

#[test]
fn a_name_that_is_told_late_is_written_down() {
    let (here, there) = two_clusters();
    let identity = here.identity();
    here.inject(Program::Scontrol, Action::Kill(9));
    here.warmup_modelled(&identity);
    here.cluster.clear_faults().unwrap();
    here.doctor(&json!({})).done();
    here.resolve(&identity).lease();
    let journal = fs::read_to_string(here.lease_file(&identity, "journal.jsonl")).unwrap();
    assert!(journal.contains(r#"{"located":{"way":"#), "{journal}");
    assert!(
        journal.contains(r#"{"located":{"cluster":"cluster"}}"#),
        "{journal}"
    );
    let error = there.release(&identity).within(seconds(25)).error();
    assert!(error.contains("the lease is on cluster"), "{error}");
    here.release(&identity).within(seconds(25)).done();
    here.assert_nothing_left();
}

/// The path that SLURM_CONF names leads to another cluster, while an acquire waits.
#[test]
fn an_acquire_whose_configuration_changes_leaves_no_job() {
    let (here, there) = beside(Site::queueing());
    let current = here.root().join("current");
    let lead_to = |site: &Site| {
        drop(fs::remove_file(&current));
        let conf = site.cluster.slurm_conf();
        symlink(conf.parent().unwrap(), &current).unwrap();
    };
    lead_to(&here);
    let conf = current.join("slurm.conf");
    let here = here.with_variable("SLURM_CONF", conf.to_str().unwrap());
    let identity = here.identity();
    let running = here.begin(&acquire(&identity, &json!({})));
    here.wait_for_job(&identity);
    lead_to(&there);
    let error = running.finish(seconds(60)).error();
    assert!(
        error.contains("leads to another cluster") && error.contains("is remembered"),
        "{error}"
    );
    assert_eq!(here.live(&identity).len(), 1);
    lead_to(&here);
    until(seconds(60), "the keeper to end it", || {
        here.live(&identity).is_empty() && here.records().is_empty()
    });
    here.assert_nothing_left();
}
