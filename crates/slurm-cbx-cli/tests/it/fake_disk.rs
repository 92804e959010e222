//! State directories that are full, read-only, damaged or gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use fake_slurm::{Action, Program};
use serde_json::{Value, json};

use crate::client::{Identity, list, release, text};
use crate::fake_site::{Site, each};
use crate::truth::{seconds, until};

/// A small file system of its own, which root alone can make.
#[derive(Debug)]
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("slurm-cbx-disk-")
            .tempdir()
            .unwrap();
        let disk = Self { directory };
        disk.mount(&["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs"]);
        disk
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn mount(&self, options: &[&str]) {
        let mut mount = Command::new("mount");
        let done = mount.args(options).arg(self.path()).output().unwrap();
        assert!(done.status.success(), "mount, as root: {done:?}");
    }

    /// Leaves no room.
    fn fill(&self) {
        let file = fs::File::create(self.path().join("filler")).unwrap();
        let mut zeros = fs::File::open("/dev/zero").unwrap();
        let full = io::copy(&mut zeros, &mut &file).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    fn clear(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a job that is still ending may have files there.
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[test]
fn on_a_full_disk_nothing_is_submitted_and_a_release_still_cancels() {
    let disk = Disk::new();
    let site = Site::new().with_state_dir(&disk.path().join("state"));
    let (held, refused) = (site.identity(), site.identity());
    site.warmup(&held, &json!({})).lease();
    disk.fill();
    let error = site.acquire(&refused, &json!({})).error();
    assert!(error.contains("No space left"), "{error}");
    assert!(site.jobs(&refused).is_empty());
    assert_eq!(site.submissions().len(), 1);
    site.resolve(&held).lease();
    site.listed(&held).expect("a row");
    site.cleanup().done();
    // Whether it can be written down or not.
    drop(site.release(&held).within(seconds(25)));
    until(seconds(10), "the job to be over", || {
        site.live(&held).is_empty()
    });
    disk.clear();
    site.release(&held).done();
    site.cleanup().done();
    assert_eq!(site.records(), Vec::<String>::new());
    site.acquire(&refused, &json!({})).lease();
    site.release(&refused).done();
    site.assert_nothing_left();
}

#[test]
fn a_read_only_state_directory_hides_nothing_and_a_release_still_cancels() {
    let disk = Disk::new();
    // No process may have a file open there for writing.
    let site = Site::modelled().with_state_dir(&disk.path().join("state"));
    let (held, refused) = (site.identity(), site.identity());
    site.warmup_modelled(&held);
    disk.mount(&["-o", "remount,bind,ro"]);
    let error = site.acquire(&refused, &json!({})).error();
    assert!(error.contains("Read-only"), "{error}");
    assert_eq!(site.submissions().len(), 1);
    site.listed(&held).expect("a row");
    drop(site.release(&held).within(seconds(25)));
    until(seconds(10), "the job to be over", || {
        site.live(&held).is_empty()
    });
    disk.mount(&["-o", "remount,bind,rw"]);
    site.release(&held).done();
    site.assert_nothing_left();
}

/// A site with a lease, and what is in its journal.
fn with_journal() -> (Site, Identity, Value, Vec<u8>) {
    let site = Site::new();
    let identity = site.identity();
    let lease = site.warmup(&identity, &json!({})).lease();
    let bytes = fs::read(site.lease_file(&identity, "journal.jsonl")).unwrap();
    (site, identity, lease, bytes)
}

/// That the lease is listed as what it is, and left alone.
fn assert_found(site: &Site, identity: &Identity, lease: &Value) {
    let answer = site.ask(&list()).done();
    let rows = answer["leases"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["leaseId"] == identity.lease.as_str());
    let row = row.unwrap_or_else(|| panic!("it is not listed: {answer}"));
    assert_eq!(row["cloudId"], lease["cloudId"], "{row}");
    assert_eq!(row["name"], identity.name.as_str(), "{row}");
    assert!(text(&row["status"]).contains("RUNNING"), "{row}");
    site.cleanup().done();
    assert_eq!(site.live(identity).len(), 1);
}

#[test]
fn a_journal_cut_anywhere_hides_no_lease() {
    let (site, cut, lease, bytes) = with_journal();
    let whole = site.identity();
    site.warmup(&whole, &json!({})).lease();
    let path = site.lease_file(&cut, "journal.jsonl");
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let ends = lines.scan(0, |at, line| {
        *at += line.len();
        Some(*at)
    });
    let ends = ends.flat_map(|end| [end - 2, end - 1, end, end + 1]);
    let lengths = (0..bytes.len()).step_by(67).chain(ends);
    // What a look at a cut journal may write to it is cut off with the next.
    for at in lengths.filter(|at| *at < bytes.len()) {
        fs::write(&path, &bytes[..at]).unwrap();
        let answer = site.ask(&list()).done();
        let rows = answer["leases"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "cut at {at}: {answer}");
        for row in rows {
            assert!(
                text(&row["status"]).contains("RUNNING"),
                "cut at {at}: {row}"
            );
        }
    }
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_found(&site, &cut, &lease);
    fs::write(&path, &bytes).unwrap();
    for identity in [&cut, &whole] {
        site.resolve(identity).lease();
        site.release(identity).done();
    }
    assert_eq!(site.submissions().len(), 2);
    site.assert_nothing_left();
}

/// What can happen to a journal.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Zeroed,
    Replaced,
    Gone,
    /// Cut after this many eighths of its length.
    Eighths(usize),
    /// Cut after this many lines.
    Lines(usize),
    /// Zeros after this many lines.
    ZeroTail(usize),
}

impl Damage {
    fn all() -> Vec<Self> {
        let cuts = (0..8).map(Self::Eighths).chain((1..5).map(Self::Lines));
        let tails = (0..5).map(Self::ZeroTail);
        let others = [Self::Zeroed, Self::Replaced, Self::Gone];
        others.into_iter().chain(cuts).chain(tails).collect()
    }

    fn befall(self, path: &Path, bytes: &[u8]) {
        let lines = |count: usize| -> Vec<u8> {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            lines.take(count).flatten().copied().collect()
        };
        let damaged = match self {
            Self::Gone => return fs::remove_file(path).unwrap(),
            Self::Zeroed => vec![0; bytes.len()],
            Self::Replaced => b"what is this?\n".to_vec(),
            Self::Eighths(count) => bytes[..bytes.len() * count / 8].to_vec(),
            Self::Lines(count) => lines(count),
            Self::ZeroTail(count) => [lines(count), vec![0; 64]].concat(),
        };
        fs::write(path, damaged).unwrap();
    }
}

#[test]
fn a_lease_whose_journal_is_damaged_is_found_and_ended() {
    each(&Damage::all(), |damage| {
        let (site, identity, lease, bytes) = with_journal();
        damage.befall(&site.lease_file(&identity, "journal.jsonl"), &bytes);
        assert_found(&site, &identity, &lease);
        site.release(&identity).within(seconds(25)).done();
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn a_retry_after_a_damage_attaches() {
    each(&Damage::all(), |damage| {
        let (site, identity, lease, bytes) = with_journal();
        damage.befall(&site.lease_file(&identity, "journal.jsonl"), &bytes);
        let again = site.warmup(&identity, &json!({})).lease();
        assert_eq!(again["cloudId"], lease["cloudId"]);
        assert_eq!(site.submissions().len(), 1);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_lease_without_a_directory_is_found_by_its_tag() {
    let doomed: [fn(&Site, &Identity) -> PathBuf; 3] = [
        |site, identity| site.lease_dir(identity),
        |site, _| site.state_dir().join("jobs"),
        |site, _| site.state_dir(),
    ];
    each(&doomed, |doomed| {
        for attach in [false, true] {
            let (site, identity, lease, _) = with_journal();
            fs::remove_dir_all(doomed(&site, &identity)).unwrap();
            assert_found(&site, &identity, &lease);
            if attach {
                // What is handed out again is the job that there is.
                let mut running = site.begin(&crate::client::warmup(&identity, &json!({})));
                until(seconds(20), "a record", || !site.records().is_empty());
                assert!(running.is_going_on());
                site.publish(&identity);
                let again = running.finish(seconds(30)).lease();
                assert_eq!(again["cloudId"], lease["cloudId"]);
            }
            site.release(&identity).within(seconds(25)).done();
            assert_eq!(site.submissions().len(), 1);
            site.assert_nothing_left();
        }
    });
}

#[test]
fn a_release_whose_record_is_removed_meanwhile_still_ends_the_job() {
    let (site, identity, _, _) = with_journal();
    site.cluster
        .inject_next(Program::Scancel, Action::DoNothing)
        .unwrap();
    let running = site.begin(&release(&identity));
    until(seconds(10), "the first scancel", || {
        !site.cluster.calls_of(Program::Scancel).unwrap().is_empty()
    });
    fs::remove_dir_all(site.lease_dir(&identity)).unwrap();
    // It may say that it failed, but not that it is done while the job runs.
    let reply = running.finish(seconds(40)).within(seconds(25));
    let is_live = !site.live(&identity).is_empty();
    assert_eq!(
        is_live,
        reply.answer.get("error").is_some(),
        "{}",
        reply.answer
    );
    site.release(&identity).within(seconds(25)).done();
    site.cleanup().done();
    site.assert_nothing_left();
}

#[test]
fn one_bad_lease_hides_no_other() {
    let (site, good, lease, _) = with_journal();
    let jobs = site.state_dir().join("jobs");
    let bad = |number: u32| jobs.join(format!("cbx_00000000bad{number}"));
    for number in 0..4 {
        fs::create_dir(bad(number)).unwrap();
        fs::write(bad(number).join("slurm-1.out"), "").unwrap();
    }
    fs::create_dir(bad(1).join("journal.jsonl")).unwrap();
    fs::write(bad(2).join("journal.jsonl"), [0xff; 300]).unwrap();
    let newer = r#"{"v":99,"at":"2031-01-01T00:00:00Z","event":"moved"}"#;
    fs::write(bad(3).join("journal.jsonl"), format!("{newer}\n")).unwrap();
    fs::write(jobs.join("README"), "no lease").unwrap();
    site.resolve(&good).lease();
    let answer = site.ask(&list()).done();
    let rows = answer["leases"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "each is listed: {answer}");
    let ready = |row: &&Value| row["labels"]["state"] == "ready";
    assert_eq!(rows.iter().filter(ready).count(), 1, "{answer}");
    assert_eq!(
        site.warmup(&good, &json!({})).lease()["cloudId"],
        lease["cloudId"]
    );
    site.cleanup().done();
    site.release(&good).within(seconds(25)).done();
    assert!(site.live(&good).is_empty());
    for number in 0..4 {
        assert!(bad(number).exists(), "{number}");
    }
}
