//! An endpoint belongs to a job, a run and a submission, and somebody must serve it.

use std::fs;
use std::time::Duration;

use fake_slurm::{Base, Program, SubmitPlugin};
use serde_json::json;

use crate::client::{acquire, warmup};
use crate::fake_site::{Site, each, endpoint, greeter, publishing};
use crate::truth::{seconds, until};

/// How a job can end.
#[derive(Clone, Copy, Debug)]
enum End {
    Cancelled,
    TimedOut,
    NodeFailed,
    Purged,
}

#[test]
fn an_endpoint_of_a_run_that_is_over_is_never_handed_out() {
    let all = [End::Cancelled, End::TimedOut, End::NodeFailed, End::Purged];
    each(&all, |end| {
        let site = Site::queueing();
        let identity = site.identity();
        let first = site.warmup_modelled(&identity);
        let published = fs::read(site.lease_file(&identity, "endpoint.json")).unwrap();
        let words = match end {
            End::Cancelled => {
                site.cancel(1);
                "ended: CANCELLED"
            }
            End::TimedOut => {
                site.cluster.advance(Duration::from_secs(601)).unwrap();
                "ended: TIMEOUT"
            }
            End::NodeFailed => {
                site.cluster.fail_node("n1").unwrap();
                "ended: NODE_FAIL"
            }
            End::Purged => {
                site.cancel(1);
                site.cluster.advance(Duration::from_secs(500)).unwrap();
                "Slurm"
            }
        };
        site.forget_queue();
        let error = site.resolve_says(&identity, words);
        assert!(!error.contains("is queued"), "{error}");

        // The next job of the lease waits, and what the last one published turns up again.
        let mut running = site.begin(&warmup(&identity, &json!({})));
        until(seconds(20), "the next job", || {
            !site.live(&identity).is_empty()
        });
        fs::write(site.lease_file(&identity, "endpoint.json"), &published).unwrap();
        let error = site.resolve_says(&identity, "is queued");
        assert!(error.contains("PENDING"), "{error}");
        let live = site.live(&identity);
        site.cluster.start(live[0].id).unwrap();
        until(seconds(10), "the run to be seen", || {
            site.forget_queue();
            let row = site.listed(&identity).expect("a row");
            row["labels"]["slurmState"] == "RUNNING"
        });
        site.resolve(&identity).error();
        assert!(running.is_going_on(), "it was handed out");
        site.publish_as(&identity, &live[0]);
        let second = running.finish(seconds(30)).lease();
        assert_ne!(first["cloudId"], second["cloudId"]);
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Job,
    Run,
    Nonce,
    Torn,
    Link,
}

#[test]
fn an_endpoint_that_is_not_of_this_run_is_not_handed_out() {
    let all = [
        Wrong::Job,
        Wrong::Run,
        Wrong::Nonce,
        Wrong::Torn,
        Wrong::Link,
    ];
    each(&all, |wrong| {
        let site = Site::modelled();
        let identity = site.identity();
        let running = site.begin(&warmup(&identity, &json!({"acquireTimeoutSeconds": 3})));
        site.wait_for_job(&identity);
        let mut job = site.jobs(&identity)[0].clone();
        match wrong {
            Wrong::Job => job.id += 1,
            Wrong::Run => job.restarts += 1,
            Wrong::Nonce => {
                let given = &job.request.environment;
                assert!(given.value("CBX_NONCE").is_some());
                let another = given.iter().chain(["CBX_NONCE=00000000deadbeef"]);
                job.request.environment = another.collect();
            }
            Wrong::Torn | Wrong::Link => {}
        }
        let path = site.lease_file(&identity, "endpoint.json");
        let text = endpoint(&job);
        match wrong {
            Wrong::Torn => fs::write(&path, &text[..text.len() / 2]).unwrap(),
            Wrong::Link => {
                let elsewhere = site.root().join("endpoint");
                fs::write(&elsewhere, text).unwrap();
                std::os::unix::fs::symlink(elsewhere, &path).unwrap();
            }
            Wrong::Job | Wrong::Run | Wrong::Nonce => fs::write(&path, text).unwrap(),
        }
        let error = running.finish(seconds(30)).error();
        assert!(error.contains("not ready after 3 s"), "{error}");
        let questions = site.cluster.calls_of(Program::Squeue).unwrap().len();
        assert!(questions < 20, "{questions} questions in 3 s");
        site.resolve(&identity).error();
        site.release(&identity).done();
        site.assert_nothing_left();
    });
}

#[test]
fn an_endpoint_that_nobody_serves_is_not_handed_out() {
    let site = Site::new();
    let identity = site.identity();
    // Nothing listens on port 9 of a host without a discard service.
    let runner = site.runner(&format!("{}exec sleep 600\n", publishing(9)));
    let config = json!({"runnerScript": runner, "acquireTimeoutSeconds": 3});
    let error = site.acquire(&identity, &config).within(seconds(30)).error();
    assert!(error.contains("not ready after 3 s"), "{error}");
    site.assert_nothing_left();
}

#[test]
fn a_runner_that_published_and_died_is_reported() {
    let site = Site::new();
    let identity = site.identity();
    let runner = site.runner(&format!(
        "{}echo 'the licence server hung up'\nexit 41\n",
        publishing(9)
    ));
    let config = json!({"runnerScript": runner});
    let error = site.acquire(&identity, &config).within(seconds(30)).error();
    assert!(
        error.contains("exit code 41") && error.contains("  the licence server hung up"),
        "{error}"
    );
    site.assert_nothing_left();
}

/// A script that publishes these parts of an endpoint instead of a user, and serves it.
fn publishing_instead(parts: &str) -> String {
    let usual = publishing(greeter());
    let script = usual.replace(r#""user":"nobody""#, parts);
    assert_ne!(script, usual);
    format!("{script}exec sleep 600\n")
}

#[test]
fn an_endpoint_that_cannot_be_handed_out_ends_the_lease() {
    let parts = r#""user":"nobody","proxyCommand":"ssh {nope}""#;
    for request in [warmup, acquire] {
        let site = Site::new();
        let identity = site.identity();
        let runner = site.runner(&publishing_instead(parts));
        let request = request(&identity, &json!({"runnerScript": runner}));
        let error = site.ask(&request).within(seconds(30)).error();
        assert!(
            error.contains("proxyCommand that cannot be used; the job was cancelled"),
            "{error}"
        );
        site.assert_nothing_left();
    }
}

#[test]
fn a_runner_may_leave_it_to_the_config_who_logs_in() {
    let site = Site::new().with_variable("USER", "carol");
    let runner = site.runner(&publishing_instead(r#""user":"""#));
    for (config, user, check) in [
        (
            json!({"sshUser": "alice", "readyCheck": "test -d /"}),
            "alice",
            "test -d /",
        ),
        (json!({}), "carol", "command -v bash"),
    ] {
        let identity = site.identity();
        let mut config = config;
        config["runnerScript"] = json!(runner);
        let lease = site.acquire(&identity, &config).lease();
        assert_eq!(lease["ssh"]["user"], user);
        let shown = lease["ssh"]["readyCheck"].as_str().unwrap();
        assert!(shown.starts_with(check), "{shown}");
        site.release(&identity).done();
    }
    let nobody = Site::new();
    let identity = nobody.identity();
    let runner = nobody.runner(&publishing_instead(r#""user":"""#));
    let error = nobody.acquire(&identity, &json!({"runnerScript": runner}));
    let error = error.error();
    assert!(
        error.contains("sshUser is not set; the job was cancelled"),
        "{error}"
    );
    nobody.assert_nothing_left();
    site.assert_nothing_left();
}

#[test]
fn an_acquire_that_cannot_hand_out_a_lease_in_use_leaves_it_alone() {
    let site = Site::new();
    let runner = site.runner(&publishing_instead(r#""user":"""#));
    let identity = site.identity();
    let config = json!({"runnerScript": runner, "sshUser": "alice"});
    site.acquire(&identity, &config).lease();
    let config = json!({"runnerScript": runner});
    let error = site.acquire(&identity, &config).error();
    assert!(
        error.contains("sshUser is not set; the lease was handed out before"),
        "{error}"
    );
    assert_eq!(site.live(&identity).len(), 1);
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn an_endpoint_that_cannot_be_used_is_named() {
    let site = Site::new();
    let identity = site.identity();
    let runner = site.runner(&publishing_instead(r#""user":"a;b""#));
    let config = json!({"runnerScript": runner, "acquireTimeoutSeconds": 3});
    let running = site.begin(&warmup(&identity, &config));
    let words =
        "what its runner published cannot be used: the endpoint's user \"a;b\" is not valid";
    site.resolve_says(&identity, words);
    let error = running.finish(seconds(30)).error();
    assert!(error.contains(words), "{error}");
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn the_host_key_is_pinned_beside_a_key_that_lies_elsewhere() {
    let site = Site::new();
    let own = site.root().join("own_key");
    let beside = |suffix: &str| format!("{}{suffix}", own.display());
    for (suffix, text) in [("", "private"), (".pub", "public"), ("-cert.pub", "signed")] {
        fs::write(beside(suffix), text).unwrap();
    }
    let parts = r#""user":"nobody","hostKey":"ssh-ed25519 AAAA""#;
    let runner = site.runner(&publishing_instead(parts));
    let config = json!({"runnerScript": runner, "sshPrivateKey": own});
    let identity = site.identity();
    let lease = site.acquire(&identity, &config).lease();
    assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
    let key = std::path::PathBuf::from(lease["ssh"]["key"].as_str().unwrap());
    assert_eq!(key.parent(), Some(&*site.lease_dir(&identity)));
    assert_eq!(fs::read_link(&key).unwrap(), own);
    for (suffix, text) in [("", "private"), (".pub", "public"), ("-cert.pub", "signed")] {
        let path = format!("{}{suffix}", key.display());
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    let pinned = fs::read_to_string(key.with_file_name("known_hosts")).unwrap();
    assert_eq!(
        pinned,
        format!("[127.0.0.1]:{} ssh-ed25519 AAAA\n", greeter())
    );
    site.release(&identity).done();
    site.assert_nothing_left();
    assert_eq!(fs::read_to_string(&own).unwrap(), "private");
}

#[test]
fn a_proxy_command_may_name_the_login_node_in_any_mode() {
    let site = Site::new();
    let identity = site.identity();
    let config = json!({
        "proxyCommand": "ssh -W {host}:{port} {loginUser}@{loginHost}",
        "loginHost": "login1", "loginUser": "alice",
    });
    let lease = site.acquire(&identity, &config).lease();
    let expected = format!("ssh -W 127.0.0.1:{} alice@login1", greeter());
    assert_eq!(lease["ssh"]["proxyCommand"], expected);
    assert_eq!(lease["ssh"]["sshConfigProxy"], true);
    assert_eq!(site.resolve(&identity).lease()["ssh"], lease["ssh"]);
    site.release(&identity).done();
    site.assert_nothing_left();
}

#[test]
fn a_lease_that_waits_says_why() {
    let site = Site::queueing();
    let identity = site.identity();
    let plugin = SubmitPlugin {
        hold: true,
        ..SubmitPlugin::default()
    };
    site.cluster.plugin(plugin).unwrap();
    let mut running = site.begin(&warmup(&identity, &json!({})));
    let id = site.wait_for_job(&identity);
    let error = site.resolve_says(&identity, "is queued");
    assert!(error.contains("PENDING (JobHeld"), "{error}");
    site.cluster.start(id).unwrap();
    site.resolve_says(&identity, "is not ready");
    site.cluster.force_state(id, Base::Running, &[]).unwrap();
    site.publish(&identity);
    until(seconds(20), "the answer", || !running.is_going_on());
    site.resolve(&identity).lease();
    site.release(&identity).done();
    site.assert_nothing_left();
}
