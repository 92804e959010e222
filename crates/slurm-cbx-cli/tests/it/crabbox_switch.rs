//! The switch from the Python adapter, with leases open.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::binary;
use crate::cluster::Cluster;
use crate::crabbox::Crabbox;
use crate::truth::{seconds, until};

/// A site's own runner as the Python adapter starts it, which knows nothing of slurm-cbx. It
/// listens on loopback.
const RUNNER: &str = r#"#!/bin/bash
set -eu
dir=$CBX_STATE_DIR/jobs/$CBX_LEASE_ID
mkdir -p "$CBX_WORK_ROOT"
ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$dir/sshd_config" <<EOF
ListenAddress 127.0.0.1
Port $port
HostKey $dir/host
PidFile none
AuthorizedKeysFile $CBX_SSH_PUBLIC_KEY_FILE
StrictModes no
UsePAM no
EOF
printf '{"host":"127.0.0.1","port":"%s","user":"%s","readyCheck":"true"}' \
    "$port" "$(id -un)" >"$dir/endpoint.new"
mv "$dir/endpoint.new" "$dir/endpoint.json"
exec /usr/sbin/sshd -D -e -f "$dir/sshd_config"
"#;

/// The Python adapter, in a checkout of the client's repository.
fn python_adapter() -> PathBuf {
    let checkout = std::env::var_os("CRABBOX_CHECKOUT").expect("CRABBOX_CHECKOUT is not set");
    let path = Path::new(&checkout).join("examples/slurm-external-provider/slurm-cbx.py");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

#[test]
#[ignore = "needs crabbox on PATH, a checkout of its repository and a real Slurm"]
fn a_lease_of_the_python_adapter() {
    let cluster = Cluster::own(&[]);
    let person = Crabbox::new(&cluster, "switch", &json!({}));
    // Where the users of this cluster can read it.
    let script = person.client.path("slurm-cbx.py");
    std::fs::copy(python_adapter(), &script).unwrap();
    person.client.user.own(&script);
    let runner = person.client.runner(RUNNER);
    let arguments = [script.to_str().unwrap(), "--runner-script", &runner];
    let ours = binary().to_str().unwrap();
    let config = json!({"partition": "batch"});

    let person = person.with_adapter("/usr/bin/python3", &arguments);
    person.configure(&config);
    person.note("command: /usr/bin/python3");
    for slug in ["first", "second", "third"] {
        person.run(&["warmup", "--slug", slug]).done();
    }
    let jobs = person.live();
    assert_eq!(jobs.len(), 3);
    let leases = sorted(person.claims());

    let person = person.with_adapter(ours, &arguments);
    person.configure(&config);
    person.note("command: /opt/slurm-cbx/bin/slurm-cbx, and nothing else is changed");
    let listed = person.run(&["list"]).done();
    for job in &jobs {
        let cloud = format!("slurm/job/{}", job.id);
        assert!(listed.contains(&cloud), "{cloud} is not in {listed}");
    }
    assert!(listed.contains("RUNNING on n"), "{listed}");
    let second = lease_of(&person, "second");
    person.run(&["cleanup"]).done();
    assert_eq!(
        sorted(person.claims()),
        leases,
        "the client keeps its claims"
    );
    assert_eq!(person.live().len(), 3);

    person.note("an open lease goes on calling the old command");
    let script = "echo job $SLURM_JOB_ID";
    let run = ["run", "--id", "first", "--no-sync", "--shell", script];
    person.run(&run).done();
    person.run(&["stop", "first"]).done();
    until(seconds(60), "the first job to end", || {
        person.live().len() == 2
    });

    person.note("and can be given to the new one");
    // Options that stand behind the lease are not read.
    let given = ["--external-command", ours, &second];
    let said = person.run(&[&["status"][..], &given].concat()).done();
    assert!(said.contains("type=slurm batch cpus=1 host="), "{said}");
    person.run(&[&["stop"][..], &given].concat()).done();
    until(seconds(60), "the second job to end", || {
        person.live().len() == 1
    });

    person.note("a new lease, with the site's old runner");
    let said = person.run(&["warmup", "--slug", "fourth"]);
    assert!(said.stderr.contains("is submitted"), "{said:?}");
    said.done();
    person.run(&["stop", "third"]).done();
    person.run(&["stop", "fourth"]).done();
    until(seconds(90), "the records to be removed", || {
        person.run(&["cleanup"]).done();
        person.records().is_empty()
    });
    person.assert_nothing_left();
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// The lease id of a slug, as the list shows it.
fn lease_of(person: &Crabbox<'_>, slug: &str) -> String {
    let listed = person.run(&["list", "--json"]).done();
    let rows: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let mut rows = rows.as_array().unwrap().iter();
    let row = rows.find(|row| row["labels"]["slug"] == slug);
    row.expect(slug)["labels"]["lease"]
        .as_str()
        .unwrap()
        .to_owned()
}
