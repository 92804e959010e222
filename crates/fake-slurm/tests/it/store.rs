//! The file that holds the cluster.

use std::fs;

use fake_slurm::FakeCluster;

use crate::Bench;

/// What a command and the handle say of a state file that `change` was done to.
fn refusals(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> [String; 2] {
    let bench = Bench::new();
    let root = bench.directory.path().join("cluster");
    let path = root.join("state");
    let state = fs::read(&path).unwrap();
    fs::write(&path, change(state)).unwrap();
    let said = bench.run("squeue", &["-h"]);
    assert_eq!((said.status, said.stdout.as_str()), (Some(64), ""));
    let error = FakeCluster::open(&root).expect_err("it holds no cluster");
    [said.stderr, error.to_string()]
}

#[test]
fn the_state_of_another_version_is_refused() {
    for said in refusals(|state| [b"another ", state.as_slice()].concat()) {
        assert!(
            said.contains("state does not hold what it should"),
            "{said}"
        );
    }
}

#[test]
fn a_state_that_was_cut_is_refused() {
    for said in refusals(|state| state[..state.len() / 2].to_vec()) {
        assert!(
            said.contains("state does not hold what it should"),
            "{said}"
        );
    }
}
