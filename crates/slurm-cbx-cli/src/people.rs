//! The same operations for a person at a shell: what the client asks as JSON, asked in words and
//! answered in lines.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use slurm_lease::LeaseId;

use crate::Arguments;
use crate::answer::{Answer, Lease};
use crate::operations;
use crate::request::Request;

/// What a person can ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says whether leases could be had, without making one
    Doctor {
        /// The `external.config` to check, as JSON
        #[arg(long, value_name = "JSON", default_value = "{}")]
        config: String,
    },
    /// Lists every lease that is not released
    List,
    /// Ends leases: succeeds once each is proven over, or proven to be ending
    Release {
        /// Lease ids, slugs, job names or job numbers
        #[arg(required = true, value_name = "LEASE")]
        leases: Vec<String>,
    },
    /// Removes the records of leases that are over, and goes on with unfinished releases
    Cleanup {
        /// Only say which records would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does what is asked; the exit status is 1 where any of it failed.
pub(crate) fn run(arguments: &Arguments, command: &Command) -> ExitCode {
    let answers = match command {
        Command::Doctor { config } => match serde_json::from_str::<Value>(config) {
            Ok(config) => vec![ask(
                arguments,
                json!({"operation": "doctor", "config": config}),
            )],
            Err(error) => vec![Answer::error(&format!("--config is not JSON: {error}"))],
        },
        Command::List => vec![ask(arguments, json!({"operation": "list", "all": true}))],
        Command::Release { leases } => leases.iter().map(|id| release(arguments, id)).collect(),
        Command::Cleanup { dry_run } => {
            vec![ask(
                arguments,
                json!({"operation": "cleanup", "dryRun": dry_run}),
            )]
        }
    };
    let mut failed = false;
    for answer in &answers {
        failed |= answer.failure().is_some();
        // Whoever listened may be gone; what was asked for is done all the same.
        drop(tell(answer));
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The client may release what is long forgotten; a person who does has mistyped a name.
fn release(arguments: &Arguments, id: &str) -> Answer {
    if id.parse::<LeaseId>().is_err() {
        let named = json!({"operation": "resolve", "id": id, "releaseOnly": true});
        let found = ask(arguments, named);
        if found.failure().is_some() {
            return found;
        }
    }
    ask(arguments, json!({"operation": "release", "id": id}))
}

fn ask(arguments: &Arguments, mut request: Value) -> Answer {
    request["protocolVersion"] = json!(1);
    match Request::parse(request.to_string().as_bytes()) {
        Ok(request) => operations::perform(arguments, &request),
        Err(error) => Answer::error(&error.to_string()),
    }
}

fn tell(answer: &Answer) -> io::Result<()> {
    if let Some(error) = answer.failure() {
        return writeln!(io::stderr(), "slurm-cbx: {error}");
    }
    let mut out = io::stdout();
    if let Some(message) = answer.said() {
        writeln!(out, "{message}")?;
    }
    match answer.rows() {
        Some([]) => writeln!(out, "no leases"),
        Some(rows) => out.write_all(table(rows).as_bytes()),
        None => Ok(()),
    }
}

/// The rows of a list under their headings, each column as wide as its widest word.
fn table(leases: &[Lease]) -> String {
    let headings = ["LEASE", "SLUG", "JOB", "STATUS"].map(str::to_owned);
    let row = |lease: &Lease| {
        let job = lease.labels.get("slurmJobId").map_or("-", String::as_str);
        [&lease.lease_id, &lease.slug, job, &lease.status].map(str::to_owned)
    };
    let rows: Vec<[String; 4]> = std::iter::once(headings)
        .chain(leases.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [first, second, third] = [0, 1, 2].map(|column| width(column).unwrap_or(0));
    rows.iter()
        .map(|[lease, slug, job, status]| {
            format!("{lease:first$}  {slug:second$}  {job:third$}  {status}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_list_stand_below_each_other() {
        let lease = |slug: &str, job: Option<&str>| Lease {
            lease_id: "cbx_0123456789ab".to_owned(),
            slug: slug.to_owned(),
            name: String::new(),
            cloud_id: String::new(),
            status: "RUNNING on n1".to_owned(),
            server_type: String::new(),
            labels: job
                .map(|job| ("slurmJobId", job.to_owned()))
                .into_iter()
                .collect(),
            ssh: None,
        };
        let text = table(&[lease("a", None), lease("training", Some("4711;beta"))]);
        insta::assert_snapshot!(text, @r"
        LEASE             SLUG      JOB        STATUS
        cbx_0123456789ab  a         -          RUNNING on n1
        cbx_0123456789ab  training  4711;beta  RUNNING on n1
        ");
    }
}
