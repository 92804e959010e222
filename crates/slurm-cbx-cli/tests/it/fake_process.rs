//! Processes that are told to stop, that are killed, and whose client goes away.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use fake_slurm::{Action, Program};
use rustix::fs::fstat;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Identity, Running, acquire, list, release, resolve, warmup};
use crate::cluster::signal;
use crate::fake_site::{Site, each};
use crate::truth::{holders_of, is_alive, seconds, until};

fn grace(seconds: u64) -> Value {
    json!({"unclaimedGraceSeconds": seconds})
}

/// An acquire whose job waits in the queue.
fn begin(site: &Site, identity: &Identity, request: &Value) -> Running {
    let mut running = site.begin(request);
    let journal = || {
        let journal = fs::read_to_string(site.lease_file(identity, "journal.jsonl"));
        journal.unwrap_or_default()
    };
    until(seconds(20), "the job to be known", || {
        journal().contains("submission_answered")
    });
    assert!(running.is_going_on());
    running
}

/// That the lease ends without anybody asking for it.
fn assert_ends(site: &Site, identity: &Identity) {
    until(seconds(30), "the job to leave the queue", || {
        site.live(identity).is_empty()
    });
    until(seconds(20), "the record to be removed", || {
        site.records().is_empty()
    });
    assert_eq!(site.submissions().len(), 1);
    site.assert_nothing_left();
}

#[test]
fn signals_roll_back() {
    each(&[Signal::TERM, Signal::INT, Signal::HUP], |&which| {
        let site = Site::queueing();
        let identity = site.identity();
        let running = begin(&site, &identity, &acquire(&identity, &grace(120)));
        running.signal(which);
        let error = running.finish(seconds(25)).error();
        assert!(
            error.contains("interrupted") && error.contains("was cancelled"),
            "{error}"
        );
        assert!(site.live(&identity).is_empty());
        assert_ends(&site, &identity);
    });
}

#[test]
fn signals_leave_a_warmup_its_grace() {
    each(&[Signal::TERM, Signal::INT, Signal::HUP], |&which| {
        let site = Site::queueing();
        let identity = site.identity();
        let running = begin(&site, &identity, &warmup(&identity, &grace(2)));
        running.signal(which);
        let error = running.finish(seconds(25)).error();
        assert!(error.contains("kept for a while"), "{error}");
        assert_eq!(site.live(&identity).len(), 1);
        assert_ends(&site, &identity);
    });
}

#[test]
fn signals_are_heard_while_the_last_lease_of_the_id_is_ended() {
    each(&[Signal::TERM, Signal::INT, Signal::HUP], |&which| {
        let site = Site::modelled();
        let identity = site.identity();
        site.warmup_modelled(&identity);
        let denied = Action::Refuse {
            text: "scancel: error: Kill job error on job id 1: Access/permission denied".to_owned(),
            status: 210,
        };
        site.inject(Program::Scancel, denied);
        let cancels = || {
            let calls = site.cluster.calls().unwrap();
            calls
                .iter()
                .filter(|call| call.program == Program::Scancel)
                .count()
        };
        let mut releasing = site.begin(&release(&identity));
        until(seconds(20), "the release to cancel", || cancels() > 0);
        releasing.kill_group();
        let tried = cancels();
        let next = site.begin(&acquire(&identity, &grace(120)));
        until(seconds(20), "the next lease to wait", || cancels() > tried);
        next.signal(which);
        // It would wait for 20 s.
        let error = next.finish(seconds(15)).error();
        assert!(
            error.contains("interrupted") && error.contains("is not released yet"),
            "{error}"
        );
        assert_eq!(site.live(&identity).len(), 1);
        site.cluster.clear_faults().unwrap();
        site.release(&identity).done();
        assert_eq!(site.submissions().len(), 1);
        site.assert_nothing_left();
    });
}

#[test]
fn a_client_that_vanished_is_noticed() {
    each(&[false, true], |&keep| {
        let site = Site::queueing();
        let identity = site.identity();
        let request = if keep {
            warmup(&identity, &grace(1))
        } else {
            acquire(&identity, &grace(120))
        };
        let mut running = begin(&site, &identity, &request);
        running.hang_up();
        running.wait(seconds(25));
        assert_ends(&site, &identity);
    });
}

