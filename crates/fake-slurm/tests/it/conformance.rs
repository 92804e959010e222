//! Live conformance: the scripts in `conformance/` are run with the commands of a real cluster and
//! with those of the fake of the same generation, and the transcripts are compared. What differs
//! and is known stands in `KNOWN` with its reason; the table in docs/fake-slurm.md is written from
//! the run.

mod table;
mod transcript;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake_slurm::{ClusterConfig, Execution, FakeCluster, Generation, Partition};

use crate::docs;
use transcript::{Commands, Step, steps_of};

/// Differences that are known: which cases (with a star all that begin so), in which generations
/// (none is all), whether always, and why.
const KNOWN: &[(&str, &[Generation], When, &str)] = include!("conformance/known.rs");

/// Whether a known difference shows in every run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// A real cluster answers now so and now so.
    Sometimes,
}

/// Where the catalogue is.
fn catalogue() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// The scripts of the catalogue by name: all but what each of them starts with.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(catalogue()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|end| end == "sh") && name != "prelude" {
            scripts.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    scripts.sort();
    scripts
}

/// A fake as `scripts/slurm-cluster` makes real ones, with jobs that run.
fn fake(generation: Generation, directory: &Path) -> FakeCluster {
    let nodes = ["n1", "n2"];
    let mut batch = Partition::new("batch", &nodes);
    batch.default_time = Some(30);
    let mut short = Partition::new("short", &nodes);
    (short.max_time, short.default_time) = (Some(5), Some(1));
    let [low, high] = ["low", "high"].map(|name| Partition::new(name, &nodes));
    let config = ClusterConfig {
        generation,
        partitions: vec![batch, short, low, high],
        execution: Execution::Processes,
        // Numbers that mean nothing else in a transcript.
        first_job_id: 500_000,
        start_delay: Duration::from_millis(200),
        ..ClusterConfig::default()
    };
    FakeCluster::with_config(directory, config).unwrap()
}

/// What the whole catalogue comes to with the fake's commands.
fn played(generation: Generation) -> Vec<Step> {
    let directory = tempfile::tempdir().unwrap();
    let cluster = fake(generation, &directory.path().join("cluster"));
    let commands = Commands {
        bin: cluster.bin_dir(),
        conf: None,
    };
    let steps = scripts()
        .iter()
        .flat_map(|(name, script)| steps_of(name, script, &commands))
        .collect();
    cluster.stop().unwrap();
    steps
}

/// Every command line of the catalogue is one that the fake plays, on all generations; and they
/// are written down, for those who have to know whether theirs is among them.
#[test]
fn the_catalogue_is_played_as_it_is_listed() {
    let runs: Vec<Vec<Step>> = std::thread::scope(|scope| {
        let threads = Generation::ALL.map(|generation| scope.spawn(move || played(generation)));
        threads.map(|thread| thread.join().unwrap()).into()
    });
    let mut lines = BTreeSet::new();
    for (generation, steps) in Generation::ALL.into_iter().zip(&runs) {
        assert_eq!(steps.len(), runs[0].len(), "{generation}");
        for step in steps {
            let text = step.lines.join("\n");
            let played = known(generation, &step.case).is_some() || !text.contains("status: 64");
            assert!(
                played && !text.contains("gave up"),
                "{generation} {}:\n{text}",
                step.case
            );
            lines.insert(step.command.clone());
        }
    }
    let mut text = String::new();
    for line in &lines {
        writeln!(text, "{line}").unwrap();
    }
    let path = catalogue().join("commands.txt");
    if docs::to_be_updated() {
        std::fs::write(&path, &text).unwrap();
    }
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(listed == text, "{} {}", path.display(), docs::HOW);
}

#[test]
#[ignore = "needs a real cluster: scripts/test --only conformance"]
fn live_the_fake_answers_as_a_real_cluster() {
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is to be set; scripts/test does"))
    };
    let generation: Generation = variable("SLURM_GENERATION").parse().unwrap();
    let cluster = PathBuf::from(variable("CONFORMANCE_CLUSTER"));
    let real = Commands {
        bin: cluster.join("bin"),
        conf: Some(cluster.join("slurm.conf")),
    };
    let fake = std::thread::spawn(move || played(generation));
    let real: Vec<Step> = scripts()
        .iter()
        .flat_map(|(name, script)| steps_of(name, script, &real))
        .collect();
    let fake = fake.join().unwrap();
    let mut complaints = String::new();
    let mut outcomes = Vec::new();
    assert_eq!(
        real.len(),
        fake.len(),
        "a script of the catalogue broke off"
    );
    for (real, fake) in real.iter().zip(&fake) {
        match outcome(generation, real, fake) {
            Ok(outcome) => outcomes.push((real.case.clone(), outcome)),
            Err(complaint) => complaints += &complaint,
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
    table::compare(generation, &outcomes);
}

/// What became of a case: whether the two agree, or differ as is known.
fn outcome(generation: Generation, real: &Step, fake: &Step) -> Result<&'static str, String> {
    let (case, agree) = (&real.case, real == fake);
    match known(generation, case) {
        None if agree => Ok("agreed"),
        None => Err(format!(
            "{generation} {case}\nreal:\n{}\nfake:\n{}\n\n",
            real.lines.join("\n"),
            fake.lines.join("\n")
        )),
        Some(When::Always) if agree => {
            Err(format!("{generation} {case}: is no difference any more\n"))
        }
        Some(_) => Ok("known"),
    }
}

/// Whether a case is known to differ in a generation, and whether it always does.
fn known(generation: Generation, case: &str) -> Option<When> {
    let mut found = KNOWN.iter().filter(|(name, generations, ..)| {
        let named = match name.strip_suffix('*') {
            Some(start) => case.starts_with(start),
            None => case == *name,
        };
        named && (generations.is_empty() || generations.contains(&generation))
    });
    found.next().map(|(_, _, when, _)| *when)
}
