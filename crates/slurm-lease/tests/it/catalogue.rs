//! Every command line that the library can make is in the catalogue that is compared with real
//! Slurms of four generations (`crates/fake-slurm/conformance`): it leans on nothing that was not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use slurm_lease::evidence::{Claim, Identified, Outstanding, Search, search};
use slurm_lease::parse::squeue;
use slurm_lease::{
    Answer, ClusterName, Command, Exit, JobName, JobRef, Mark, Program, QueueQuery, Resources,
    Submission, Tag, Uid, accounting, cancel, configuration, forbid_requeue, ping, version,
};

/// What stands for a job's and a user's number here; the catalogue says JOB and UID.
const JOB: u32 = 987_654_321;
const UID: u32 = 987_654_322;

fn catalogue() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fake-slurm/conformance/commands.txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// A command line in the words of the catalogue.
fn line(command: &Command) -> String {
    let words = [command.program.name().to_owned()]
        .into_iter()
        .chain(command.arguments.iter().cloned());
    words
        .collect::<Vec<_>>()
        .join(" ")
        .replace(&JOB.to_string(), "JOB")
        .replace(&UID.to_string(), "UID")
}

fn mark() -> Mark {
    Mark::from_bits(0)
}

fn tag() -> Tag {
    let text = "slurm-lease/1 0a1b2c3d cbx_0123456789ab 00000000deadbeef";
    text.parse().unwrap()
}

fn name() -> JobName {
    "NAME".parse().unwrap()
}

fn job(cluster: Option<&ClusterName>) -> JobRef {
    let cluster = cluster.map_or(String::new(), |cluster| format!(";{cluster}"));
    format!("{JOB}{cluster}").parse().unwrap()
}

/// A job of ours as it comes out of an answer: there is no other way to one.
fn identified(cluster: Option<&ClusterName>) -> Identified {
    // squeue's words above the fields do not matter but the first.
    let mut heading = [""; 17];
    heading[0] = "JOBID";
    let fields = [
        &JOB.to_string(),
        "RUNNING",
        &UID.to_string(),
        "1700000000",
        "1700000000",
        "1700003600",
        "0",
        "0",
        "None",
        "n1",
        "n1",
        "0",
        "batch",
        "1:00:00",
        "DIR",
        "NAME",
        &tag().to_string(),
    ];
    let line = |fields: [&str; 17]| {
        fields
            .map(|field| format!("{field}{}", mark().as_str()))
            .concat()
            + "\n"
    };
    let answer = Answer {
        exit: Exit::Status(0),
        stdout: (line(heading) + &line(fields)).into_bytes(),
        stderr: Vec::new(),
    };
    let claim = Claim {
        uid: Uid(UID),
        name: name(),
        tag: tag(),
        intended: Timestamp::from_second(1_700_000_000).unwrap(),
        directory: None,
        outstanding: Outstanding::Nothing,
        submitted: None,
        restarts: 0,
        any_nonce: false,
        placed: false,
    };
    match search(&claim, cluster, &squeue::parse(&answer, &mark())) {
        Search::Found(found) => found.into_identified(),
        other => panic!("{other:?}"),
    }
}

/// Each resource by itself, none, and all of them, with values that the catalogue has.
fn requests() -> Vec<Vec<String>> {
    type Set = fn(&mut Resources);
    let each: [Set; 11] = [
        |wanted| wanted.account = Some("lab".to_owned()),
        |wanted| wanted.partition = Some("batch".to_owned()),
        |wanted| wanted.qos = Some("normal".to_owned()),
        |wanted| wanted.cpus = Some("2".to_owned()),
        |wanted| wanted.mem = Some("200M".to_owned()),
        |wanted| wanted.time_limit = Some("00:03:00".to_owned()),
        |wanted| wanted.gres = Some("gpu:1".to_owned()),
        |wanted| wanted.nodes = Some("1-2".to_owned()),
        |wanted| wanted.constraint = Some("nosuch".to_owned()),
        |wanted| wanted.reservation = Some("nosuch".to_owned()),
        |wanted| wanted.extra = vec!["--exclusive".to_owned()],
    ];
    let mut all = Resources::default();
    let mut requests = vec![all.options().unwrap()];
    for set in each {
        let mut one = Resources::default();
        set(&mut one);
        set(&mut all);
        requests.push(one.options().unwrap());
    }
    // A field that is not set here would not be tried.
    let Resources {
        account: Some(_),
        partition: Some(_),
        qos: Some(_),
        cpus: Some(_),
        mem: Some(_),
        time_limit: Some(_),
        gres: Some(_),
        nodes: Some(_),
        constraint: Some(_),
        reservation: Some(_),
        extra: _,
    } = &all
    else {
        panic!("{all:?}");
    };
    requests.push(all.options().unwrap());
    requests
}

