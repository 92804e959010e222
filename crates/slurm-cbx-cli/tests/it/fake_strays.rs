//! Jobs of a lease that its record does not tell of, or does not tell any more.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fake_slurm::Controller;
use serde_json::{Value, json};

use crate::client::{Identity, Reply, text, warmup};
use crate::fake_site::{Site, each};
use crate::truth::seconds;

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
    let released: Value = site.release(&identity).within(seconds(20)).done();
    assert!(
        text(&released["message"]).starts_with("released: job"),
        "{released}"
    );
    site.assert_nothing_left();
}
