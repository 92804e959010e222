//! Leases whose nodes are reached through a login node.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::cluster::Cluster;
use crate::crabbox::Crabbox;
use crate::truth::{Lifeline, seconds, until};

/// Where this host's ssh looks for hosts that only it knows.
const SSH_CONFIG: &str = "/etc/ssh/ssh_config.d";

/// An sshd on loopback that a person may go through, under a name that only this host's ssh knows.
#[derive(Debug)]
struct LoginNode {
    name: String,
    directory: tempfile::TempDir,
    sshd: Child,
    _config: Lifeline,
}

impl LoginNode {
    fn of(person: &Crabbox<'_>) -> Self {
        let client = &person.client;
        // Not in the person's home, where nothing is to be left.
        let prefix = "slurm-cbx-login-";
        let directory = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        client.user.own(directory.path());
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for name in ["host", "key"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-f", &path(name)];
            let made = client.run("ssh-keygen", &arguments).status().unwrap();
            assert!(made.success());
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);

        let name = format!("cbx-login-{port}");
        let config = PathBuf::from(SSH_CONFIG).join(format!("{name}.conf"));
        let lifeline = Lifeline::new("rm", &["-f", config.to_str().unwrap()]).unwrap();
        let known_hosts = path("known_hosts");
        let host_key = fs::read_to_string(path("host.pub")).unwrap();
        fs::write(&known_hosts, format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        client.user.own(known_hosts.as_ref());
        let text = format!(
            "Host {name}\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile {known_hosts}\nStrictHostKeyChecking yes\n",
            path("key")
        );
        fs::write(&config, text).unwrap();

        let key = format!("AuthorizedKeysFile={}", path("key.pub"));
        let host_key = format!("HostKey={}", path("host"));
        let options = [
            &format!("Port={port}"),
            "ListenAddress=127.0.0.1",
            &host_key,
            &key,
            "PidFile=none",
            "StrictModes=no",
            "UsePAM=no",
            "LogLevel=VERBOSE",
        ];
        let mut arguments = vec!["-D", "-e", "-f", "/dev/null"];
        arguments.extend(options.iter().flat_map(|option| ["-o", option]));
        let sshd = client
            .run("/usr/sbin/sshd", &arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let node = Self {
            name,
            directory,
            sshd,
            _config: lifeline,
        };
        until(seconds(20), "the login node's sshd", || {
            node.logged().contains("Server listening")
        });
        node
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// How many have logged in.
    fn logins(&self) -> usize {
        self.logged().matches("Accepted publickey").count()
    }
}

impl Drop for LoginNode {
    fn drop(&mut self) {
        drop(self.sshd.kill());
        drop(self.sshd.wait());
    }
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_lease_behind_a_login_node() {
    let person = Crabbox::new(Cluster::shared(), "login-node", &json!({}));
    let node = LoginNode::of(&person);
    let name = &node.name;
    let all = format!(
        "sh -c \"exec ssh -W {{host}}:{{port}} {name} # {{user}} {{loginHost}} {{loginUser}} {{leaseId}} {{slug}} {{name}} {{jobId}}\""
    );
    for config in [
        json!({"sshMode": "proxy-through-login", "loginHost": name}),
        json!({"sshMode": "proxy-through-login", "loginHost": name, "loginUser": "cbxalice"}),
        json!({"proxyCommand": "ssh -W %h:%p {loginHost}", "loginHost": name}),
        json!({"proxyCommand": all, "loginHost": name, "loginUser": "cbxalice"}),
    ] {
        person.configure(&config);
        person.note(&config.to_string());
        person.run(&["doctor", "--provider", "external"]).done();
        let before = node.logins();
        let script = "echo job $SLURM_JOB_ID; cat tracked untracked; exit 7";
        let said = person.run(&["run", "--shell", script]);
        assert_eq!(said.code, Some(7), "{said:?}");
        let ran = |id: &str| said.stdout.contains(&format!("job {id}\nchanged\nnew\n"));
        assert!(person.jobs().iter().any(|job| ran(&job.id)), "{said:?}");
        assert!(node.logins() > before, "{}", node.logged());
        person.assert_nothing_left();
    }

    person.run(&["warmup", "--slug", "behind"]).done();
    let status = person.run(&["status", "behind"]).done();
    assert!(status.contains("ready=true"), "{status}");
    let line = person.run(&["ssh", "behind"]).done();
    let strict = line.trim().replace(
        "StrictHostKeyChecking=accept-new",
        "StrictHostKeyChecking=yes",
    );
    person.note("that line, with a host key that must be known already");
    let pasted = person.paste(&format!("{strict} 'echo $SLURM_JOB_ID'"));
    let job = &person.live()[0].id;
    assert_eq!(pasted.done().trim(), job);
    person.run(&["stop", "behind"]).done();
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_login_node_that_is_not_named_costs_no_job() {
    let config = json!({"proxyCommand": "ssh -W {host}:{port} {loginHost}"});
    let person = Crabbox::new(Cluster::shared(), "no-login-node", &config);
    let words = "external.config.loginHost is not set";
    let said = person.run(&["doctor", "--provider", "external"]);
    assert_ne!(said.code, Some(0));
    person.run(&["run", "--", "true"]).failed(5, &[words]);
    assert!(person.jobs().is_empty());
    person.assert_nothing_left();
}

#[test]
#[ignore = "needs crabbox on PATH and a real Slurm"]
fn a_key_of_ones_own() {
    let person = Crabbox::new(Cluster::shared(), "own-key", &json!({}));
    let key = person.client.path("own_key");
    let key = key.to_str().unwrap();
    let made = person
        .client
        .run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key])
        .status()
        .unwrap();
    assert!(made.success());
    person.configure(&json!({"sshPrivateKey": key}));
    person.run(&["warmup", "--slug", "keyed"]).done();
    let line = person.run(&["ssh", "keyed"]).done();
    let strict = line.trim().replace(
        "StrictHostKeyChecking=accept-new",
        "StrictHostKeyChecking=yes",
    );
    person.note("that line, with a host key that must be known already");
    let job = &person.live()[0].id;
    let pasted = person.paste(&format!("{strict} 'echo $SLURM_JOB_ID'"));
    assert_eq!(pasted.done().trim(), job);
    let shared = person.client.path("known_hosts");
    assert!(!shared.exists(), "one file would do for all leases");
    person.run(&["stop", "keyed"]).done();
    person.assert_nothing_left();
    assert!(fs::exists(key).unwrap());
}
