//! The JSON Schema of `external.config`, made from the table of keys.
//!
//! It is for editors and for checks before anything is run. It lets through everything that the
//! reader lets through; the reader refuses a little more, such as options of sbatch by name.

use serde_json::{Map, Value, json};

use super::RUNNER_SETTINGS;
use super::keys::{Default, Form, KEYS, Key, MOST_SECONDS, placeholders};

/// The schema as `slurm-cbx schema` prints it.
pub(crate) fn text() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Value {
    let properties: Map<String, Value> = KEYS
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "external.config of slurm-cbx",
        "description": "What a lease asks of Slurm. null and the empty text mean that a key is not set.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "if": {
            "properties": {"sshMode": {"const": "proxy-through-login"}},
            "required": ["sshMode"],
        },
        "then": {
            "properties": {"loginHost": {"type": ["string", "number"], "minLength": 1}},
            "required": ["loginHost"],
        },
    })
}

fn property(key: &Key) -> Value {
    let mut property = form(key.form);
    let (default, words) = match key.default {
        Default::Is(text) => (Some(json!(text)), None),
        Default::Seconds(seconds) => (Some(json!(seconds)), None),
        Default::Words(words) => (None, Some(words)),
    };
    let words = words.map(|words| format!(" Default: {words}."));
    property["description"] = json!(key.about.to_owned() + &words.unwrap_or_default());
    if let Some(default) = default {
        property["default"] = default;
    }
    property
}

/// Characters that no text but a list's holds.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

