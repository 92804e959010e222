//! Leases by hand, through the blocking driver.
//!
//! ```console
//! $ cargo run -p slurm-lease --example lease -- /shared/leases acquire cbx_0123456789ab
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "people read it")]
#![expect(clippy::disallowed_methods, reason = "a program has arguments")]

use std::error::Error;
use std::time::Duration;

use slurm_lease::driver::{
    KeeperCommand, Leases, Lifetime, Options, Order, Released, Runner, View, Watch,
};
use slurm_lease::{Access, LeaseId, Resources};

const USAGE: &str = "usage: lease STATE_DIR acquire|status|touch|release LEASE
       lease STATE_DIR list|cleanup
LEASE is cbx_ and twelve of 0-9a-f. STATE_DIR must be on a file system that the
nodes share.";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((state_dir, words)) = words.split_first() else {
        return Err(USAGE.into());
    };
    let mut options = Options::new(*state_dir);
    // This program again, as the process that ends what an acquire leaves behind that was killed.
    options.keeper = Some(KeeperCommand {
        program: std::env::current_exe()?,
        arguments: vec![(*state_dir).to_owned(), "keep".to_owned()],
    });
    let leases = Leases::open(options)?;
    match *words {
        ["acquire", lease] => acquire(&leases, &lease.parse()?),
        ["status", lease] => {
            show(&leases.status(&lease.parse()?)?);
            Ok(())
        }
        ["touch", lease] => Ok(leases.touch(&lease.parse()?, Lifetime::default())?),
        ["release", lease] => release(&leases, &lease.parse()?),
        ["list"] => {
            leases.list()?.iter().for_each(show);
            Ok(())
        }
        ["cleanup"] => {
            println!("{:?}", leases.cleanup(false)?);
            Ok(())
        }
        // What `KeeperCommand` starts.
        ["keep", lease, grace] => {
            leases.keep(&lease.parse()?, Duration::from_secs(grace.parse()?));
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn acquire(leases: &Leases, lease: &LeaseId) -> Result<(), Box<dyn Error>> {
    let order = Order {
        lease: lease.clone(),
        slug: "example".to_owned(),
        name: lease.into(),
        cluster: None,
        resources: Resources {
            cpus: Some("1".to_owned()),
            time_limit: Some("00:10:00".to_owned()),
            ..Resources::default()
        },
        access: Access::default(),
        runner: Runner::Bundled,
        work_root: "/tmp/slurm-lease-example".into(),
        ssh_user: String::new(),
        ready_check: String::new(),
        // Where a site sets up the runner by these, the job gets them.
        exported: ["CBX_SSH_HOST", "CBX_SSH_LISTEN"]
            .into_iter()
            .filter(|name| std::env::var_os(name).is_some())
            .map(str::to_owned)
            .collect(),
        time_limit: Duration::from_secs(600),
        keep: false,
        unclaimed_grace: Duration::from_secs(120),
        idle: None,
        time_to_live: None,
    };
    // Ctrl-C takes the job back.
    let watch = Watch::nothing().signals()?;
    let mut shown = String::new();
    let acquired = leases.acquire(&order, &watch, &mut |lease| {
        let now = lease
            .sighting()
            .map_or_else(|| "not seen yet".to_owned(), |seen| seen.state.to_string());
        if now != shown {
            eprintln!("{now}");
            shown = now;
        }
    })?;
    show(acquired.view());
    // Up to here the lease would be ended if this process died.
    acquired.delivered()?;
    Ok(())
}

fn show(view: &View) {
    let lease = &view.lease;
    let job = lease
        .job()
        .map_or_else(|| "no job".to_owned(), |job| format!("job {job}"));
    let state = match (lease.unknown(), lease.sighting()) {
        (Some((since, why)), _) => format!("unknown since {since}: {why}"),
        (None, Some(seen)) => format!("{} {}", seen.state, seen.reason),
        (None, None) => "not seen".to_owned(),
    };
    println!("{}: {job}, {}", lease.opened().lease, state.trim_end());
    if let Some(ended) = view.ended() {
        println!("  {ended}");
    }
    if let Some(endpoint) = &view.ready {
        let known = view.dir.file("known_hosts");
        println!(
            "  ssh -i {} -o UserKnownHostsFile={known} -p {} {}@{}",
            view.key(),
            endpoint.port,
            endpoint.user,
            endpoint.host
        );
    }
}

fn release(leases: &Leases, lease: &LeaseId) -> Result<(), Box<dyn Error>> {
    match leases.release(lease)? {
        Released::Over(tombstone) => println!("released: {}", tombstone.proof),
        Released::Ending(job) => println!("job {job} is ending and can't come back"),
    }
    Ok(())
}
