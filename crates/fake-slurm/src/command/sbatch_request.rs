//! What sbatch's options ask for.

use super::sbatch_values::{self as values, Values};
use super::{Answering, listed};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Dependencies, DependencyError, Request, Variables};
use crate::options::Parsed;
use crate::render::hostlist::expand;

/// What the options ask for, before the script is known.
pub(super) fn request(answering: &Answering<'_>, parsed: &Parsed) -> Result<Request, Reply> {
    let values = Values::new(answering, parsed);
    values.check_ignored()?;
    dependency(answering, parsed)?;
    // An empty value takes these back.
    let text = |name: &str| parsed.value(name).map(str::to_owned);
    let some = |name: &str| text(name).filter(|value| !value.is_empty());
    let call = answering.call;
    let nodelist = nodelist(answering, parsed, "nodelist")?;
    let nodes = nodes(answering, &values, nodelist.as_deref())?;
    let cpus_per_task = values.count("cpus-per-task")?;
    let directory = chdir(answering, parsed);
    let (memory, memory_per_cpu) = values.memory()?;
    let (begin, deadline) = (values.when("begin")?, values.when("deadline")?);
    if begin
        .zip(deadline)
        .is_some_and(|(begin, deadline)| deadline < begin)
    {
        return Err(answering.error("Incompatible begin and deadline time specification"));
    }
    Ok(Request {
        uid: call.uid,
        gid: call.gid,
        user: answering
            .host
            .name_of(call.uid)
            .unwrap_or_else(|| call.uid.to_string()),
        group: answering
            .host
            .group_of(call.gid)
            .unwrap_or_else(|| call.gid.to_string()),
        comment: text("comment"),
        account: some("account"),
        partition: partition(answering, parsed)?,
        qos: text("qos"),
        reservation: some("reservation"),
        features: some("constraint"),
        gres: values.gres()?,
        licenses: some("licenses"),
        wckey: some("wckey"),
        dependency: text("dependency"),
        time_limit: values.time_limit()?,
        nodes: nodes.least.max(1),
        no_nodes: nodes.least == 0,
        max_nodes: nodes.most,
        tasks: nodes.tasks,
        ntasks_per_node: nodes.tasks_each,
        cpus_per_task,
        memory,
        memory_per_cpu,
        exclusive: values.exclusive()?,
        nodelist,
        exclude: self::nodelist(answering, parsed, "exclude")?,
        begin,
        deadline,
        hold: parsed.has("hold"),
        nice: values.nice()?,
        mail_type: values.mail_type(),
        mail_user: some("mail-user"),
        requeue: requeue(parsed),
        stdin: absolute(&directory, parsed.value("input").unwrap_or("/dev/null")),
        stdout: text("output").map(|path| absolute(&directory, &path)),
        stderr: text("error").map(|path| absolute(&directory, &path)),
        append: values.append()?,
        workdir: directory,
        name: text("job-name").unwrap_or_default(),
        command: String::new(),
        environment: Variables::default(),
        arguments: Vec::new(),
    })
}

/// The last of the two counts.
fn requeue(parsed: &Parsed) -> Option<bool> {
    let mut latest = parsed.options.iter().rev();
    latest.find_map(|(name, _)| match name.as_str() {
        "requeue" => Some(true),
        "no-requeue" => Some(false),
        _ => None,
    })
}

pub(super) fn chdir(answering: &Answering<'_>, parsed: &Parsed) -> String {
    let here = &answering.call.directory;
    parsed
        .value("chdir")
        .map_or_else(|| here.clone(), |path| absolute(here, path))
}

/// `path`, seen from `directory`.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    }
}

/// What is no dependency is for the controller to refuse; what is one and not played ends here.
fn dependency(answering: &Answering<'_>, parsed: &Parsed) -> Result<(), Reply> {
    let wanted = parsed.value("dependency").unwrap_or_default();
    let read = Dependencies::parse(wanted, answering.generation());
    if read == Err(DependencyError::NotPlayed) {
        return Err(answering.not_played(&format!("the dependency {wanted}")));
    }
    let kills = parsed.value("kill-on-invalid-dep") == Some("yes");
    if kills && read.is_ok_and(|read| !read.is_empty()) {
        return Err(answering.not_played("--kill-on-invalid-dep=yes"));
    }
    Ok(())
}

