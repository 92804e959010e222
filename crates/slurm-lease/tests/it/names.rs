//! Names, tags, published files and options: what is let through, and that it stays what it is.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use slurm_lease::{
    ClusterName, Endpoint, JobId, JobName, JobRef, JobState, LeaseId, Nonce, Resources, StopMarker,
    StoreId, Tag, is_host_name, is_plain_path, is_user_name, strategies,
};

use crate::wreck::wrecked;

/// Texts near to what is let through, and any others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._/;: -]{0,20}",
        "(cbx_)?[0-9a-f]{8,17}",
        "\\PC{0,20}",
        any::<String>(),
        "[0-9]{1,11}([;_+][a-z0-9]{0,8})?",
    ]
}

/// What any name of ours may be put into: a path, an argument, a line of text.
fn is_harmless(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-;".contains(c);
    !text.is_empty() && !text.starts_with(['-', '.']) && text.chars().all(plain)
}

fn check<T: std::str::FromStr + ToString + PartialEq>(text: &str) -> Result<(), TestCaseError> {
    if let Ok(name) = text.parse::<T>() {
        let printed = name.to_string();
        prop_assert!(is_harmless(&printed), "{printed:?}");
        prop_assert!(printed.parse::<T>().is_ok_and(|again| again == name));
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_parses_as_a_name_is_harmless(text in text()) {
        check::<LeaseId>(&text)?;
        check::<JobName>(&text)?;
        check::<ClusterName>(&text)?;
        check::<Nonce>(&text)?;
        check::<StoreId>(&text)?;
        check::<JobId>(&text)?;
        check::<JobRef>(&text)?;
    }

    #[test]
    fn names_are_read_as_they_are_written(
        lease in strategies::lease_id(), name in strategies::job_name(),
        job in strategies::job_ref(), state in strategies::job_state(), tag in strategies::tag(),
    ) {
        prop_assert_eq!(lease.to_string().parse(), Ok(lease));
        prop_assert_eq!(name.to_string().parse(), Ok(name));
        prop_assert_eq!(job.to_string().parse(), Ok(job.clone()));
        prop_assert_eq!(serde_json::from_value::<JobRef>(json!(job)).unwrap(), job);
        prop_assert_eq!(JobState::parse(state.as_str()), state);
        prop_assert_eq!(tag.to_string().parse(), Ok(tag));
    }

    #[test]
    fn a_tag_is_found_whatever_stands_around_it(
        tag in strategies::tag(), before in "([a-z=]{1,8} ){0,3}[\\[(<]?", after in "[\\])>;,.]?( \\PC{1,8}){0,3}"
    ) {
        let comment = format!("{before}{tag}{after}");
        prop_assert_eq!(Tag::in_comment(&comment), Some(tag), "{}", comment);
    }

    #[test]
    fn a_tag_that_is_not_whole_is_none(tag in strategies::tag(), cut in any::<Index>()) {
        let whole = tag.to_string();
        prop_assert_eq!(Tag::in_comment(&whole[..cut.index(whole.len())]), None);
    }

    #[test]
    fn a_comment_with_two_tags_has_none(one in strategies::tag(), other in strategies::tag(), between in "[ ;]\\PC{0,8} ") {
        let comment = format!("{one}{between}{other}");
        prop_assert_eq!(Tag::in_comment(&comment), (one == other).then_some(one));
    }

    #[test]
    fn any_comment_is_survived(comment in text(), tag in strategies::tag(), at in any::<Index>()) {
        let _none = Tag::in_comment(&comment);
        // Text that grew into a tag of ours is no tag, or still the same.
        let mut whole: Vec<char> = tag.to_string().chars().collect();
        let at = at.index(whole.len());
        drop(whole.splice(at..at, comment.chars()));
        let changed: String = whole.into_iter().collect();
        if let Some(found) = Tag::in_comment(&changed) {
            let words: Vec<&str> = changed.split_whitespace().collect();
            prop_assert!(words.join(" ").contains(&found.to_string()), "{changed:?}");
        }
    }

    #[test]
    fn an_endpoint_is_read_as_it_is_written(endpoint in strategies::endpoint(), as_text in any::<bool>()) {
        let mut value = json!(endpoint);
        if as_text {
            value["port"] = json!(endpoint.port.to_string());
            value["jobId"] = json!(endpoint.job_id.map(|id| id.to_string()).unwrap_or_default());
        }
        prop_assert_eq!(Endpoint::parse(value.to_string().as_bytes()), Ok(endpoint));
    }

    #[test]
    fn a_stop_marker_is_read_as_it_is_written(marker in strategies::stop_marker()) {
        prop_assert_eq!(StopMarker::parse(json!(marker).to_string().as_bytes()), Ok(marker));
    }

    #[test]
    fn an_endpoint_that_is_cut_short_is_none(endpoint in strategies::endpoint(), cut in any::<Index>()) {
        let whole = json!(endpoint).to_string();
        let cut = (0..=cut.index(whole.len())).rev().find(|&at| whole.is_char_boundary(at)).unwrap();
        prop_assert!(Endpoint::parse(&whole.as_bytes()[..cut]).is_err());
    }

    /// What is believed of an endpoint can be put into an ssh command.
    #[test]
    fn an_odd_endpoint_is_refused_or_harmless(
        bytes in strategies::endpoint().prop_flat_map(|endpoint| wrecked(json!(endpoint).to_string().into_bytes())),
        key in "(host|user|key|loginHost|loginUser|hostKey|port|jobId)", value in value(),
    ) {
        check_endpoint(&bytes)?;
        let _read = StopMarker::parse(&bytes);
        let mut endpoint = json!({"host": "n1", "port": 22, "user": "alice"});
        endpoint[key] = value;
        check_endpoint(endpoint.to_string().as_bytes())?;
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _read = (Endpoint::parse(&bytes), StopMarker::parse(&bytes));
        let _text = JobState::parse(&String::from_utf8_lossy(&bytes)).meaning();
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"host": "n1"})),
    ]
}

