//! Jobs that really run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use fake_slurm::{ClusterConfig, Exit, Generation};

use crate::{Bench, wait_until};

fn script(bench: &Bench, text: &str) -> String {
    let path = bench.directory.path().join("job.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn output(bench: &Bench, id: u32) -> String {
    let path = bench.directory.path().join(format!("slurm-{id}.out"));
    fs::read_to_string(path).unwrap_or_default()
}

/// The processes whose working directory is that of the test, or that hold the cluster's name in
/// their command line.
fn processes(bench: &Bench) -> Vec<String> {
    let directory = bench.directory.path().to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter(|entry| entry.file_name().to_str().unwrap().parse::<u32>().is_ok());
    let described = pids.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let ours = line.contains(directory) || place.starts_with(directory);
        (ours && !line.is_empty()).then(|| format!("{} {line}", entry.file_name().display()))
    });
    described.collect()
}

fn submit(bench: &Bench, arguments: &[&str]) -> u32 {
    let said = bench.run("sbatch", &[&["--parsable"], arguments].concat());
    said.stdout
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("not accepted: {said:?}"))
}

#[test]
fn a_script_runs_and_its_exit_code_is_known() {
    let bench = Bench::running();
    let path = script(
        &bench,
        "echo id=$SLURM_JOB_ID args=$* restarts=${SLURM_RESTART_COUNT-unset}\nexit 37",
    );
    let id = submit(&bench, &[&path, "a", "b"]);
    wait_until("it failed", || bench.state(id) == "FAILED");
    assert_eq!(
        output(&bench, id),
        format!("id={id} args=a b restarts=unset\n")
    );
    let job = bench.cluster.job(id).unwrap().unwrap();
    assert_eq!(job.exit, Exit::status(37));
    wait_until("nothing runs any more", || processes(&bench).is_empty());
}

#[test]
fn a_job_knows_what_it_has_of_each_node() {
    for (generation, tasks) in [(Generation::V20_11, "3,2"), (Generation::V22_05, "4,1")] {
        let bench = Bench::running();
        let set = |config: &mut ClusterConfig| config.generation = generation;
        bench.cluster.configure(set).unwrap();
        let path = script(&bench, "echo $SLURM_TASKS_PER_NODE $SLURM_NTASKS_PER_NODE");
        let uneven = submit(&bench, &["-N2", "-n5", &path]);
        wait_until("it is over", || bench.state(uneven) == "COMPLETED");
        assert_eq!(output(&bench, uneven), format!("{tasks}\n"));
        let even = submit(&bench, &["-N2", "--ntasks-per-node=2", &path]);
        wait_until("it is over", || bench.state(even) == "COMPLETED");
        assert_eq!(output(&bench, even), "2(x2) 2\n");
    }
}

#[test]
fn directories_of_output_files_are_made_by_those_that_make_them() {
    for (generation, state) in [
        (Generation::V22_05, "FAILED"),
        (Generation::V24_11, "COMPLETED"),
    ] {
        let bench = Bench::running();
        let set = |config: &mut ClusterConfig| config.generation = generation;
        bench.cluster.configure(set).unwrap();
        let path = script(&bench, "echo out; echo err >&2");
        let id = submit(&bench, &["-o", "new/%j/out", "-e", "errors/err", &path]);
        wait_until("it is over", || bench.state(id) == state);
        let made = bench.directory.path().join(format!("new/{id}/out"));
        assert_eq!(made.exists(), state == "COMPLETED");
    }
}

