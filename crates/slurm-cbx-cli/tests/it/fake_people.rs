//! What a person at a shell gets.

use serde_json::json;

use crate::fake_site::Site;

/// Exit status, stdout and stderr of slurm-cbx with these arguments.
fn run(site: &Site, arguments: &[&str]) -> (i32, String, String) {
    let output = site.command().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = output.status.code().unwrap();
    (status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_lease_is_listed_and_released_by_its_short_name() {
    let site = Site::new();
    let nothing = (0, "no leases\n".to_owned(), String::new());
    assert_eq!(run(&site, &["list"]), nothing);
    let identity = site.identity();
    site.acquire(&identity, &json!({})).lease();

    let (status, listed, _) = run(&site, &["list"]);
    let row = listed.lines().nth(1).expect("a row");
    assert_eq!(status, 0);
    assert!(row.starts_with(&identity.lease), "{row}");
    assert!(
        row.contains(&identity.slug) && row.contains("RUNNING on n"),
        "{row}"
    );

    let (status, said, wrong) = run(&site, &["release", "mistyped"]);
    assert_eq!((status, said.as_str()), (1, ""));
    assert!(wrong.contains(r#"there is no lease "mistyped""#), "{wrong}");
    assert_eq!(site.live(&identity).len(), 1);

    let (status, said, _) = run(&site, &["release", &identity.slug]);
    assert_eq!(status, 0);
    assert!(said.starts_with("released: job "), "{said}");
    assert_eq!(run(&site, &["list"]), nothing);
    let (status, said, _) = run(&site, &["cleanup", "--dry-run"]);
    assert_eq!(status, 0);
    assert!(said.contains("would remove 0 leases"), "{said}");
    site.assert_nothing_left();
}

#[test]
fn doctor_takes_a_config_and_fails_where_leases_can_not_be_had() {
    let site = Site::modelled();
    let (status, said, _) = run(&site, &["doctor", "--config", r#"{"partition":"batch"}"#]);
    assert_eq!(status, 0, "{said}");
    assert!(said.starts_with("leases can be had"), "{said}");
    for (config, words) in [
        (r#"{"partitoin":"batch"}"#, "did you mean partition?"),
        (
            r#"{"partition":"nosuch"}"#,
            "Slurm could not start such a job",
        ),
        (
            r#"{"sshUser":"nobody-of-this-name"}"#,
            "nobody can log in as",
        ),
        ("partition: batch", "--config is not JSON"),
    ] {
        let (status, said, wrong) = run(&site, &["doctor", "--config", config]);
        assert_eq!((status, said.as_str()), (1, ""), "{config}");
        assert!(wrong.contains(words), "{config}: {wrong}");
    }
}

#[test]
fn the_manual_page_tells_of_every_command_and_refers_to_no_other_page() {
    let site = Site::modelled();
    let (status, page, _) = run(&site, &["man"]);
    assert_eq!(status, 0);
    for words in [
        ".TH slurm-cbx 1",
        r"slurm\-cbx doctor",
        r"\-\-config <JSON>",
        r"slurm\-cbx release <LEASE>...",
        r"\-\-dry\-run",
        "Ends leases",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(!page.contains("(1)"), "{page}");
    assert!(!page.contains("keep"), "{page}");
}

#[test]
fn wrong_arguments_are_told_to_whoever_asked() {
    let site = Site::modelled().with_options(&["--runner-scrpt", "/x"]);
    // A client, by its answer.
    let error = site.ask(&json!({"protocolVersion": 1, "operation": "list"}));
    let error = error.error();
    for words in ["external.args", "'--runner-scrpt'", "'--runner-script'"] {
        assert!(error.contains(words), "{words} is not in {error}");
    }
    assert!(!error.contains('\n'), "{error}");
    // Whoever types them, by the exit status.
    let output = site
        .command()
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(!site.state_dir().exists());
}