fn form(form: Form) -> Value {
    match form {
        Form::Word => {
            let odd = format!(r#"\s{CONTROL}"'`\\"#);
            one_of(&format!("[^-{odd}][^{odd}]{{0,1023}}"), &["number"])
        }
        Form::Count => number("0*[1-9][0-9]{0,9}", 1, u32::MAX.into()),
        Form::Nodes => number("0*[1-9][0-9]{0,9}(-0*[1-9][0-9]{0,9})?", 1, u32::MAX.into()),
        Form::Memory => number("[0-9]{1,18}[KMGTkmgt]?", 0, 999_999_999_999_999_999),
        Form::TimeLimit => number(
            "(?=.*[1-9])([0-9]{1,9}-)?[0-9]{1,9}(:[0-9]{1,9}){0,2}",
            1,
            999_999_999,
        ),
        Form::Seconds => number(r"\+?[0-9]+", 0, MOST_SECONDS),
        Form::Path => one_of(&format!(r#"~?/[^\s{CONTROL}%'"\\$`]*"#), &[]),
        Form::Cluster => one_of("[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", &["number"]),
        Form::Host => one_of("[A-Za-z0-9_][A-Za-z0-9._-]{0,252}", &["number"]),
        Form::User => one_of("[A-Za-z0-9._+][A-Za-z0-9._@+-]{0,63}", &["number"]),
        Form::Choice(words) => {
            let words = words.iter().map(|word| json!(word));
            let unset = [json!(""), Value::Null];
            json!({"enum": words.chain(unset).collect::<Vec<Value>>()})
        }
        Form::Line => one_of(&format!("[^{CONTROL}]{{1,4096}}"), &["number"]),
        Form::Proxy => {
            let names = placeholders().join("|");
            one_of(&format!(r"([^{{'{CONTROL}]|\{{({names})\}})*"), &["number"])
        }
        Form::Options => list(json!({"type": "string", "minLength": 1, "maxLength": 4096})),
        Form::Variables => {
            let plain = r"^(?!(CBX|SBATCH|SLURM|SQUEUE|SACCT|SCANCEL)_|LD_PRELOAD$)[A-Za-z_][A-Za-z0-9_]{0,127}$";
            list(
                json!({"anyOf": [{"type": "string", "pattern": plain}, {"enum": RUNNER_SETTINGS}]}),
            )
        }
    }
}

/// A text of this form, or not set, or a value of another type.
fn one_of(pattern: &str, others: &[&str]) -> Value {
    let types = [&["string", "null"], others].concat();
    json!({"type": types, "pattern": format!("^({pattern})?$")})
}

/// A whole number, as such or as a text, which may hold more than that.
fn number(pattern: &str, least: u64, most: u64) -> Value {
    let mut number = one_of(pattern, &["integer"]);
    number["minimum"] = json!(least);
    number["maximum"] = json!(most);
    number
}

/// A list, or not set.
fn list(items: Value) -> Value {
    json!({"type": ["array", "string", "null"], "items": items, "maxLength": 0})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    fn reads(config: &Value) -> Result<(), String> {
        let map = config.as_object().unwrap();
        Config::read(map)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Values that are right, then values that are wrong, for each form.
    fn samples(form: Form) -> (Vec<Value>, Vec<Value>) {
        let (right, wrong) = match form {
            Form::Word => (
                json!(["batch", "a.b:c=1,2", 7, 1.5, "é"]),
                json!(["a b", "-x", "a\"b", "a\nb"]),
            ),
            Form::Count => (
                json!([1, 4294967295_u32, "2", "007"]),
                json!([0, -1, 1.5, "0", "two", "1 "]),
            ),
            Form::Nodes => (json!([1, "2", "1-2"]), json!([0, "0", "1-", "-2", "1-2-3"])),
            Form::Memory => (
                json!([0, 2048, "2G", "512m"]),
                json!([-1, "G", "2X", "2 G"]),
            ),
            Form::TimeLimit => (
                json!([30, "30", "01:00:00", "1-12:00:00", "1-2"]),
                json!([0, "0", "00:00", "1-", "1:2:3:4", "x"]),
            ),
            Form::Seconds => (
                json!([0, 1, 31_536_000, "60", "+5"]),
                json!([-1, 31_536_001, 1.5, "a", "-1"]),
            ),
            Form::Path => (
                json!(["/scratch/w", "~/w", "/é"]),
                json!(["w", "../w", "/a b", "/a%b", "/a'b", 5]),
            ),
            Form::Cluster => (json!(["beta", 7]), json!(["-x", "a b", "a;b"])),
            Form::Host => (
                json!(["login1.example", "10.0.0.1"]),
                json!(["-x", "a b", "::1"]),
            ),
            Form::User => (json!(["alice", "a@b"]), json!(["-x", "a b", "@a"])),
            Form::Choice(_) => (json!(["direct"]), json!(["vpn", 1])),
            Form::Line => (json!(["true && 'x'"]), json!(["a\nb"])),
            Form::Proxy => (
                json!(["ssh -W {host}:{port} {loginHost}", "x }"]),
                json!(["{nobody}", "a 'b'", "{host"]),
            ),
            Form::Options => (
                json!([[], ["--exclusive", "-N1"]]),
                json!(["--exclusive", [1], [""]]),
            ),
            Form::Variables => (
                json!([["FOO", "_a1", "CBX_SSHD"]]),
                json!(["FOO", ["1A"], ["SLURM_CONF"], ["LD_PRELOAD"], ["A-B"], [""]]),
            ),
        };
        let list = |values: Value| values.as_array().unwrap().clone();
        let mut right = list(right);
        right.extend([json!(""), Value::Null]);
        let mut wrong = list(wrong);
        wrong.extend([json!(true), json!({})]);
        (right, wrong)
    }

    #[test]
    fn the_reader_and_the_schema_agree_on_every_key() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for key in &KEYS {
            let (right, wrong) = samples(key.form);
            for value in right {
                let config = json!({key.name: value});
                assert_eq!(reads(&config), Ok(()), "{config}");
                assert!(validator.is_valid(&config), "{config}");
            }
            for value in wrong {
                let config = json!({key.name: value});
                let error = reads(&config).expect_err(&config.to_string());
                assert!(
                    error.starts_with(&format!("external.config.{}", key.name)),
                    "{error}"
                );
                assert!(!validator.is_valid(&config), "{config}");
            }
        }
        let unknown = json!({"partion": "batch"});
        assert!(reads(&unknown).is_err() && !validator.is_valid(&unknown));
    }

    #[test]
    fn a_login_node_must_be_named_where_ssh_goes_through_one() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let through = |host: Value| json!({"sshMode": "proxy-through-login", "loginHost": host});
        for (config, right) in [
            (through(json!("login1")), true),
            (through(json!("")), false),
            (through(Value::Null), false),
            (json!({"sshMode": "proxy-through-login"}), false),
        ] {
            assert_eq!(reads(&config).is_ok(), right, "{config}");
            assert_eq!(validator.is_valid(&config), right, "{config}");
        }
    }

    #[test]
    fn every_key_is_described_once() {
        let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        assert!(names.is_sorted());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for key in &KEYS {
            let about = property(key)["description"].as_str().unwrap().to_owned();
            assert!(
                about.ends_with('.') && about.len() > 20,
                "{}: {about}",
                key.name
            );
            assert!(
                key.form != Form::Seconds || about.contains("in seconds"),
                "{}",
                key.name
            );
        }
    }
}