#[test]
fn a_suspended_job_ends_without_a_word() {
    let bench = Bench::running();
    let path = script(&bench, "echo up\nexec sleep 500");
    let id = submit(&bench, &[&path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    bench.run("scontrol", &["suspend", &id.to_string()]);
    bench.run("scancel", &[id.to_string()]);
    wait_until("it is over", || bench.state(id) == "CANCELLED");
    assert_eq!(output(&bench, id), "up\n");
}

#[test]
fn the_script_is_copied_at_submission() {
    let bench = Bench::running();
    let path = script(&bench, "echo first");
    let id = submit(&bench, &["-H", &path]);
    script(&bench, "echo second");
    assert!(processes(&bench).is_empty(), "a held job has no process");
    bench.run("scontrol", &["release", &id.to_string()]);
    wait_until("it is over", || bench.state(id) == "COMPLETED");
    assert_eq!(output(&bench, id), "first\n");
}

#[test]
fn cancelling_ends_every_process_and_what_was_detached() {
    let bench = Bench::running();
    let path = script(
        &bench,
        "trap 'echo terminated; exit 3' TERM\n(setsid sleep 500 &)\nsleep 500 &\necho up\nwait",
    );
    let id = submit(&bench, &["--no-requeue", &path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    assert_eq!(bench.run("scancel", &[id.to_string()]).status, Some(0));
    wait_until("it is over", || bench.state(id) == "CANCELLED");
    let said = output(&bench, id);
    assert!(said.starts_with("up\n") && said.ends_with(" ***\nterminated\n"));
    wait_until("nothing runs any more", || processes(&bench).is_empty());
}

#[test]
fn what_ignores_sigterm_is_killed_after_kill_wait_and_completing_meanwhile() {
    let bench = Bench::running();
    bench
        .cluster
        .configure(|config| config.kill_wait = Duration::from_millis(700))
        .unwrap();
    let path = script(&bench, "trap '' TERM\necho up\nwhile :; do sleep 1; done");
    let id = submit(&bench, &[&path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    bench.run("scancel", &[id.to_string()]);
    assert_eq!(bench.state(id), "COMPLETING");
    wait_until("it is over", || bench.state(id) == "CANCELLED");
    assert_eq!(
        bench.cluster.job(id).unwrap().unwrap().exit,
        Exit::signal(9)
    );
    wait_until("nothing runs any more", || processes(&bench).is_empty());
}

#[test]
fn an_epilog_keeps_the_job_completing() {
    let bench = Bench::running();
    bench
        .cluster
        .configure(|config| {
            config.epilog = Duration::from_secs(100);
        })
        .unwrap();
    let path = script(&bench, "echo up\nexec sleep 500");
    let id = submit(&bench, &["--no-requeue", &path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    bench.run("scancel", &[id.to_string()]);
    wait_until("its processes are gone", || {
        bench.cluster.job(id).unwrap().unwrap().cleared.is_some()
    });
    assert_eq!(bench.state(id), "COMPLETING");
    let said = bench.run("scontrol", &["requeue", &id.to_string()]);
    assert_eq!(
        said.stderr,
        format!("Requested operation is presently disabled for job {id}\n")
    );
    bench.cluster.advance(Duration::from_secs(101)).unwrap();
    assert_eq!(bench.state(id), "CANCELLED");
}

#[test]
fn a_requeued_job_runs_again_and_knows_it() {
    let bench = Bench::running();
    let path = script(&bench, "echo run ${SLURM_RESTART_COUNT-0}\nexec sleep 500");
    let id = submit(&bench, &["--open-mode=append", &path]);
    wait_until("it is up", || output(&bench, id) == "run 0\n");
    assert_eq!(
        bench.run("scontrol", &["requeue", &id.to_string()]).status,
        Some(0)
    );
    wait_until("it waits", || bench.state(id) == "PENDING");
    bench.run(
        "scontrol",
        &["update", &format!("JobId={id}"), "StartTime=now"],
    );
    wait_until("it is up again", || output(&bench, id).ends_with("run 1\n"));
    let rows = bench.run(
        "sacct",
        &["-X", "-n", "-P", "-D", "-j", &id.to_string(), "-o", "State"],
    );
    assert_eq!(rows.stdout, "REQUEUED\nRUNNING\n");
}

#[test]
fn a_time_limit_ends_it() {
    let bench = Bench::running();
    let path = script(&bench, "echo up\nexec sleep 500");
    let id = submit(&bench, &["-t", "5", &path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    bench.cluster.advance(Duration::from_secs(301)).unwrap();
    wait_until("it is over", || bench.state(id) == "TIMEOUT");
    wait_until("nothing runs any more", || processes(&bench).is_empty());
    assert!(output(&bench, id).ends_with(" DUE TO TIME LIMIT ***\n"));
}

#[test]
fn a_job_is_told_once_why_it_ends() {
    let told = |change: &dyn Fn(&Bench, u32)| {
        let bench = Bench::running();
        let path = script(&bench, "echo up\nexec sleep 500");
        let id = submit(&bench, &["--open-mode=append", &path]);
        wait_until("it is up", || output(&bench, id) == "up\n");
        change(&bench, id);
        wait_until("it is told", || output(&bench, id).ends_with("***\n"));
        wait_until("it has ended", || bench.state(id) != "COMPLETING");
        let said = output(&bench, id);
        let said = said
            .strip_prefix("up\n")
            .expect("what it said itself is first");
        let start = format!("slurmstepd-n1: error: *** JOB {id} ON n1 CANCELLED AT 20");
        let time_and_cause = said
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("{said}"));
        time_and_cause["26-11-30T03:04:05".len()..].to_owned()
    };
    let cancelled = told(&|bench, id| {
        bench.run("scancel", &["-f", "-s", "TERM", &id.to_string()]);
        bench.run("scancel", &[id.to_string()]);
    });
    assert_eq!(cancelled, " ***\n");
    let preempted = told(&|bench, id| bench.cluster.preempt(id).unwrap());
    assert_eq!(preempted, " DUE TO PREEMPTION ***\n");
    let requeued = told(&|bench, id| assert!(bench.cluster.requeue(id).unwrap()));
    assert_eq!(requeued, " DUE TO JOB REQUEUE ***\n");
    let failed = told(&|bench, _| bench.cluster.fail_node("n1").unwrap());
    let cause = " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***\n";
    assert_eq!(failed, cause);
}

#[test]
fn a_signal_reaches_the_script() {
    let bench = Bench::running();
    let path = script(
        &bench,
        "trap 'echo usr1; exit 0' USR1\nsleep 500 &\necho up\nwait",
    );
    let id = submit(&bench, &[&path]);
    wait_until("it is up", || output(&bench, id) == "up\n");
    bench.run("scancel", &["-b", "-s", "USR1", &id.to_string()]);
    wait_until("it is over", || bench.state(id) == "COMPLETED");
    assert_eq!(output(&bench, id), "up\nusr1\n");
}

#[test]
fn export_lets_through_what_it_names() {
    let bench = Bench::running();
    let path = script(
        &bench,
        "echo ${MINE-unset} ${OTHER-unset} ${GIVEN-unset} ${HOME:+home}",
    );
    let run = |export: &str| {
        let mut command = bench.command("sbatch");
        command
            .env("MINE", "1")
            .env("OTHER", "2")
            .args(["--parsable", export, &path]);
        let said = crate::Said::from(command.output().unwrap());
        let id: u32 = said.stdout.trim().parse().unwrap();
        wait_until("it is over", || bench.state(id) == "COMPLETED");
        output(&bench, id)
    };
    assert_eq!(run("--export=ALL"), "1 2 unset\n");
    assert_eq!(run("--export=MINE,GIVEN=3"), "1 unset 3 home\n");
    assert_eq!(run("--export=NIL"), "unset unset unset home\n");
}

#[test]
fn the_supervisor_holds_nothing_of_its_caller() {
    let bench = Bench::running();
    // A caller that leaves a descriptor open to its children, as shells do.
    let held = bench.directory.path().join("held");
    fs::write(&held, "").unwrap();
    let line = format!(
        "exec 7>'{}' 12>&7; exec '{}' --parsable --wrap='sleep 500'",
        held.display(),
        bench.cluster.bin_dir().join("sbatch").display()
    );
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", &line])
        .current_dir(bench.directory.path());
    assert!(shell.output().unwrap().status.success());
    wait_until("it runs", || {
        processes(&bench)
            .iter()
            .any(|line| line.contains("sleep 500"))
    });
    let holders: Vec<PathBuf> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_dir(entry.path().join("fd")).ok())
        .flat_map(|descriptors| descriptors.flatten())
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter(|target| *target == held)
        .collect();
    assert!(holders.is_empty());
}

#[test]
fn stop_leaves_nothing() {
    let bench = Bench::running();
    let path = script(&bench, "trap '' TERM\n(setsid sleep 500 &)\nsleep 500");
    submit(&bench, &[&path]);
    submit(&bench, &["-d", "afterok:1", &path]);
    submit(&bench, &["-H", &path]);
    wait_until("it runs", || {
        processes(&bench).iter().any(|line| line.contains("sleep"))
    });
    bench.cluster.stop().unwrap();
    assert_eq!(processes(&bench), [""; 0]);
}

#[test]
fn a_submission_that_arrives_late_runs_too() {
    let bench = Bench::running();
    let later = fake_slurm::Action::AcceptLater(Duration::from_secs(60));
    bench
        .cluster
        .inject_next(fake_slurm::Program::Sbatch, later)
        .unwrap();
    let path = script(&bench, "echo up\nexec sleep 500");
    assert_eq!(bench.run("sbatch", &["--parsable", &path]).status, Some(1));
    bench.cluster.advance(Duration::from_secs(61)).unwrap();
    wait_until("it is up", || output(&bench, 1) == "up\n");
}

#[test]
fn files_are_for_their_owner_alone() {
    let bench = Bench::running();
    let path = script(&bench, "exec sleep 500");
    submit(&bench, &[&path]);
    let root = bench.directory.path().join("cluster");
    for name in [
        "",
        "state",
        "calls.jsonl",
        "spool",
        "spool/cluster.1",
        "spool/cluster.1/script",
    ] {
        let mode = fs::metadata(root.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
