//! Bad input: each a clear error in the answer, and no job, no state, not one question to Slurm.

use serde_json::{Value, json};

use crate::fake_site::{Site, each};
use crate::truth::seconds;

impl Site {
    /// That these bytes are refused in these words, and that nothing was done.
    fn assert_refused(&self, request: &[u8], words: &str) {
        let error = self.ask_bytes(request).within(seconds(20)).error();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
        assert!(error.len() < 1000, "{} bytes: {error}", error.len());
        let calls = self.cluster.calls().unwrap();
        assert!(calls.is_empty(), "{calls:?}");
        assert!(!self.state_dir().exists(), "{error}");
    }
}

fn assert_refused(request: &Value, words: &str) {
    let site = Site::modelled();
    site.assert_refused(request.to_string().as_bytes(), words);
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let list = r#"{"protocolVersion":1,"operation":"list"}"#;
    let two = format!("{list}{list}");
    let long = format!(
        r#"{{"protocolVersion":1,"operation":"list","x":"{}"}}"#,
        "a".repeat(10 << 20)
    );
    let deep = format!(
        r#"{{"protocolVersion":1,"operation":"list","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let cases: [(&[u8], &str); 14] = [
        (b"", "the request is empty"),
        (b" \n\t", "the request is empty"),
        (b"hello", "the request is not valid"),
        (b"{", "the request is not valid"),
        (&list.as_bytes()[..20], "the request is not valid"),
        (b"\0", "the request is not valid"),
        (b"{\"operation\":\"\xff\"}", "the request is not valid"),
        (b"null", "the request must be an object"),
        (b"17", "the request must be an object"),
        // Read by position, this would be a list.
        (
            br#"["list",{},{},{},{},"",false,true,false,false]"#,
            "the request must be an object",
        ),
        (b"[]", "the request must be an object"),
        (two.as_bytes(), "trailing characters"),
        (long.as_bytes(), "longer than 4 MiB"),
        (deep.as_bytes(), "recursion limit exceeded"),
    ];
    let site = Site::modelled();
    for (request, words) in cases {
        site.assert_refused(request, words);
    }
}

