//! Odd questions and orders, with a clock that stands still: what the live catalogue compares with
//! real clusters, as far as it does not depend on the time that passes there.

use std::time::Duration;

use fake_slurm::{Exit, Generation, NOT_PLAYED};

use crate::Bench;

/// A running job, one that is held and one that waits for tomorrow: numbers 1 to 3.
fn three_jobs() -> Bench {
    let bench = Bench::new();
    bench.submit(&["-J", "b"]);
    bench.submit(&["-J", "a", "-H"]);
    bench.submit(&["-J", "c", "--begin=now+1day"]);
    bench
}

fn refused(bench: &Bench, program: &str, arguments: &[&str]) {
    let said = bench.run(program, arguments);
    assert_eq!(
        said.status,
        Some(i32::from(NOT_PLAYED)),
        "{program} {arguments:?}: {said:?}"
    );
}

#[test]
fn names_of_fields_that_are_not_played_are_refused() {
    let bench = Bench::new();
    for name in [
        "tres",
        "shared",
        "CPUsPerTask",
        "packjobid",
        "packjoboffset",
        "packjobidset",
    ] {
        let said = bench.run("squeue", &["-O", &format!("{name}:20")]);
        assert_eq!(said.status, Some(64), "{name}");
    }
}

#[test]
fn a_signal_goes_to_steps_and_waits_for_a_start() {
    let bench = three_jobs();
    assert_eq!(bench.run("scancel", &["-s", "TERM", "1"]).status, Some(0));
    assert_eq!(bench.state(1), "RUNNING");
    refused(&bench, "scancel", &["-s", "USR1", "2"]);
    assert_eq!(bench.state(2), "PENDING");
    assert_eq!(bench.run("scancel", &["-s", "KILL", "2"]).status, Some(0));
    assert_eq!(bench.state(2), "CANCELLED");
    // Without a signal -b kills the script alone: the job fails.
    assert_eq!(bench.run("scancel", &["-b", "1"]).status, Some(0));
    assert_eq!(bench.state(1), "FAILED");
}

#[test]
fn jobs_come_in_the_order_that_was_asked_for() {
    let bench = three_jobs();
    let order = |sort: &str| {
        let said = bench.run("squeue", &["-h", "-o", "%j", "-S", sort]);
        said.stdout.replace('\n', "") + &said.stderr
    };
    assert_eq!(order("i"), "bac");
    assert_eq!(order("-i"), "cab");
    assert_eq!(order("j"), "abc");
    assert_eq!(order("T,-j"), "cab");
    // A start that is unknown comes last, whichever way.
    assert_eq!(order("S"), "bca");
    assert_eq!(order("-S"), "cba");
    assert_eq!(order("r"), "squeue: error: Invalid sort specification: r\n");
    let start = bench.run("squeue", &["--start", "-h", "-o", "%j"]);
    assert_eq!(start.stdout, "c\na\n");
}

#[test]
fn a_suspended_job_does_not_run_on() {
    let bench = three_jobs();
    bench.cluster.advance(Duration::from_secs(60)).unwrap();
    bench.run("scontrol", &["suspend", "1"]);
    bench.cluster.advance(Duration::from_secs(600)).unwrap();
    let used = || bench.run("squeue", &["-h", "-j", "1", "-o", "%M"]).stdout;
    let fields = ["-X", "-n", "-P", "-j", "1", "-o", "Elapsed,Suspended"];
    assert_eq!(used(), "1:00\n");
    assert_eq!(bench.run("sacct", &fields).stdout, "00:01:00|00:10:00\n");
    bench.run("scontrol", &["resume", "1"]);
    bench.cluster.advance(Duration::from_secs(60)).unwrap();
    assert_eq!(used(), "2:00\n");
    assert_eq!(bench.run("sacct", &fields).stdout, "00:02:00|00:10:00\n");
}

#[test]
fn the_database_is_asked_of_a_time() {
    let bench = three_jobs();
    bench.cluster.advance(Duration::from_secs(60)).unwrap();
    let asked = |arguments: &[&str]| {
        let all = [&["-X", "-n", "-P", "-o", "JobID"], arguments].concat();
        bench.run("sacct", &all).stdout.replace('\n', " ")
    };
    // A job that is held or waits for a time is not of today, unless it is named.
    assert_eq!(asked(&[]), "1 ");
    assert_eq!(asked(&["-E", "now+2days"]), "1 3 ");
    assert_eq!(asked(&["-j", "1,2,3"]), "1 2 3 ");
    assert_eq!(asked(&["-j", "1", "-E", "2020-01-01"]), "");
    assert_eq!(asked(&["-s", "R"]), "1 ");
    assert_eq!(asked(&["-s", "PD"]), "");
    // The new run of a requeued job can start later only, so the old one is shown.
    bench.run("scontrol", &["requeue", "1"]);
    let states = ["-X", "-n", "-P", "-o", "State"];
    assert_eq!(bench.run("sacct", &states).stdout, "REQUEUED\n");
    let named = [&states[..], &["-j", "1"]].concat();
    assert_eq!(bench.run("sacct", &named).stdout, "PENDING\n");
    let garbage = bench.run("sacct", &["-X", "-S", "garbage"]);
    assert_eq!(
        (garbage.status, garbage.stderr.as_str()),
        (Some(1), "Invalid time specification (pos=0): garbage\n")
    );
}