#[test]
fn ctrl_c_takes_the_job_out_of_the_queue() {
    each(&[false, true], |&keep| {
        let site = Site::queueing();
        let identity = site.identity();
        let request = if keep {
            warmup(&identity, &grace(2))
        } else {
            acquire(&identity, &grace(120))
        };
        begin(&site, &identity, &request).kill_group();
        assert_ends(&site, &identity);
    });
}

#[test]
fn a_replay_within_the_grace_attaches() {
    let site = Site::queueing();
    let identity = site.identity();
    let request = warmup(&identity, &grace(10));
    begin(&site, &identity, &request).kill_group();
    let first = site.keeper(&identity).expect("a keeper");
    let replay = site.begin(&request);
    until(seconds(15), "the first keeper to stand down", || {
        !is_alive(first.pid)
    });
    let jobs = site.live(&identity);
    assert_eq!(jobs.len(), 1);
    site.cluster.start(jobs[0].id).unwrap();
    site.publish(&identity);
    let lease = replay.finish(seconds(60)).lease();
    assert_eq!(lease["cloudId"], format!("slurm/job/{}", jobs[0].id));
    assert_eq!(site.submissions().len(), 1);
    assert!(site.keeper(&identity).is_none());
    site.release(&identity).done();
    site.assert_nothing_left();
}

/// Who comes along after acquire and keeper were both killed.
#[derive(Clone, Copy, Debug)]
enum Next {
    List,
    Cleanup,
    Acquire,
    Doctor,
    Resolve,
    ResolveItself,
    ResolveUnknown,
    ResolveReleaseOnly,
    Release,
    Touch,
    TouchUnknown,
}

fn about_unknown(operation: &str) -> serde_json::Value {
    json!({"protocolVersion": 1, "operation": operation, "id": "nobody-knows-it"})
}

#[test]
fn where_the_keeper_was_killed_too_the_next_one_does_its_work() {
    let everybody = [
        Next::List,
        Next::Cleanup,
        Next::Acquire,
        Next::Doctor,
        Next::Resolve,
        Next::ResolveItself,
        Next::ResolveUnknown,
        Next::ResolveReleaseOnly,
        Next::Release,
        Next::Touch,
        Next::TouchUnknown,
    ];
    each(&everybody, |next| {
        let site = Site::queueing();
        let (identity, other) = (site.identity(), site.identity());
        site.warmup_modelled(&other);
        let mut running = begin(&site, &identity, &warmup(&identity, &grace(1)));
        let keeper = site.keeper(&identity).expect("a keeper").pid;
        signal(keeper, Signal::KILL);
        until(seconds(5), "the keeper to be gone", || !is_alive(keeper));
        running.kill_group();
        match next {
            Next::List => until(seconds(30), "the job to leave the queue", || {
                site.ask(&list()).done();
                site.live(&identity).is_empty()
            }),
            Next::Cleanup => until(seconds(30), "the job to leave the queue", || {
                site.cleanup().done();
                site.live(&identity).is_empty()
            }),
            Next::Acquire => until(seconds(60), "the job to leave the queue", || {
                site.warmup(&other, &json!({})).lease();
                site.live(&identity).is_empty()
            }),
            Next::Doctor => until(seconds(30), "the job to leave the queue", || {
                site.doctor(&json!({})).done();
                site.live(&identity).is_empty()
            }),
            Next::Resolve => until(seconds(30), "the job to leave the queue", || {
                site.resolve(&other).lease();
                site.live(&identity).is_empty()
            }),
            Next::ResolveItself => until(seconds(30), "the job to leave the queue", || {
                site.resolve(&identity).error();
                site.live(&identity).is_empty()
            }),
            Next::ResolveUnknown => until(seconds(30), "the job to leave the queue", || {
                site.ask(&about_unknown("resolve")).error();
                site.live(&identity).is_empty()
            }),
            Next::ResolveReleaseOnly => until(seconds(30), "the job to leave the queue", || {
                let mut request = resolve(&other);
                request["releaseOnly"] = json!(true);
                site.ask(&request).lease();
                site.live(&identity).is_empty()
            }),
            Next::TouchUnknown => until(seconds(30), "the job to leave the queue", || {
                site.ask(&about_unknown("touch")).error();
                site.live(&identity).is_empty()
            }),
            Next::Release => {
                until(seconds(10), "its grace to be over", || {
                    site.is_past_grace(&identity, seconds(1))
                });
                site.release(&other).done();
                until(seconds(30), "the job to leave the queue", || {
                    site.live(&identity).is_empty()
                });
            }
            Next::Touch => until(seconds(30), "the job to leave the queue", || {
                let touch = json!({
                    "protocolVersion": 1, "operation": "touch", "lease": other.json(),
                });
                site.ask(&touch).done();
                site.live(&identity).is_empty()
            }),
        }
        until(seconds(20), "the record to be removed", || {
            site.cleanup().done();
            !site.records().contains(&identity.lease)
        });
        site.release(&other).done();
        site.assert_nothing_left();
    });
}