#[test]
fn another_version_is_refused_before_anything_else() {
    let site = Site::modelled();
    for (version, shown) in [
        ("0", "protocolVersion is 0,"),
        ("2", "protocolVersion is 2,"),
        ("-1", "protocolVersion is -1,"),
        ("1.5", "protocolVersion is 1.5,"),
        (r#""1""#, r#"protocolVersion is "1","#),
        ("null", "protocolVersion is null,"),
        ("[1]", "protocolVersion is [1],"),
    ] {
        let request = format!(r#"{{"protocolVersion":{version},"operation":7,"config":[]}}"#);
        site.assert_refused(request.as_bytes(), shown);
    }
    let missing = br#"{"operation":"acquire"}"#;
    site.assert_refused(missing, "protocolVersion is missing");
}

#[test]
fn what_is_of_the_wrong_type_is_refused() {
    let cases = [
        (json!({}), "missing field `operation`"),
        (json!({"operation": null}), "expected a string"),
        (json!({"operation": 7}), "expected a string"),
        (json!({"operation": ""}), "the request names no operation"),
        (
            json!({"operation": "delete"}),
            "there is no operation \"delete\"",
        ),
        (
            json!({"operation": "List"}),
            "there is no operation \"List\"",
        ),
        (
            json!({"operation": "acquire", "config": []}),
            "config must be an object",
        ),
        (
            json!({"operation": "acquire", "config": "cpus=2"}),
            "config must be an object",
        ),
        // Read by position, this would be an identity.
        (
            json!({"operation": "acquire", "desired": ["cbx_0123456789ab", "s", "n"]}),
            "desired must be an object",
        ),
        (
            json!({"operation": "release", "lease": "cbx_0123456789ab"}),
            "lease must be an object",
        ),
        (
            json!({"operation": "release", "expected": [""]}),
            "expected must be an object",
        ),
        (
            json!({"operation": "list", "all": "yes"}),
            "expected a boolean",
        ),
        (
            json!({"operation": "resolve", "id": 17}),
            "expected a string",
        ),
        (
            json!({"operation": "touch", "lease": {"labels": {"keep": true}}}),
            "expected a string",
        ),
        (
            json!({"operation": "acquire", "desired": {"leaseId": 1}}),
            "expected a string",
        ),
    ];
    each(&cases, |(request, words)| {
        let mut request = request.clone();
        request["protocolVersion"] = json!(1);
        assert_refused(&request, words);
    });
}

/// An acquire under this identity with this config.
fn acquire(desired: &Value, config: &Value) -> Value {
    json!({"protocolVersion": 1, "operation": "acquire", "desired": desired, "config": config})
}

#[test]
fn an_identity_that_cannot_be_one_is_refused() {
    let long = "a".repeat(5000);
    let cases = [
        (["", "s", "n"], "lease id \"\" is not valid"),
        (["cbx_0", "s", "n"], "is not valid"),
        (["cbx_0123456789abc", "s", "n"], "is not valid"),
        (["CBX_0123456789ab", "s", "n"], "is not valid"),
        (["cbx_0123456789aB", "s", "n"], "is not valid"),
        (["cbx_0123456789a\u{e9}", "s", "n"], "is not valid"),
        (["../../../../etc", "s", "n"], "is not valid"),
        (["/etc/passwd", "s", "n"], "is not valid"),
        (["cbx_0123456789ab/..", "s", "n"], "is not valid"),
        ([".", "s", "n"], "is not valid"),
        (["cbx_0123456789a\0", "s", "n"], "holds a control character"),
        (
            ["cbx_0123456789ab\n", "s", "n"],
            "holds a control character",
        ),
        ([&long, "s", "n"], "longer than 4096 bytes"),
        (["cbx_0123456789ab", "", "n"], "desired.slug is missing"),
        (
            ["cbx_0123456789ab", "s\u{7f}", "n"],
            "holds a control character",
        ),
        (["cbx_0123456789ab", &long, "n"], "longer than 4096 bytes"),
        (["cbx_0123456789ab", "s", ""], "job name \"\" is not valid"),
        (
            ["cbx_0123456789ab", "s", "-n"],
            "job name \"-n\" is not valid",
        ),
        (["cbx_0123456789ab", "s", "a b"], "is not valid"),
        (["cbx_0123456789ab", "s", "a,b"], "is not valid"),
        (["cbx_0123456789ab", "s", "a|b"], "is not valid"),
        (["cbx_0123456789ab", "s", "$(id)"], "is not valid"),
        (
            ["cbx_0123456789ab", "s", "a\u{1b}[31m"],
            "holds a control character",
        ),
    ];
    each(&cases, |([lease, slug, name], words)| {
        let desired = json!({"leaseId": lease, "slug": slug, "name": name});
        assert_refused(&acquire(&desired, &json!({})), words);
    });
}

#[test]
fn a_lease_id_that_cannot_be_one_is_refused_whatever_is_asked() {
    let long = "a".repeat(4000);
    let mut cases = Vec::new();
    for operation in ["acquire", "resolve", "touch", "release"] {
        for id in [
            "../../etc",
            "/etc/passwd",
            "cbx_0",
            "CBX_0123456789AB",
            &long,
        ] {
            for field in ["lease", "desired", "expected"] {
                cases.push((operation, field, id));
            }
        }
    }
    each(&cases, |(operation, field, id)| {
        let mut request = json!({"protocolVersion": 1, "operation": operation, "id": "smoke"});
        request[field] = json!({"leaseId": id});
        assert_refused(&request, "is not valid: it must be cbx_ and twelve");
    });
}

fn with_config(config: &Value) -> Value {
    let desired = json!({"leaseId": "cbx_0123456789ab", "slug": "s", "name": "crabbox-s"});
    acquire(&desired, config)
}

#[test]
fn a_config_that_cannot_be_right_is_refused() {
    let cases = [
        (
            json!({"partitoin": "batch"}),
            "no key \"partitoin\"; did you mean partition?",
        ),
        (json!({"Mem": "2G"}), "did you mean mem?"),
        (json!({"apiToken": "hush-1f6c"}), "no key \"apiToken\""),
        (json!({"cpus": [1]}), "cpus is [1]"),
        (json!({"cpus": true}), "cpus is true"),
        (json!({"cpus": -1}), "cpus is"),
        (json!({"cpus": 1.5}), "cpus is"),
        (json!({"cpus": "two"}), "cpus is"),
        (json!({"mem": "2G; rm -rf /"}), "mem is"),
        (json!({"partition": "--wrap=true"}), "partition is"),
        (json!({"partition": "a b"}), "partition is"),
        (json!({"timeLimit": "soon"}), "timeLimit is"),
        (json!({"timeLimit": {"hours": 1}}), "timeLimit is"),
        (
            json!({"acquireTimeoutSeconds": "a while"}),
            "acquireTimeoutSeconds is",
        ),
        (
            json!({"acquireTimeoutSeconds": -1}),
            "acquireTimeoutSeconds is",
        ),
        (
            json!({"extraSbatchArgs": "--exclusive"}),
            "extraSbatchArgs must be",
        ),
        (json!({"extraSbatchArgs": [7]}), "extraSbatchArgs must be"),
        (json!({"exportEnv": ["A=hush-1f6c"]}), "exportEnv must be"),
        (json!({"exportEnv": ["LD_PRELOAD"]}), "exportEnv must be"),
        (json!({"sshMode": "carrier pigeon"}), "sshMode is"),
        (json!({"sshMode": "proxy-through-login"}), "needs loginHost"),
        (json!({"loginHost": "-oProxyCommand=id"}), "loginHost is"),
        (json!({"loginUser": "a;id"}), "loginUser is"),
        (json!({"sshUser": "-l"}), "sshUser is"),
        (
            json!({"proxyCommand": "sshpass -p hush-1f6c ssh '{host}'"}),
            "proxyCommand must be",
        ),
        (
            json!({"proxyCommand": "ssh {hots}"}),
            "proxyCommand must be",
        ),
        (
            json!({"proxyCommand": "ssh {host}\nid"}),
            "proxyCommand must be",
        ),
        (
            json!({"proxyCommand": "ssh -W %h:%p {loginHost}"}),
            "external.config.loginHost is not set",
        ),
        (
            json!({"proxyCommand": "ssh -W %h:%p {loginUser}@{loginHost}", "loginHost": "login1"}),
            "external.config.loginUser is not set",
        ),
        (
            json!({"sshPrivateKey": "id_ed25519"}),
            "sshPrivateKey must be",
        ),
        (
            json!({"sshPrivateKey": "/home/a b/key"}),
            "sshPrivateKey must be",
        ),
        (
            json!({"sshPrivateKey": "-----BEGIN OPENSSH PRIVATE KEY-----\nhush-1f6c"}),
            "sshPrivateKey must be",
        ),
        (
            json!({"extraSbatchArgs": ["--export=API_TOKEN=hush-1f6c"]}),
            "--export is refused",
        ),
        (json!({"runnerScript": "/x/%h"}), "runnerScript is"),
        (
            json!({"readyCheck": "curl -H hush-1f6c\nfalse"}),
            "readyCheck must be",
        ),
        (json!({"cluster": "a,b"}), "cluster is"),
    ];
    each(&cases, |(config, words)| {
        assert_refused(&with_config(config), words);
        let checked = json!({"protocolVersion": 1, "operation": "doctor", "config": config});
        for request in [with_config(config), checked] {
            let reply = Site::modelled().ask(&request);
            assert!(!reply.stderr.contains("hush-1f6c"), "{reply:?}");
            let error = reply.error();
            assert!(
                error.contains(words) && !error.contains("hush-1f6c"),
                "{error}"
            );
        }
    });
}

#[test]
fn an_option_that_would_change_what_is_submitted_is_refused() {
    let not_a_lease = [
        &["--array=1-3"][..],
        &["--array", "1-3"],
        &["-a1-3"],
        &["-a", "1-3"],
        &["--arr=1-3"],
        &[":"],
        &["--exclusive", ":", "-n1"],
        &["hetjob"],
        &["--wrap=true"],
        &["--wrap", "true"],
        &["--wra=true"],
        &["--uid=0"],
        &["--uid", "0"],
        &["--gid=0"],
        &["--parsable"],
        &["--parsable=no"],
        &["--clusters=other"],
        &["--clusters", "other"],
        &["--cluster=other"],
        &["-M", "other"],
        &["-Mother"],
        &["--cluster-constraint=x"],
        &["--quiet"],
        &["-Q"],
        &["-Qv"],
        &["--qu"],
        &["--verbose"],
        &["-v"],
        &["--test-only"],
        &["--hold"],
        &["-H"],
        &["--wait"],
        &["-W"],
        &["--output=/dev/null"],
        &["-o", "/dev/null"],
        &["--error=/dev/null"],
        &["--input=/etc/passwd"],
        &["--open-mode=truncate"],
        &["--chdir=/"],
        &["-D", "/"],
        &["--comment=mine"],
        &["--job-name=mine"],
        &["-Jmine"],
        &["--export=ALL"],
        &["--export-file=/x"],
        &["--get-user-env"],
        &["--requeue"],
        &["--help"],
        &["-h"],
        &["--usage"],
        &["--version"],
        &["-V"],
        &["--"],
        &[""],
        &["/bin/true"],
    ];
    each(&not_a_lease, |options| {
        let config = json!({"extraSbatchArgs": options});
        assert_refused(&with_config(&config), "is refused, because");
    });
}
