//! Jobs of a lease that its record does not tell of, or does not tell any more.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fake_slurm::{Base, ClusterConfig, Controller, SubmitPlugin};
use serde_json::{Value, json};

use crate::client::{Identity, Reply, acquire, text, warmup};
use crate::fake_site::{Site, each};
use crate::truth::{seconds, until};

/// A site where the job of a lease waits in the queue and nobody waits for it.
fn with_queued_job(site: &Site) -> Identity {
    let identity = site.identity();
    queue(site, &identity);
    identity
}

fn queue(site: &Site, identity: &Identity) {
    let config = json!({"acquireTimeoutSeconds": 1});
    let error = site.ask(&warmup(identity, &config)).error();
    assert!(error.contains("is kept"), "{error}");
    assert_eq!(site.live(identity).len(), 1);
}

/// The journal looks whole, and tells of no submission.
fn cut_to_first_line(site: &Site, identity: &Identity) {
    let path = site.lease_file(identity, "journal.jsonl");
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    fs::write(&path, &bytes[..=end]).unwrap();
}

#[test]
fn a_journal_that_lost_its_lines_proves_nothing_while_slurm_is_silent() {
    type Operation = fn(&Site, &Identity) -> Reply;
    let release: Operation = |site, identity| site.release(identity);
    let cleanup: Operation = |site, _| site.cleanup();
    let cases = [
        (Controller::Down, "error", release),
        (Controller::Down, "message", cleanup),
        (Controller::Hung, "error", release),
    ];
    each(&cases, |&(controller, said, operation)| {
        let site = Site::queueing();
        let identity = with_queued_job(&site);
        cut_to_first_line(&site, &identity);
        site.cluster.controller(controller).unwrap();
        let answer = operation(&site, &identity).within(seconds(30)).answer;
        assert!(text(&answer[said]).contains("cannot be told"), "{answer}");
        assert_eq!(site.records(), [identity.lease.as_str()]);
        site.cluster.controller(Controller::Up).unwrap();
        if said == "message" {
            site.cleanup().done();
            assert_eq!(site.live(&identity).len(), 1, "nobody asked for its end");
        }
        site.release(&identity).within(seconds(25)).done();
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

/// A site where a program in sbatch's place submits three times what it is asked to submit once.
fn with_retrying_sbatch() -> Site {
    let site = Site::queueing();
    let (real, own) = (site.cluster.bin_dir(), site.root().join("wrapped"));
    fs::create_dir(&own).unwrap();
    let once = format!("\"{}/sbatch\" \"$@\"", real.display());
    let text = format!("#!/bin/sh\n{once} >/dev/null\n{once} >/dev/null\nexec {once}\n");
    fs::write(own.join("sbatch"), text).unwrap();
    fs::set_permissions(own.join("sbatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:{}:/usr/bin:/bin", own.display(), real.display());
    site.with_variable("PATH", &search)
}

#[test]
fn every_job_of_a_submission_is_ended() {
    let site = with_retrying_sbatch();
    let identity = site.identity();
    let config = json!({"acquireTimeoutSeconds": 1});
    site.ask(&warmup(&identity, &config)).error();
    assert_eq!(site.live(&identity).len(), 3);
    let row = site.listed(&identity).expect("a row");
    // Twice: the client knows the lease by one of them, and repeats what it has not heard.
    for _ in 0..2 {
        let released = site.release_known(&row).within(seconds(20)).done();
        assert_eq!(released["lease"]["cloudId"], row["cloudId"]);
        site.assert_nothing_left();
    }
}

#[test]
fn what_is_remembered_of_a_lease_hides_no_job_of_the_next() {
    let remembered = |site: &Site, identity: &Identity| {
        let released = site.state_dir().join("released");
        released.join(format!("{}.json", identity.lease))
    };
    each(&[false, true], |&put_back| {
        let site = Site::queueing();
        let identity = with_queued_job(&site);
        site.release(&identity).done();
        let tombstone = fs::read(remembered(&site, &identity)).unwrap();
        queue(&site, &identity);
        assert!(!remembered(&site, &identity).exists(), "it is not over");
        if put_back {
            fs::write(remembered(&site, &identity), &tombstone).unwrap();
        }
        fs::remove_dir_all(site.lease_dir(&identity)).unwrap();
        let error = site.resolve(&identity).within(seconds(8)).error();
        assert!(error.contains("its record here is lost"), "{error}");
        let cleaned = site.cleanup().done();
        let kept = format!(
            "kept {}: its record here is lost or unreadable, but its job",
            identity.lease
        );
        assert!(text(&cleaned["message"]).contains(&kept), "{cleaned}");
        assert_eq!(site.live(&identity).len(), 1, "nobody asked for its end");
        site.cluster.controller(Controller::Down).unwrap();
        site.release(&identity).within(seconds(25)).error();
        site.resolve(&identity).within(seconds(8)).error();
        site.cluster.controller(Controller::Up).unwrap();
        site.release(&identity).within(seconds(25)).done();
        site.assert_nothing_left();
        let again = site.release(&identity).within(seconds(8)).done();
        assert!(
            text(&again["message"]).contains("was released already"),
            "{again}"
        );
        let error = site.resolve(&identity).error();
        assert!(error.contains("was released"), "{error}");
    });
}

#[test]
fn a_cleanup_leaves_alone_what_an_acquire_is_about_to_submit() {
    let site = Site::queueing();
    let (own, ready, go) = ("keygen", "ready", "go");
    let path = |name: &str| site.root().join(name).display().to_string();
    fs::create_dir(site.root().join(own)).unwrap();
    let script = format!(
        "#!/bin/sh\n: >'{}'\nuntil [ -e '{}' ]; do sleep 0.05; done\nexec /usr/bin/ssh-keygen \"$@\"\n",
        path(ready),
        path(go)
    );
    let program = site.root().join(own).join("ssh-keygen");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!(
        "{}:{}:/usr/bin:/bin",
        path(own),
        site.cluster.bin_dir().display()
    );
    let identity = site.identity();
    let (ready, go) = (path(ready), path(go));
    let site = site.with_variable("PATH", &search);
    let config = json!({"acquireTimeoutSeconds": 3});
    let running = site.begin(&warmup(&identity, &config));
    until(seconds(20), "the key to be made", || {
        fs::exists(&ready).unwrap()
    });
    site.cleanup().done();
    fs::write(&go, "").unwrap();
    let error = running.finish(seconds(40)).error();
    assert!(error.contains("is kept"), "{error}");
    site.release(&identity).within(seconds(25)).done();
    site.assert_nothing_left();
}

/// How a record can be lost.
const LOSSES: [fn(&Site, &Identity); 2] = [
    |site, identity| {
        let path = site.lease_file(identity, "journal.jsonl");
        let length = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    },
    |site, identity| fs::remove_dir_all(site.lease_dir(identity)).unwrap(),
];

/// A release as the client asks for it that was told this much.
fn release_as(identity: &Identity, told: &[&str], job: u32) -> Value {
    let mut lease = json!({"leaseId": identity.lease});
    for &field in told {
        lease[field] = match field {
            "slug" => json!(identity.slug),
            "name" => json!(identity.name),
            _ => json!(format!("slurm/job/{job}")),
        };
    }
    json!({"protocolVersion": 1, "operation": "release", "lease": lease, "force": true})
}

/// A site that takes comments away.
fn without_comments() -> Site {
    let site = Site::queueing();
    let plugin = SubmitPlugin {
        comment: Some(String::new()),
        ..SubmitPlugin::default()
    };
    site.cluster.plugin(plugin).unwrap();
    site
}

#[test]
fn a_lost_lease_whose_comment_is_gone_too_is_found_by_its_directory() {
    let told: [&[&str]; 4] = [
        &[],
        &["slug", "name"],
        &["cloudId"],
        &["slug", "name", "cloudId"],
    ];
    each(&LOSSES, |lose| {
        each(&told, |told| {
            let site = without_comments();
            let identity = with_queued_job(&site);
            let job = site.live(&identity)[0].id;
            // Somebody's own, which is of the same name.
            let stranger = site.stranger(&identity.name);
            lose(&site, &identity);
            let row = site.listed(&identity).expect("a row");
            assert_eq!(row["cloudId"], format!("slurm/job/{job}"), "{row}");
            let error = site.resolve(&identity).within(seconds(8)).error();
            assert!(error.contains("its record here is lost"), "{error}");
            site.ask(&release_as(&identity, told, job))
                .within(seconds(25))
                .done();
            assert_eq!(site.base(job), Base::Cancelled, "{told:?}");
            assert!(!site.base(stranger).is_over(), "{told:?}");
            site.cancel(stranger);
            site.cluster.advance(seconds(600)).unwrap();
            site.assert_nothing_left();
        });
    });
}

/// As the job of another adapter does, which starts anywhere.
#[test]
fn a_lost_lease_whose_job_starts_elsewhere_is_found_by_its_name_and_number() {
    let site = without_comments();
    let identity = site.identity();
    let job = site.stranger(&identity.name);
    // The number alone, or the name alone, is anybody's.
    for (told, id) in [(&["name"][..], job), (&["name", "cloudId"], job + 7)] {
        site.ask(&release_as(&identity, told, id))
            .within(seconds(25))
            .done();
        assert!(!site.base(job).is_over(), "{told:?}");
    }
    site.ask(&release_as(&identity, &["name", "cloudId"], job))
        .within(seconds(25))
        .done();
    assert_eq!(site.base(job), Base::Cancelled);
    site.assert_nothing_left();
}

#[test]
fn a_job_in_the_directory_of_a_lost_lease_that_is_not_called_like_it_is_doubtful() {
    let site = without_comments();
    let identity = with_queued_job(&site);
    let job = site.live(&identity)[0].id;
    let renamed = |name: &str| {
        let set = |cluster: &mut fake_slurm::Cluster, _| cluster.set_name(job, 0, name);
        site.cluster.change(set).unwrap().unwrap();
    };
    renamed("foo");
    LOSSES[1](&site, &identity);
    let error = site
        .ask(&release_as(&identity, &["name"], job))
        .within(seconds(25))
        .error();
    assert!(error.contains(&format!("job {job} (foo)")), "{error}");
    renamed(&identity.name);
    site.ask(&release_as(&identity, &["name"], job))
        .within(seconds(25))
        .done();
    assert_eq!(site.base(job), Base::Cancelled);
    site.assert_nothing_left();
}

#[test]
fn a_lease_whose_record_cannot_be_read_is_ended_and_nothing_is_written_to_it() {
    let spoil: [fn(&Site, &Identity); 2] = [
        |site, identity| {
            // Larger than any journal is.
            let path = site.lease_file(identity, "journal.jsonl");
            let journal = fs::File::options().write(true).open(path).unwrap();
            journal.set_len(65 << 20).unwrap();
        },
        |site, identity| {
            let elsewhere = site.root().join("elsewhere");
            fs::rename(site.lease_dir(identity), &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, site.lease_dir(identity)).unwrap();
        },
    ];
    each(&spoil, |spoil| {
        let site = Site::queueing();
        let identity = with_queued_job(&site);
        spoil(&site, &identity);
        site.cluster.controller(Controller::Down).unwrap();
        let before = contents(&site, &identity);
        site.release(&identity).within(seconds(25)).error();
        assert_eq!(contents(&site, &identity), before);
        site.cluster.controller(Controller::Up).unwrap();
        site.listed(&identity).expect("a row");
        site.release(&identity).within(seconds(25)).done();
        assert!(site.live(&identity).is_empty());
        assert_eq!(site.records(), Vec::<String>::new());
        if site.root().join("elsewhere").exists() {
            let left = site.root().join("elsewhere/journal.jsonl");
            assert!(left.exists(), "a link was followed");
        }
    });
}

/// The names in a lease's directory, and the journal's size.
fn contents(site: &Site, identity: &Identity) -> (Vec<String>, u64) {
    let entries = fs::read_dir(site.lease_dir(identity)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let journal = fs::metadata(site.lease_file(identity, "journal.jsonl")).unwrap();
    (names, journal.len())
}

#[test]
fn a_bad_file_among_the_remembered_hides_no_lease() {
    let site = Site::queueing();
    let identity = with_queued_job(&site);
    let released = site.state_dir().join("released");
    fs::create_dir(released.join("cbx_00000000dead.json")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", released.join("cbx_00000000beef.json")).unwrap();
    let error = site.resolve(&identity).error();
    assert!(error.contains("is queued"), "{error}");
    site.cleanup().done();
    site.release(&identity).within(seconds(25)).done();
    site.assert_nothing_left();
}

#[test]
fn an_acquire_whose_record_is_removed_takes_its_job_back() {
    let site = Site::queueing();
    let identity = site.identity();
    let running = site.begin(&acquire(&identity, &json!({})));
    site.wait_for_job(&identity);
    fs::remove_dir_all(site.lease_dir(&identity)).unwrap();
    let error = running.finish(seconds(40)).error();
    assert!(
        error.contains("was removed") && error.contains("was cancelled"),
        "{error}"
    );
    site.assert_nothing_left();
}

#[test]
fn a_lease_of_the_same_id_in_another_state_directory_is_left_alone() {
    let site = Site::queueing();
    let identity = with_queued_job(&site);
    let (own, other) = (site.state_dir(), site.root().join("other"));
    let site = site.with_state_dir(&other);
    // Nor said to be nothing: it could be the same directory by another path.
    let error = site.release(&identity).within(seconds(25)).error();
    assert!(error.contains("of another state directory"), "{error}");
    assert_eq!(site.live(&identity).len(), 1, "it is not this one's");
    let site = site.with_state_dir(&own);
    site.release(&identity).within(seconds(25)).done();
    site.assert_nothing_left();
}

/// A name that was mistyped once.
#[test]
fn a_cluster_that_never_was_keeps_no_lost_lease() {
    let site = Site::with_config(ClusterConfig {
        accounting: true,
        ..ClusterConfig::default()
    });
    let mistyped = json!({"cluster": "nosuch"});
    let error = site.acquire(&site.identity(), &mistyped).error();
    assert!(error.contains("nothing was submitted"), "{error}");
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.wait_for_job(&identity);
    fs::write(site.lease_file(&identity, "journal.jsonl"), "").unwrap();
    site.cancel(job);
    site.cluster.advance(seconds(600)).unwrap();
    site.forget_queue();
    let told = ["slug", "name", "cloudId"];
    site.ask(&release_as(&identity, &told, job))
        .within(seconds(25))
        .done();
    site.assert_nothing_left();
}

/// A site whose plugin writes its own comments, and somebody's own job of the lease's name.
#[test]
fn a_release_touches_no_other_job_of_the_name() {
    let site = Site::modelled();
    let comment = Some("site rewrote this".to_owned());
    let plugin = SubmitPlugin {
        comment,
        ..SubmitPlugin::default()
    };
    site.cluster.plugin(plugin).unwrap();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.wait_for_job(&identity);
    let own = site.stranger(&identity.name);
    site.release(&identity).within(seconds(25)).done();
    assert_eq!(site.base(job), Base::Cancelled);
    assert_eq!(site.base(own), Base::Running);
    assert_eq!(site.records(), Vec::<String>::new());
}

#[test]
fn a_torn_journal_leads_to_no_other_job_of_the_name() {
    let site = Site::modelled();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    let job = site.wait_for_job(&identity);
    let own = site.stranger(&identity.name);
    let path = site.lease_file(&identity, "journal.jsonl");
    let journal = fs::read(&path).unwrap();
    let end = journal.iter().position(|byte| *byte == b'\n').unwrap();
    fs::write(&path, &journal[..end + 40]).unwrap();
    site.release(&identity).within(seconds(25)).done();
    assert_eq!(site.base(job), Base::Cancelled);
    assert_eq!(site.base(own), Base::Running);
    assert_eq!(site.records(), Vec::<String>::new());
}