#[test]
fn a_release_ends_an_acquire_that_waits() {
    each(&[false, true], |&keep| {
        let site = Site::queueing();
        let identity = site.identity();
        let request = if keep {
            warmup(&identity, &json!({}))
        } else {
            acquire(&identity, &json!({}))
        };
        let running = begin(&site, &identity, &request);
        site.release(&identity).within(seconds(25)).done();
        let error = running.finish(seconds(15)).error();
        assert!(error.contains("was released"), "{error}");
        assert_ends(&site, &identity);
    });
}

#[test]
fn several_releases_at_once_all_succeed() {
    let site = Site::new();
    let identity = site.identity();
    site.warmup(&identity, &json!({})).lease();
    let request = crate::client::release(&identity);
    let running: Vec<_> = (0..4).map(|_| site.begin(&request)).collect();
    for running in running {
        running.finish(seconds(30)).done();
    }
    site.assert_nothing_left();
}

/// Where the descriptors of a process lead.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_keeper_holds_nothing_that_it_does_not_need() {
    let site = Site::queueing();
    let identity = site.identity();
    let request = warmup(&identity, &grace(1));
    // Whoever calls us has files open that are not meant for us.
    let plain = site.command();
    let mut command = Command::new("bash");
    command
        .args(["-c", r#"exec 5>left 77</dev/zero 251>left; exec "$0" "$@""#])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(site.root())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let mut running = Running::start(command, &request.to_string());
    site.wait_for_job(&identity);
    assert!(
        descriptors(running.pid())
            .iter()
            .any(|to| to == "/dev/zero")
    );
    let keeper = site.keeper(&identity).expect("a keeper");
    let held = descriptors(keeper.pid);
    for target in &held {
        // A pipe to the acquire that it watches is what it needs.
        let is_pipe = target.starts_with("pipe:");
        assert!(is_pipe || target == "/dev/null", "{target}");
    }
    for standard in 0..3 {
        let of_client = format!("/proc/{}/fd/{standard}", running.pid());
        let of_client = fs::read_link(of_client).unwrap();
        let is_same = |target: &String| of_client.to_str() == Some(target);
        assert!(!held.iter().any(is_same), "{of_client:?} {held:?}");
    }
    let directory = fs::read_link(format!("/proc/{}/cwd", keeper.pid)).unwrap();
    assert_eq!(directory.to_str(), Some("/"));
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let holds = |line: &str| line.split_whitespace().nth(4) == Some(&keeper.pid.to_string());
    assert!(!locks.lines().any(holds), "{locks}");
    running.kill_group();
    assert_ends(&site, &identity);
}

#[test]
fn an_answered_acquire_leaves_nothing_behind() {
    let site = Site::modelled();
    let identity = site.identity();
    site.warmup_modelled(&identity);
    assert_eq!(site.processes().len(), 0, "{:?}", site.processes());
    let root = site.root().to_str().unwrap();
    let scratch: Vec<_> = fs::read_dir(site.lease_dir(&identity))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".new") || name == "acquiring")
        .collect();
    assert!(scratch.is_empty(), "{root}: {scratch:?}");
    site.release(&identity).done();
    let left = fs::read_dir(site.state_dir().join("locks"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "a lock is left");
    assert_eq!(site.cluster.calls_of(Program::Scancel).unwrap().len(), 1);
    site.assert_nothing_left();
}

