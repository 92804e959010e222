//! Who is who: identities that contradict each other, ids that are no ids, links, other users.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Identity, Running, acquire, list, release, resolve, text};
use crate::fake_site::{Site, each};
use crate::truth::seconds;

/// The same identity with one thing changed.
fn contradictions(identity: &Identity) -> Vec<Identity> {
    let mut slug = identity.clone();
    slug.slug.push_str("-other");
    let mut name = identity.clone();
    name.name.push('0');
    vec![slug, name]
}

#[test]
fn a_contradictory_identity_is_refused_before_anything_happens() {
    let site = Site::new();
    let identity = site.identity();
    let lease = site.warmup(&identity, &json!({})).lease();
    let calls = site.cluster.calls().unwrap().len();
    let journal = fs::read(site.lease_file(&identity, "journal.jsonl")).unwrap();
    for other in contradictions(&identity) {
        for request in [
            acquire(&other, &json!({})),
            resolve(&other),
            release(&other),
        ] {
            let error = site.ask(&request).error();
            assert!(
                error.contains("contradicts") || error.contains("exists already"),
                "{error}"
            );
        }
    }
    let mut wrong_cloud = release(&identity);
    wrong_cloud["lease"]["cloudId"] = json!("slurm/job/4711");
    site.ask(&wrong_cloud).error();
    let mut expecting = release(&identity);
    expecting["expected"] = json!({"leaseId": "cbx_ffffffffffff"});
    site.ask(&expecting).error();
    assert_eq!(
        site.cluster.calls().unwrap().len(),
        calls,
        "Slurm was asked"
    );
    let now = fs::read(site.lease_file(&identity, "journal.jsonl")).unwrap();
    assert_eq!(now, journal, "something was written");
    assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
    site.release(&identity).done();
    site.assert_nothing_left();
}

/// What is no lease id.
const IDS: [&str; 14] = [
    "..",
    ".",
    "../../etc",
    "/etc/passwd",
    "cbx_0123456789ab/..",
    "cbx_0123456789ab/../cbx_0123456789ac",
    "~",
    "-rf",
    "$(reboot)",
    "cbx_0123456789ab\n",
    "cbx_0123456789ab\u{0}",
    "cbx 0123456789ab",
    "*",
    "cbx_\u{e9}0123456789a",
];