fn check_endpoint(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(endpoint) = Endpoint::parse(bytes) else {
        return Ok(());
    };
    let user = &endpoint.user;
    prop_assert!(is_host_name(&endpoint.host) && (user.is_empty() || is_user_name(user)));
    prop_assert!(endpoint.port > 0);
    prop_assert!(endpoint.login_host.as_deref().is_none_or(is_host_name));
    prop_assert!(endpoint.login_user.as_deref().is_none_or(is_user_name));
    let path = |key: &camino::Utf8PathBuf| key.is_absolute() && is_plain_path(key.as_str());
    prop_assert!(endpoint.key.as_ref().is_none_or(path));
    let line = |key: &String| !key.contains(|c: char| c.is_control() || "'\"`$\\".contains(c));
    prop_assert!(endpoint.host_key.as_ref().is_none_or(line));
    let again = Endpoint::parse(json!(endpoint).to_string().as_bytes());
    prop_assert_eq!(again, Ok(endpoint));
    Ok(())
}

/// The options below that take a value.
const VALUED: [&str; 6] = [
    "--mail-type",
    "--nodelist",
    "-w",
    "-n",
    "--wckey",
    "--mincpus",
];

/// What is left of these words and the option of ours behind them once sbatch has taken each
/// option with its value: its script, and whether ours is still an option.
fn left_over(words: &[String]) -> (Vec<&str>, bool) {
    let ours = "--parsable";
    let mut words = words.iter().map(String::as_str).chain([ours]);
    let (mut operands, mut given) = (Vec::new(), false);
    while let Some(word) = words.next() {
        if VALUED.contains(&word) {
            words.next();
        } else if word.starts_with('-') {
            given |= word == ours;
        } else {
            operands.push(word);
        }
    }
    (operands, given)
}

proptest! {
    /// As sbatch 22.05 reads them: of `--nice x`, `--propagate x`, `--no-kill x`, `--overcom x`
    /// and `-s x` the script is `x`, and of `-w -n x` too.
    #[test]
    fn no_option_replaces_the_script_or_swallows_ours(words in proptest::collection::vec(option(), 0..5)) {
        let resources = Resources { extra: words.clone(), ..Resources::default() };
        if resources.options().is_ok() {
            prop_assert_eq!(left_over(&words), (vec![], true));
        }
    }

    #[test]
    fn any_value_is_refused_or_one_word(value in text(), extra in text()) {
        let some = || Some(value.clone());
        let one = |set: fn(&mut Resources, Option<String>)| {
            let mut resources = Resources::default();
            set(&mut resources, some());
            resources
        };
        for resources in [
            one(|r, v| r.account = v), one(|r, v| r.partition = v), one(|r, v| r.qos = v),
            one(|r, v| r.cpus = v), one(|r, v| r.mem = v), one(|r, v| r.time_limit = v),
            one(|r, v| r.gres = v), one(|r, v| r.nodes = v), one(|r, v| r.constraint = v),
            one(|r, v| r.reservation = v),
        ] {
            let Ok(options) = resources.options() else { continue };
            prop_assert_eq!(options.len(), 1);
            let (option, given) = options[0].split_once('=').unwrap();
            prop_assert!(option.starts_with("--"));
            prop_assert_eq!(given, &value);
            prop_assert!(!options[0].contains(char::is_control));
        }
        let resources = Resources { extra: vec![extra], ..Resources::default() };
        let _checked = resources.options();
    }
}

fn option() -> impl Strategy<Value = String> {
    let alone = "(--(nice|propagate|no-kill|overcom|overcommit|oversub|oversubscribe|exclusive|contig|reboot|spread-job|use-min|stepmgr|x11)|-[skO])";
    prop_oneof![
        alone.boxed(),
        proptest::sample::select(VALUED.to_vec())
            .prop_map(str::to_owned)
            .boxed(),
        "(x|n1|./other.sh|--mail-type=END|--nice=5|-N1)".boxed(),
    ]
}