#[test]
fn who_holds_a_pipe_is_found() {
    let mut child = Command::new("sleep")
        .arg("60")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = fstat(child.stdout.as_ref().unwrap()).unwrap().st_ino;
    let found = |pid: u32| holders_of(pipe).iter().any(|process| process.pid == pid);
    until(seconds(10), "the child to be found", || found(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!found(child.id()));
}

#[test]
fn a_lease_of_which_nobody_could_be_told_is_ended() {
    let site = Site::new();
    let identity = site.identity();
    let unheard = |request: &Value| {
        let mut command = site.command();
        command
            .stdin(Stdio::piped())
            .stdout(fs::File::options().write(true).open("/dev/full").unwrap())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(request.to_string().as_bytes()).unwrap();
        drop(stdin);
        assert_eq!(child.wait().unwrap().code(), Some(1));
    };
    for request in [acquire, warmup] {
        unheard(&request(&identity, &json!({})));
        assert_eq!(site.jobs(&identity).len(), 1);
        site.assert_nothing_left();
        site.cluster.advance(seconds(1000)).unwrap();
    }
    // Whoever has it already goes on having it.
    let lease = site.warmup(&identity, &json!({})).lease();
    unheard(&warmup(&identity, &json!({})));
    assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn a_keeper_that_is_stopped_delays_no_answer() {
    let site = Site::queueing();
    let identity = site.identity();
    let running = begin(&site, &identity, &warmup(&identity, &grace(1)));
    let keeper = site.keeper(&identity).expect("a keeper").pid;
    signal(keeper, Signal::STOP);
    let job = site.wait_for_job(&identity);
    site.cluster.start(job).unwrap();
    site.publish(&identity);
    running.finish(seconds(30)).lease();
    // It was told that it is not needed, and hears that once it can.
    signal(keeper, Signal::CONT);
    until(seconds(10), "the keeper to end", || !is_alive(keeper));
    assert_eq!(site.live(&identity).len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn a_keeper_outlasts_a_record_that_can_not_be_read() {
    let site = Site::queueing();
    let identity = site.identity();
    let mut running = begin(&site, &identity, &warmup(&identity, &grace(1)));
    let keeper = site.keeper(&identity).expect("a keeper").pid;
    let path = site.lease_file(&identity, "journal.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    running.stop_listening();
    signal(running.pid(), Signal::STOP);
    // As a newer release would write it.
    let (first, rest) = journal.split_once('\n').unwrap();
    let newer = first.replacen("\"v\":1", "\"v\":99", 1);
    assert_ne!(newer, first);
    fs::write(&path, format!("{newer}\n{rest}")).unwrap();
    running.kill_group();
    let ending = site.lease_file(&identity, "ending.lock");
    until(seconds(20), "the keeper to begin", || ending.exists());
    // It tries several times a second.
    std::thread::sleep(seconds(1));
    assert!(is_alive(keeper), "it has given up");
    fs::write(&path, journal).unwrap();
    assert_ends(&site, &identity);
}

#[test]
fn an_ssh_keygen_that_hangs_delays_no_answer_for_long() {
    let site = Site::new();
    let bin = site.root().join("hanging");
    fs::create_dir(&bin).unwrap();
    let keygen = bin.join("ssh-keygen");
    fs::write(&keygen, "#!/bin/sh\nexec sleep 600\n").unwrap();
    fs::set_permissions(&keygen, fs::Permissions::from_mode(0o755)).unwrap();
    let site = site.searching(&bin);
    let identity = site.identity();
    let reply = site.acquire(&identity, &json!({})).within(seconds(30));
    let error = reply.error();
    assert!(error.contains("ssh-keygen did not end"), "{error}");
    assert!(site.submissions().is_empty());
    site.cleanup().done();
    site.assert_nothing_left();
}