/// 26.05 takes no name at all for the default partition.
fn partition(answering: &Answering<'_>, parsed: &Parsed) -> Result<Option<String>, Reply> {
    let Some(names) = parsed.value("partition") else {
        return Ok(None);
    };
    if listed(names).is_empty() && answering.generation() >= Generation::V26_05 {
        return Ok(None);
    }
    if names.contains(char::is_whitespace) {
        return Err(answering.not_played("blanks among partitions"));
    }
    Ok(Some(names.to_owned()))
}

/// The names of nodes, in order, without those that come twice. What cannot be taken apart is left
/// as it is, and is the name of no node.
fn nodelist(
    answering: &Answering<'_>,
    parsed: &Parsed,
    option: &str,
) -> Result<Option<String>, Reply> {
    let text = match parsed.value(option) {
        None => return Ok(None),
        Some("") if option == "exclude" || parsed.has("hold") => return Ok(None),
        Some("") => return Err(answering.not_played("no node at all")),
        Some(text) => text,
    };
    if text.contains('/') {
        return Err(answering.not_played("a file of nodes"));
    }
    match expand(text) {
        Some(mut names) => {
            names.sort();
            names.dedup();
            Ok(Some(names.join(",")))
        }
        None if option == "nodelist" && answering.generation() >= Generation::V24_11 => Err(
            Reply::fail(1, "sbatch: fatal: Invalid node list specified\n"),
        ),
        None => Ok(Some(text.to_owned())),
    }
}

/// How many nodes and tasks.
struct Nodes {
    least: u32,
    most: u32,
    tasks: u32,
    tasks_each: u32,
}

fn nodes(
    answering: &Answering<'_>,
    values: &Values<'_>,
    nodelist: Option<&str>,
) -> Result<Nodes, Reply> {
    let (asked, most) = values.nodes()?;
    let named = nodelist.map_or(0, |names| values::size(names.split(',').count()));
    let tasks_each = values.count("ntasks-per-node")?;
    let tasks = values.count("ntasks")?;
    if tasks > 0 && tasks_each > 0 {
        return Err(answering.not_played("--ntasks together with --ntasks-per-node"));
    }
    if let Some(asked) = asked
        && named > asked.max(most)
    {
        return Err(if answering.generation() < Generation::V24_11 {
            answering.error(format!(
                "invalid number of nodes (-N {named}-{})",
                asked.max(most)
            ))
        } else {
            answering.not_played("more nodes by name than by number")
        });
    }
    let least = asked.unwrap_or(named.max(1)).max(named);
    let none = asked == Some(0);
    if tasks > 0 && tasks < least && (named > 0 || most > least) {
        return Err(answering.not_played("fewer tasks than nodes"));
    }
    let fewest = if tasks == 0 { least } else { least.min(tasks) };
    Ok(Nodes {
        least: if none { 0 } else { fewest },
        // `-N 1-2` takes two where they are free, but not more than there are tasks.
        most: if tasks == 0 { most } else { tasks.min(most) },
        tasks,
        tasks_each,
    })
}

/// What sbatch says when it takes fewer nodes than it was asked for.
pub(super) fn warning(answering: &Answering<'_>, parsed: &Parsed) -> String {
    let number = |name: &str| parsed.value(name).and_then(|text| text.parse::<u32>().ok());
    match (number("nodes"), number("ntasks")) {
        (Some(nodes), Some(tasks)) if tasks < nodes => {
            let word = if answering.generation() < Generation::V24_11 {
                "Warning"
            } else {
                "warning"
            };
            format!(
                "sbatch: {word}: can't run {tasks} processes on {nodes} nodes, setting nnodes to \
                 {tasks}\n"
            )
        }
        _ => String::new(),
    }
}
