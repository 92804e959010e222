//! State directories that are full, read-only, damaged or gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{Client, Identity, text};
use crate::cluster::{Cluster, User};
use crate::truth::{seconds, until};

/// A small file system of its own. It is there before the cluster is, since Slurm's daemons see
/// only what was mounted when they started.
#[derive(Debug)]
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let path = tempfile::Builder::new()
            .prefix("slurm-cbx-disk-")
            .tempdir()
            .unwrap()
            .keep();
        let disk = Self { path };
        disk.mount(&["-t", "tmpfs", "-o", "size=512k,mode=755", "tmpfs"]);
        User::named("cbxalice").own(&disk.path);
        disk
    }

    fn mount(&self, options: &[&str]) {
        let done = Command::new("mount")
            .args(options)
            .arg(&self.path)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Leaves no room.
    fn fill(&self) {
        let filler = self.path.join("filler");
        let file = fs::File::create(&filler).unwrap();
        let mut input = fs::File::open("/dev/zero").unwrap();
        let full = std::io::copy(&mut input, &mut &file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn clear(&self) {
        fs::remove_file(self.path.join("filler")).unwrap();
    }

    fn state_dir(&self) -> PathBuf {
        self.path.join("state")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a job that is still ending may have files there.
        drop(Command::new("umount").arg("-l").arg(&self.path).status());
        drop(fs::remove_dir(&self.path));
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn on_a_full_disk_nothing_is_submitted_and_a_release_still_cancels() {
    let disk = Disk::new();
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster).with_state_dir(&disk.state_dir());
    let (held, refused) = (client.identity(), client.identity());
    client.acquire(&held, &json!({})).lease();
    disk.fill();
    let error = client.acquire(&refused, &json!({})).error();
    assert!(
        error.contains("No space left") || error.contains("full"),
        "{error}"
    );
    assert!(cluster.jobs(&refused.name).is_empty());
    client.resolve(&held).lease();
    client.listed(&held).expect("a row");
    let reply = client.release(&held).within(seconds(25));
    until(seconds(10), "the job to be over", || {
        cluster.live(&held.name).is_empty()
    });
    drop(reply);
    disk.clear();
    client.release(&held).done();
    client.assert_nothing_left(&held);
    client.acquire(&refused, &json!({})).lease();
    client.release(&refused).done();
    client.assert_nothing_left(&refused);
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_read_only_state_directory_hides_nothing_and_a_release_still_cancels() {
    let disk = Disk::new();
    let cluster = Cluster::own(&[]);
    let client = Client::new(&cluster).with_state_dir(&disk.state_dir());
    let (held, refused) = (client.identity(), client.identity());
    client.acquire(&held, &json!({})).lease();
    // On this side only: a batch script's output is still being written.
    disk.mount(&["-o", "remount,bind,ro"]);
    let error = client.acquire(&refused, &json!({})).error();
    assert!(error.contains("Read-only"), "{error}");
    assert!(cluster.jobs(&refused.name).is_empty());
    client.listed(&held).expect("a row");
    drop(client.release(&held).within(seconds(25)));
    until(seconds(10), "the job to be over", || {
        cluster.live(&held.name).is_empty()
    });
    disk.mount(&["-o", "remount,bind,rw"]);
    client.release(&held).done();
    client.assert_nothing_left(&held);
}

fn overwrite(client: &Client<'_>, path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    client.user.own(path);
}

fn journal(client: &Client<'_>, identity: &Identity) -> (PathBuf, Vec<u8>) {
    let path = client.lease_file(identity, "journal.jsonl");
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_journal_cut_anywhere_hides_no_lease() {
    let client = Client::new(Cluster::shared());
    let (cut, whole) = (client.identity(), client.identity());
    let lease = client.acquire(&cut, &json!({})).lease();
    client.acquire(&whole, &json!({})).lease();
    let (path, bytes) = journal(&client, &cut);
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    let offsets: Vec<usize> = (0..bytes.len()).step_by(61).chain(ends).collect();
    for at in offsets {
        overwrite(&client, &path, &bytes[..at]);
        let row = client
            .listed(&cut)
            .unwrap_or_else(|| panic!("cut at {at}, the lease is not listed"));
        assert_eq!(row["cloudId"], lease["cloudId"], "cut at {at}: {row}");
        assert_eq!(row["name"], cut.name.as_str(), "cut at {at}");
        assert!(
            text(&row["status"]).contains("RUNNING"),
            "cut at {at}: {row}"
        );
        let other = client.listed(&whole).expect("the other lease");
        assert_eq!(other["labels"]["state"], "ready");
        client.cleanup().done();
        assert_eq!(client.cluster.live(&cut.name).len(), 1, "cut at {at}");
    }
    overwrite(&client, &path, &bytes);
    for identity in [&cut, &whole] {
        client.release(identity).done();
        client.assert_nothing_left(identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_record_that_can_not_be_read_hides_no_lease() {
    let client = Client::new(Cluster::shared());
    let (bad, good) = (client.identity(), client.identity());
    let lease = client.acquire(&bad, &json!({})).lease();
    client.acquire(&good, &json!({})).lease();
    let path = client.lease_file(&bad, "journal.jsonl");
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o000);

    let row = client.listed(&bad).expect("the lease that can't be read");
    assert_eq!(row["cloudId"], lease["cloudId"], "{row}");
    let other = client.listed(&good).expect("the other lease");
    assert_eq!(other["labels"]["state"], "ready");
    client.cleanup().done();
    assert_eq!(client.cluster.live(&bad.name).len(), 1);
    let error = client.resolve(&bad).error();
    assert!(error.contains("journal.jsonl"), "{error}");

    set_mode(0o600);
    for identity in [&bad, &good] {
        client.release(identity).done();
        client.assert_nothing_left(identity);
    }
}

/// What can happen to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Zeroed,
    Replaced,
    /// Cut after this many eighths of its length.
    Eighths(usize),
    /// Cut after this many lines.
    Lines(usize),
}

fn damages() -> impl Iterator<Item = Damage> {
    let cuts = (0..8).map(Damage::Eighths).chain((1..5).map(Damage::Lines));
    [Damage::Zeroed, Damage::Replaced].into_iter().chain(cuts)
}

impl Damage {
    fn done_to(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Zeroed => vec![0; bytes.len()],
            Self::Replaced => b"what is this?\n".to_vec(),
            Self::Eighths(count) => bytes[..bytes.len() * count / 8].to_vec(),
            Self::Lines(count) => {
                let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                lines.take(count).flatten().copied().collect()
            }
        }
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_lease_whose_journal_is_damaged_is_found_and_ended() {
    let client = Client::new(Cluster::shared());
    for damage in damages() {
        let identity = client.identity();
        let lease = client.acquire(&identity, &json!({})).lease();
        let (path, bytes) = journal(&client, &identity);
        overwrite(&client, &path, &damage.done_to(&bytes));
        let reply = client.release_given(&lease).within(seconds(25));
        assert!(
            reply.answer.get("error").is_none(),
            "{damage:?}: {}",
            reply.answer
        );
        client.assert_nothing_left(&identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_retry_after_a_damage_attaches() {
    let client = Client::new(Cluster::shared());
    for keep in [0, 200] {
        let identity = client.identity();
        let lease = client.acquire(&identity, &json!({})).lease();
        let (path, bytes) = journal(&client, &identity);
        overwrite(&client, &path, &bytes[..keep]);
        let again = client.acquire(&identity, &json!({})).lease();
        assert_eq!(again["cloudId"], lease["cloudId"]);
        assert_eq!(client.cluster.jobs(&identity.name).len(), 1);
        client.release(&identity).done();
        client.assert_nothing_left(&identity);
    }
}

#[test]
#[ignore = "needs a real Slurm: scripts/test runs it"]
fn a_lease_without_a_directory_is_found_by_its_tag() {
    let client = Client::new(Cluster::shared());
    for everything in [false, true] {
        let identity = client.identity();
        let lease = client.acquire(&identity, &json!({})).lease();
        let doomed = if everything {
            client.state_dir()
        } else {
            client.lease_dir(&identity)
        };
        fs::remove_dir_all(doomed).unwrap();
        let row = client
            .listed(&identity)
            .expect("the job that carries the tag");
        assert_eq!(row["cloudId"], lease["cloudId"]);
        assert_eq!(row["name"], identity.name.as_str());
        client.cleanup().done();
        assert_eq!(
            client.cluster.live(&identity.name).len(),
            1,
            "a cleanup ends nobody's work"
        );
        client.release_given(&lease).within(seconds(25)).done();
        until(seconds(10), "the job to be over", || {
            client.cluster.live(&identity.name).is_empty()
        });
        client.assert_nothing_left(&identity);
    }
}