fn submission(options: Vec<String>, exported: bool, cluster: Option<&ClusterName>) -> Submission {
    let environment = [
        ("CBX_LEASE_ID", "cbx_0123456789ab"),
        ("CBX_NONCE", "00000000deadbeef"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Submission {
        script: "DIR/runner.sh".into(),
        name: name(),
        tag: tag(),
        cluster: cluster.cloned(),
        options,
        directory: "DIR".into(),
        output: "DIR/slurm-%j.out".into(),
        environment: if exported {
            environment.to_vec()
        } else {
            Vec::new()
        },
        exported: Vec::new(),
    }
}

fn submissions() -> Vec<Command> {
    let cluster: ClusterName = "cluster".parse().unwrap();
    let requests = requests();
    let all = requests.last().cloned().unwrap_or_default();
    let mut submissions: Vec<Submission> = requests
        .into_iter()
        .map(|options| submission(options, false, None))
        .collect();
    submissions.push(submission(Vec::new(), true, None));
    for exported in [false, true] {
        submissions.push(submission(Vec::new(), exported, Some(&cluster)));
    }
    submissions.push(submission(all, false, Some(&cluster)));
    let both = |submission: &Submission| [submission.command(), submission.test_command()];
    submissions.iter().flat_map(both).collect()
}

/// What is asked and told besides, of the configuration's own cluster and of a named one.
fn others() -> Vec<Command> {
    let named: ClusterName = "cluster".parse().unwrap();
    let of = |cluster: Option<&ClusterName>| {
        [
            QueueQuery::Job(job(cluster)).command(&mark()),
            QueueQuery::User(Uid(UID), cluster.cloned()).command(&mark()),
            accounting(&job(cluster), &mark()),
            cancel(identified(cluster)),
            forbid_requeue(identified(cluster)),
            configuration(cluster),
        ]
    };
    let programs = [
        Program::Sbatch,
        Program::Squeue,
        Program::Sacct,
        Program::Scancel,
        Program::Scontrol,
    ];
    let versions = programs.map(version);
    [
        of(None).to_vec(),
        of(Some(&named)).to_vec(),
        versions.to_vec(),
        vec![ping()],
    ]
    .concat()
}

#[test]
fn every_command_line_was_compared_with_real_slurms() {
    let catalogue = catalogue();
    let missing: Vec<String> = submissions()
        .iter()
        .chain(&others())
        .map(line)
        .filter(|line| !catalogue.contains(line))
        .collect();
    assert!(
        missing.is_empty(),
        "not in the scripts of crates/fake-slurm/conformance:\n{}",
        missing.join("\n")
    );
}

/// A new way to make a command is to be tried above.
#[test]
fn every_way_to_make_a_command_is_tried() {
    let source = include_str!("../../src/command.rs");
    let makes =
        |line: &&str| line.trim_start().starts_with("pub fn") && line.contains("-> Command");
    let names = source.lines().filter(makes).filter_map(|line| {
        let (_, rest) = line.split_once("pub fn ")?;
        rest.split('(').next()
    });
    let known = [
        "command",
        "test_command",
        "command",
        "accounting",
        "cancel",
        "forbid_requeue",
        "configuration",
        "ping",
        "version",
    ];
    assert_eq!(names.collect::<Vec<_>>(), known);
}
