//! `slurm-cbx schema`, and what the documents say of the config.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One run of the program in a home of its own.
fn run(arguments: &[&str], stdin: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_slurm-cbx"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(arguments: &[&str], stdin: &str) -> String {
    let output = run(arguments, stdin);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_kept_schema_is_what_the_program_prints() {
    let kept = fs::read_to_string(root().join("docs/config.schema.json")).unwrap();
    let printed = stdout(&["schema"], "");
    assert!(
        kept == printed,
        "docs/config.schema.json is out of date: cargo run -p slurm-cbx-cli -- schema >docs/config.schema.json"
    );
    jsonschema::meta::validate(&serde_json::from_str(&kept).unwrap()).unwrap();
}

/// Every `"config": {…}` in a text.
fn json_configs(text: &str) -> Vec<Value> {
    let after = text.split("\"config\":").skip(1);
    let read = |rest: &str| {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        values.next().unwrap().unwrap()
    };
    after.map(read).collect()
}

/// Every `config: { key: value, … }` in a text, as YAML has it.
fn yaml_configs(text: &str) -> Vec<Value> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("config: {"));
    let read = |line: &str| {
        let pairs = line.strip_suffix('}').unwrap().split(',');
        let pair = |pair: &str| {
            let (key, value) = pair.split_once(':').unwrap();
            let value = value.trim();
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            (key.trim().to_owned(), value)
        };
        Value::Object(pairs.map(pair).collect())
    };
    lines.map(read).collect()
}

#[test]
fn every_config_in_the_documents_is_right() {
    let schema = serde_json::from_str(&stdout(&["schema"], "")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let directories = ["", "docs", "fixtures/protocol", "scripts"].map(|name| root().join(name));
    let mut found = 0;
    for file in directories
        .iter()
        .flat_map(|directory| fs::read_dir(directory).unwrap())
    {
        let path = file.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_sample = name.ends_with(".md") || name.ends_with(".request.json");
        if !is_sample {
            continue;
        }
        for config in json_configs(&text).into_iter().chain(yaml_configs(&text)) {
            let errors: Vec<String> = validator
                .iter_errors(&config)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{name}: {config}: {errors:?}");
            found += 1;
        }
    }
    assert!(found >= 25, "{found}");
}

/// The table of keys in docs/migrating.md names every key there is, and no other.
#[test]
fn the_documented_keys_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(&stdout(&["schema"], "")).unwrap();
    let known: Vec<String> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let text = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let (_, section) = text.split_once("## The keys of `external.config`").unwrap();
    let (table, _) = section.split_once("\n\n`null`").unwrap();
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let mut documented: Vec<&str> = cells
        .flat_map(|cell| cell.split_whitespace().map(|name| name.trim_matches('`')))
        .collect();
    documented.sort_unstable();
    assert_eq!(documented, known);
}

#[test]
fn doctor_names_the_key_that_was_meant() {
    let message = |config: Value| {
        let request = json!({"protocolVersion": 1, "operation": "doctor", "config": config});
        let answer: Value = serde_json::from_str(&stdout(&[], &request.to_string())).unwrap();
        answer["error"].as_str().unwrap().to_owned()
    };
    for (given, meant) in [
        ("partion", "partition"),
        ("Partition", "partition"),
        ("time_limit", "timeLimit"),
        ("memory", "mem"),
        ("acquireTimeoutSecs", "acquireTimeoutSeconds"),
        ("exportenv", "exportEnv"),
    ] {
        let said = message(json!({given: "x"}));
        assert_eq!(
            said,
            format!("external.config has no key {given:?}; did you mean {meant}?")
        );
    }
    let said = message(json!({"zebrafish": 1}));
    assert_eq!(said, "external.config has no key \"zebrafish\"");
}

#[test]
fn help_names_what_people_can_run() {
    let help = stdout(&["--help"], "");
    let commands: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    for command in ["schema ", "completions ", "man "] {
        let named = commands.iter().any(|line| line.starts_with(command));
        assert!(named, "{command}: {help}");
    }
    assert!(!help.contains("keep"), "{help}");
}

#[test]
fn every_shell_gets_completions_and_man_a_page() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&["completions", shell], "");
        assert!(
            script.contains("state-dir") && script.contains("schema"),
            "{shell}"
        );
        assert!(!script.contains("keep"), "{shell}: {script}");
    }
    let page = stdout(&["man"], "");
    assert!(
        page.contains(".TH slurm-cbx 1") && page.contains("state\\-dir"),
        "{page}"
    );
    assert!(!run(&["completions", "command.com"], "").status.success());
}