#[test]
fn what_is_not_played_is_refused() {
    let bench = three_jobs();
    for arguments in [
        &["--steps"][..],
        &["-v"],
        &["--stat=PD"],
        &["-j", "1_2"],
        &["-o", "%all"],
        &["-O", "AllocSID"],
        &["-O", "NumTasks"],
        &["-w", "n["],
    ] {
        refused(&bench, "squeue", arguments);
    }
    for arguments in [
        &["-j", "1"][..],
        &["-X", "-o", "DBIndex"],
        &["-X", "-o", "ALL"],
        &["-X", "-o", "a%5"],
        &["-X", "-S", "noon"],
        &["-X", "-j", "1", "-j", "2"],
        &["-X", "-s", "RQ"],
    ] {
        refused(&bench, "sacct", arguments);
    }
    for arguments in [&["-N"][..], &["-o", "%n"], &["-t", "drain"], &["-l"]] {
        refused(&bench, "sinfo", arguments);
    }
    for arguments in [
        &["show", "node", "n1"][..],
        &["rel", "1"],
        &["hold", "1_2"],
        &["update", "JobId=1", "Priority=1"],
        &["update", "NodeName=n1", "State=DOWN"],
        &["update", "JobName=b"],
    ] {
        refused(&bench, "scontrol", arguments);
    }
    for arguments in [&["1_2"][..], &["-v", "-Q", "1"], &["-Q", "-v", "1"]] {
        refused(&bench, "scancel", arguments);
    }
}

/// A job of each of two partitions, of which the first takes none of more than five minutes.
#[test]
fn a_job_starts_in_the_first_partition_that_will_have_it() {
    let Bench { cluster, directory } = Bench::new();
    cluster
        .configure(|config| {
            let mut short = config.partitions[0].clone();
            "short".clone_into(&mut short.name);
            short.max_time = Some(5);
            config.partitions.push(short);
        })
        .unwrap();
    let bench = Bench { cluster, directory };
    for (limit, partition) in [("-t10", "batch\n"), ("-t5", "short\n")] {
        let id = bench.submit(&["-p", "short,batch", limit]).to_string();
        let seen = bench.run("squeue", &["-h", "-j", &id, "-o", "%P"]);
        assert_eq!(seen.stdout, partition);
    }
}

#[test]
fn a_held_job_that_can_never_start_is_the_administrators() {
    let Bench { cluster, directory } = Bench::new();
    let cluster = cluster.generation(Generation::V26_05).unwrap();
    let bench = Bench { cluster, directory };
    let failed = bench.submit(&[]);
    bench.cluster.finish(failed, Exit::status(1)).unwrap();
    let wanted = format!("--dependency=afterok:{failed}");
    let held = bench.submit(&["-H", &wanted]).to_string();
    let seen = bench.run("squeue", &["-h", "-j", &held, "-o", "%r"]);
    assert_eq!(seen.stdout, "JobHeldAdmin\n");
}

#[test]
fn a_filter_and_a_named_cluster_are_the_controllers_business() {
    for (generation, status) in [(Generation::V22_05, 0), (Generation::V24_11, NOT_PLAYED)] {
        let Bench { cluster, directory } = Bench::new();
        let cluster = cluster.generation(generation).unwrap();
        let bench = Bench { cluster, directory };
        bench.submit(&["-J", "b"]);
        let said = bench.run("scancel", &["-M", "cluster", "-n", "other"]);
        assert_eq!(said.status, Some(i32::from(status)), "{generation}");
    }
}

#[test]
fn nobody_knows_when_a_job_could_start_later() {
    let bench = Bench::new();
    let check = &["--test-only", "--exclusive", "--nodes=2", "--wrap", "true"];
    assert_eq!(bench.run("sbatch", check).status, Some(0));
    bench.submit(&["-J", "b"]);
    refused(&bench, "sbatch", check);
    // Of a time that it names itself it is asked what that is.
    let later = [&["--begin=now+1hour"][..], check].concat();
    assert_eq!(bench.run("sbatch", &later).status, Some(0));
}

#[test]
fn sacct_leaves_out_a_shells_128() {
    let bench = Bench::new();
    bench.submit(&["-J", "killed"]);
    bench.cluster.finish(1, Exit::status(137)).unwrap();
    let shown = bench.run(
        "sacct",
        &["-X", "-n", "-P", "-j", "1", "-o", "State,ExitCode"],
    );
    assert_eq!(shown.stdout, "FAILED|9:0\n");
    let shown = bench.run(
        "squeue",
        &["-h", "-t", "all", "-j", "1", "-O", "exit_code:0"],
    );
    assert_eq!(shown.stdout, "35072\n");
}