#[test]
fn what_is_no_lease_id_becomes_no_path() {
    let long = "a".repeat(5000);
    let ids: Vec<&str> = IDS.into_iter().chain([long.as_str(), ""]).collect();
    let site = Site::new();
    let neighbours = || -> Vec<_> {
        let entries = fs::read_dir(site.root()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = neighbours();
    each(&ids, |&id| {
        let mut odd = site.identity();
        odd.lease = id.to_owned();
        site.ask(&acquire(&odd, &json!({}))).error();
    });
    assert_eq!(
        neighbours(),
        before,
        "a request that is refused leaves nothing behind"
    );
    each(&ids, |&id| {
        let mut odd = site.identity();
        odd.lease = id.to_owned();
        drop(site.ask(&resolve(&odd)).error());
        // There may be nothing to release, but nothing is made or removed for it.
        drop(site.ask(&release(&odd)));
    });
    assert_eq!(site.records(), Vec::<String>::new());
    assert!(site.submissions().is_empty());
    site.assert_nothing_left();
}

#[test]
fn what_is_no_request_is_answered_all_the_same() {
    let site = Site::new();
    let requests: [&[u8]; 9] = [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe\x00",
        b"{\"protocolVersion\":1}",
        b"{\"protocolVersion\":2,\"operation\":\"list\"}",
        b"{\"protocolVersion\":1,\"operation\":\"acquire\",\"desired\":7}",
    ];
    each(&requests, |request| {
        let error = site.ask_bytes(request).within(seconds(8)).error();
        assert!(!error.is_empty());
    });
    assert!(!site.state_dir().exists());
    assert!(site.cluster.calls().unwrap().is_empty());
}

/// A directory elsewhere that no operation is to touch.
fn elsewhere(site: &Site) -> std::path::PathBuf {
    let path = site.root().join("elsewhere");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("precious"), "untouched").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn assert_untouched(path: &Path) {
    let names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["precious"]);
    assert_eq!(fs::read(path.join("precious")).unwrap(), b"untouched");
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed() {
    each(&["jobs", "locks", "released", "queue"], |&name| {
        let site = Site::new();
        let elsewhere = elsewhere(&site);
        fs::create_dir(site.state_dir()).unwrap();
        fs::set_permissions(site.state_dir(), fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&elsewhere, site.state_dir().join(name)).unwrap();
        let error = site.acquire(&site.identity(), &json!({})).error();
        assert!(error.contains("is not a directory"), "{error}");
        site.ask(&list()).error();
        site.cleanup().error();
        assert_untouched(&elsewhere);
        assert!(site.submissions().is_empty());
    });
}

#[test]
fn a_link_in_the_place_of_a_lease_is_not_followed() {
    let site = Site::new();
    let identity = site.identity();
    let elsewhere = elsewhere(&site);
    site.ask(&list()).done();
    symlink(&elsewhere, site.lease_dir(&identity)).unwrap();
    site.acquire(&identity, &json!({})).error();
    drop(site.release(&identity));
    drop(site.cleanup());
    assert_untouched(&elsewhere);
    assert!(site.submissions().is_empty());
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let names = [
        "journal.jsonl",
        "submit.lock",
        "acquiring",
        "claimed",
        "release",
        "known_hosts",
        "endpoint.json",
        "runner.sh",
    ];
    each(&names, |&name| {
        let site = Site::new();
        let identity = site.identity();
        site.warmup(&identity, &json!({})).lease();
        let precious = elsewhere(&site).join("precious");
        let path = site.lease_file(&identity, name);
        drop(fs::remove_file(&path));
        symlink(&precious, &path).unwrap();
        drop(site.warmup(&identity, &json!({"acquireTimeoutSeconds": 2})));
        drop(site.resolve(&identity));
        site.release(&identity).within(seconds(25)).done();
        assert_untouched(precious.parent().unwrap());
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn others_do_not_reach_a_lease() {
    let site = Site::new();
    let identity = site.identity();
    site.warmup(&identity, &json!({})).lease();
    let mode = fs::metadata(site.lease_dir(&identity))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    let key = site.lease_file(&identity, "id_ed25519");
    assert_eq!(
        fs::metadata(key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can be somebody else"
    );
    fs::set_permissions(site.root(), fs::Permissions::from_mode(0o755)).unwrap();
    for request in [list(), resolve(&identity), release(&identity)] {
        let mut command = site.command();
        // nobody, wherever this runs.
        command.uid(65_534).gid(65_534);
        let answer = Running::start(command, &request.to_string())
            .finish(seconds(60))
            .answer;
        let error = text(&answer["error"]);
        assert!(
            error.contains("denied") || error.contains("another user"),
            "{answer}"
        );
    }
    assert_eq!(site.live(&identity).len(), 1);
    site.resolve(&identity).lease();
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn a_state_directory_that_others_may_write_to_is_refused() {
    let site = Site::new();
    fs::create_dir(site.state_dir()).unwrap();
    fs::set_permissions(site.state_dir(), fs::Permissions::from_mode(0o777)).unwrap();
    let answer: Value = site.acquire(&site.identity(), &json!({})).answer;
    let error = text(&answer["error"]);
    assert!(error.contains("others may write to it"), "{error}");
    assert!(site.submissions().is_empty());
}

#[test]
fn a_released_lease_is_not_taken_for_one_that_cannot_be_read() {
    let site = Site::new();
    let (first, mut second) = (site.identity(), site.identity());
    second.slug = first.slug.clone();
    site.acquire(&first, &json!({})).lease();
    site.release(&first).done();
    let typed = json!({
        "protocolVersion": 1, "operation": "resolve", "id": first.slug, "releaseOnly": true,
    });
    assert_eq!(
        site.ask(&typed).lease()["leaseId"],
        json!(first.lease),
        "it is answered again"
    );
    site.acquire(&second, &json!({})).lease();
    fs::write(site.lease_file(&second, "journal.jsonl"), "garbage\n").unwrap();
    let error = site.ask(&typed).error();
    assert!(
        error.contains("cannot be read") && error.contains(&second.lease),
        "{error}"
    );
    // Whoever knows what it is called is answered in those words.
    let lease = site.resolve(&second).lease();
    assert_eq!(
        [&lease["slug"], &lease["name"]],
        [&second.slug, &second.name]
    );
    assert_eq!(site.live(&second).len(), 1);
    fs::remove_file(site.lease_file(&second, "endpoint.json")).unwrap();
    let error = site.resolve(&second).error();
    let stop = format!("`crabbox stop {}`", second.lease);
    assert!(
        error.contains("but its record here is lost") && error.contains(&stop),
        "{error}"
    );
    site.release(&second).done();
    site.assert_nothing_left();
}

#[test]
fn a_release_without_a_state_directory_says_that_nothing_was_released() {
    let site = Site::new();
    let file = site.root().join("file");
    fs::write(&file, "").unwrap();
    let site = site.with_state_dir(&file);
    let error = site.release(&site.identity()).error();
    assert!(error.contains("nothing was released"), "{error}");
}
