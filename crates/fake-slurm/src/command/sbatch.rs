//! `sbatch`.

use super::directives;
use super::sbatch_options::{KNOWN, VARIABLES};
use super::sbatch_request::{absolute, chdir, request, warning};
use super::{Answer, Answering, listed, munge_lines};
use crate::call::{Effect, Reply};
use crate::generation::Generation;
use crate::model::{Cluster, Controller, Execution, Late, Refusal, Request, Variables};
use crate::options::{Parsed, Wrong, parse};
use crate::render::fields::cpu_count;
use crate::render::hostlist::hostlist;
use crate::render::time::TimeStyle;
use crate::text;

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    // --requeue takes a value there.
    let recent = answering.generation() >= Generation::V26_05;
    let valued = |word: &String| word.starts_with("--requeue=");
    let call = answering.call;
    if recent && (call.arguments.iter().any(valued) || call.variable("SBATCH_REQUEUE").is_some()) {
        return Err(answering.not_played("a value of --requeue"));
    }
    let line = answering.parse(KNOWN, true)?;
    answering.version(&line)?;
    let path = script_path(answering, &line);
    let script = script(answering, &line, path.as_deref())?;
    let parsed = merge(answering, &script, line)?;
    let (clusters, named) = answering.clusters(&parsed)?;
    let mut request = request(answering, &parsed)?;
    let warning = warning(answering, &parsed);
    describe(answering, &parsed, path, &mut request);
    let cluster = choose(answering, &clusters);
    let notices = notices(answering, &cluster)?;
    let mut reply = if parsed.has("test-only") {
        let mut reply = test_only(answering, &cluster, named, request)?;
        if parsed.has("quiet") {
            reply.stderr.clear();
        }
        reply
    } else {
        let name = named.then_some(cluster.as_str());
        submit(answering, &cluster, name, request, script, &parsed)?
    };
    reply.stderr.insert_str(0, &notices.0);
    reply.stderr.insert_str(0, &warning);
    reply.stdout.insert_str(0, &notices.1);
    Ok(reply)
}

/// Whether there is neither a script's name nor `--wrap`.
pub(super) fn reads_stdin(arguments: &[String]) -> bool {
    let parsed = parse(KNOWN, arguments, true);
    parsed.is_ok_and(|line| line.operands.is_empty() && !line.has("wrap") && !line.has("version"))
}

/// Where the script is. Unless its name says so, it is looked for in the directory of the job and
/// then in PATH; if it is nowhere, it is what was named.
fn script_path(answering: &Answering<'_>, parsed: &Parsed) -> Option<String> {
    let name = parsed.operands.first().filter(|_| !parsed.has("wrap"))?;
    if name.is_empty() || name.starts_with(['/', '.']) {
        return Some(name.clone());
    }
    let directory = chdir(answering, parsed);
    let path = answering.call.variable("PATH").unwrap_or_default();
    let mut places = std::iter::once(directory.as_str()).chain(path.split(':'));
    let found = places.find_map(|place| {
        let path = absolute(place, name);
        answering.host.read_file(&path).is_ok().then_some(path)
    });
    found.or_else(|| Some(name.clone()))
}

/// The script: `--wrap`, a file, or stdin.
fn script(answering: &Answering<'_>, parsed: &Parsed, path: Option<&str>) -> Result<String, Reply> {
    let error = |text: &str| answering.error(text);
    if let Some(wrapped) = parsed.value("wrap") {
        if !parsed.operands.is_empty() {
            return Err(error("Script arguments not permitted with --wrap option"));
        }
        return Ok(format!(
            "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{wrapped}\n"
        ));
    }
    let bytes = match path {
        Some("") => Err(std::io::ErrorKind::NotFound.into()),
        Some(path) => {
            let path = absolute(&answering.call.directory, path);
            answering.host.read_file(&path)
        }
        None => answering.host.read_stdin(),
    };
    // A directory can be opened, and nothing be read from it.
    let empty = |error: &std::io::Error| error.kind() == std::io::ErrorKind::IsADirectory;
    let bytes = bytes.or_else(|error| {
        if empty(&error) {
            Ok(Vec::new())
        } else {
            Err(error)
        }
    });
    let Ok(bytes) = bytes else {
        let path = parsed.operands.first().map_or("", String::as_str);
        return Err(error(&format!("Unable to open file {path}")));
    };
    if bytes.is_empty() {
        return Err(error("Batch script is empty!"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(error("Batch script contains only whitespace!"));
    }
    if !bytes.starts_with(b"#!") {
        return Err(error(
            "This does not look like a batch script.  The first\n\
             sbatch: error: line must start with #! followed by the path to an interpreter.\n\
             sbatch: error: For instance: #!/bin/sh",
        ));
    }
    if bytes.contains(&0) {
        return Err(error(
            "The Slurm controller does not allow scripts that\n\
             sbatch: error: contain a NULL character '\\0'.",
        ));
    }
    if bytes.windows(2).any(|pair| pair == b"\r\n") {
        return Err(error(
            "Batch script contains DOS line breaks (\\r\\n)\n\
             sbatch: error: instead of expected UNIX line breaks (\\n).",
        ));
    }
    Ok(text::decode(&bytes))
}

/// Variables, then `#SBATCH` lines, then the command line: what comes later wins. (In Slurm the
/// variables win over the lines in the script.)
fn merge(answering: &Answering<'_>, script: &str, line: Parsed) -> Result<Parsed, Reply> {
    let wrong = |wrong: Wrong| {
        let (Wrong::Unknown(what) | Wrong::NoValue(what) | Wrong::Ambiguous(what)) = wrong;
        answering.not_played(&format!("{what} in an #SBATCH line"))
    };
    let recent = answering.generation() >= Generation::V24_11;
    let written = directives::options(script, recent)
        .ok_or_else(|| answering.not_played("what a line at the head of the script asks for"))?;
    let mut merged = parse(KNOWN, &written, false).map_err(wrong)?;
    if let Some(word) = merged.operands.first() {
        let text = format!("sbatch: error: Invalid directive found in batch script: {word}\n");
        return Err(Reply::fail(255, text));
    }
    // They mean nothing there.
    let idle = ["wrap", "quiet"];
    let heeded = |option: &(String, String)| !idle.contains(&option.0.as_str());
    merged.options.retain(heeded);
    merged.operands = line.operands;
    for (option, value) in variables(answering) {
        if !KNOWN.iter().any(|(name, ..)| *name == option) {
            let variable = VARIABLES.iter().find(|(_, name)| *name == option);
            let variable = variable.map_or("", |(variable, _)| variable);
            return Err(answering.not_played(&format!("the variable {variable}")));
        }
        merged.options.push((option, value));
    }
    merged.options.extend(line.options);
    Ok(merged)
}

/// The variables that stand for options. One that is set and empty counts.
fn variables(answering: &Answering<'_>) -> Vec<(String, String)> {
    let environment = &answering.call.environment;
    let set = |(variable, option): &(&str, &str)| {
        let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
        Some(((*option).to_owned(), value.clone()))
    };
    VARIABLES.iter().filter_map(set).collect()
}

/// Of several clusters the one with the fewest unfinished jobs: the real one asks each when the
/// job would start.
fn choose(answering: &Answering<'_>, names: &[String]) -> String {
    let load = |name: &&String| {
        let cluster = answering.world.clusters.get(*name);
        cluster.map_or(usize::MAX, |cluster| {
            cluster
                .jobs
                .values()
                .filter(|job| !job.is_settled())
                .count()
        })
    };
    let best = names.iter().min_by_key(load);
    best.cloned()
        .unwrap_or_else(|| answering.world.home.clone())
}

/// What the submit plugin says on stderr and stdout.
fn notices(answering: &mut Answering<'_>, name: &str) -> Result<(String, String), Reply> {
    let plugin = &answering.cluster(name)?.condition.plugin;
    let message = plugin
        .message
        .as_ref()
        .map(|text| format!("sbatch: {text}\n"));
    let banner = plugin.banner.as_ref().map(|text| format!("{text}\n"));
    Ok((message.unwrap_or_default(), banner.unwrap_or_default()))
}

/// Completes a request with the name, command, arguments and environment of its script.
fn describe(
    answering: &Answering<'_>,
    parsed: &Parsed,
    path: Option<String>,
    request: &mut Request,
) {
    if request.name.is_empty() {
        let base = path.as_deref().and_then(|path| path.rsplit('/').next());
        let wrapped = if parsed.has("wrap") { "wrap" } else { "sbatch" };
        base.unwrap_or(wrapped).clone_into(&mut request.name);
    }
    if let Some(path) = path {
        request.command = path;
        request.arguments = parsed.operands[1..].to_vec();
    }
    let environment = environment(answering, parsed.value("export"));
    request.environment = Variables::from_iter(environment);
}

/// `--export`: everything, or the variables named. Only with ALL, which is the default, do the
/// submitter's own get through.
fn environment(answering: &Answering<'_>, export: Option<&str>) -> Vec<String> {
    let call = answering.call;
    let pair = |(name, value): &(String, String)| format!("{name}={value}");
    let own = || call.environment.iter().map(pair).collect::<Vec<_>>();
    let export = match export {
        None => return own(),
        Some(export) => export,
    };
    let mut environment = Vec::new();
    for word in listed_exports(export) {
        match word.split_once('=') {
            _ if word.eq_ignore_ascii_case("ALL") => environment.extend(own()),
            _ if word.eq_ignore_ascii_case("NONE") || word.eq_ignore_ascii_case("NIL") => {}
            Some(_) => environment.push(word),
            None => {
                let same = |(name, _): &&(String, String)| *name == word;
                environment.extend(call.environment.iter().find(same).map(pair));
            }
        }
    }
    if export.eq_ignore_ascii_case("ALL") {
        return environment;
    }
    environment.push(format!("SLURM_EXPORT_ENV={export}"));
    // NIL loads the login environment up to 22.05 and none later.
    let bare = export.eq_ignore_ascii_case("NIL") && answering.generation() >= Generation::V24_11;
    if !export
        .split(',')
        .any(|word| word.eq_ignore_ascii_case("ALL"))
        && !bare
    {
        environment.push("SLURM_GET_USER_ENV=1".to_owned());
    }
    environment
}

/// Splits at commas that are not quoted.
fn listed_exports(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, ',') => words.push(String::new()),
            _ => words
                .last_mut()
                .into_iter()
                .for_each(|word| word.push(character)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn submit(
    answering: &mut Answering<'_>,
    name: &str,
    shown: Option<&str>,
    request: Request,
    script: String,
    parsed: &Parsed,
) -> Answer {
    let now = answering.now;
    let before = "sbatch: error: Batch job submission failed: ";
    if let Some(unreachable) = answering.unreachable(name)? {
        let cluster = answering.cluster(name)?;
        if cluster.condition.controller == Controller::Hung {
            // The request lies in the controller's socket: it is taken up when that goes on.
            cluster.late.push(Late {
                at: None,
                request,
                script,
            });
            cluster.changed = true;
        }
        return Err(unreachable.reply("sbatch", "REQUEST_SUBMIT_BATCH_JOB", before, 1));
    }
    let cluster = answering.cluster(name)?;
    if cluster.condition.controller == Controller::Stale {
        let text = "Slurm backup controller in standby mode";
        return Err(Reply::fail(1, format!("{before}{text}\n")));
    }
    check_gres(cluster, shown.is_some(), &request)?;
    let recent = cluster.config.generation == Generation::V26_05;
    let wanted = request.clone();
    let id = cluster.submit(request, now).map_err(|refusal| {
        let preludes = prelude(refusal, cluster, &wanted);
        let text = match refusal {
            Refusal::QueueFull if recent => "MaxJobCount limit reached",
            other => other.text(),
        };
        Reply::fail(1, format!("{preludes}{before}{text}\n"))
    })?;
    let virtual_job = cluster.config.execution == Execution::Virtual;
    let launch = Effect::Launch {
        cluster: name.to_owned(),
        id,
        script,
    };
    let effects = if virtual_job {
        Vec::new()
    } else {
        vec![launch]
    };
    Ok(Reply {
        effects,
        ..Reply::out(announce(id, shown, parsed))
    })
}

fn announce(id: u32, cluster: Option<&str>, parsed: &Parsed) -> String {
    match (parsed.has("quiet"), parsed.has("parsable"), cluster) {
        (true, _, _) => String::new(),
        (_, true, None) => format!("{id}\n"),
        (_, true, Some(cluster)) => format!("{id};{cluster}\n"),
        (_, false, None) => format!("Submitted batch job {id}\n"),
        (_, false, Some(cluster)) => format!("Submitted batch job {id} on cluster {cluster}\n"),
    }
}

/// What the controller lets sbatch say before the refusal itself.
fn prelude(refusal: Refusal, cluster: &Cluster, request: &Request) -> String {
    let config = &cluster.config;
    let largest = config.nodes.iter().map(|node| node.memory).max();
    let widest = config.nodes.iter().map(|node| node.cpus).max();
    let text = match refusal {
        Refusal::InvalidPartitionName => {
            let known = |name: &&str| config.partitions.iter().any(|each| each.name == **name);
            let names = request.partition.as_deref().map_or_else(Vec::new, listed);
            let wrong = names.into_iter().find(|name| !known(name));
            format!("invalid partition specified: {}", wrong.unwrap_or("(null)"))
        }
        Refusal::NodeConfigUnavailable if request.memory.max(request.memory_per_cpu) > largest => {
            "Memory specification can not be satisfied".to_owned()
        }
        Refusal::NodeConfigUnavailable if Some(request.least_cpus()) > widest => {
            "CPU count per node can not be satisfied".to_owned()
        }
        Refusal::AccountingPolicy => "AssocMaxSubmitJobLimit".to_owned(),
        // The real one retries for two minutes after that.
        Refusal::QueueFull if config.generation == Generation::V26_05 => {
            "Slurm job queue full, sleeping and retrying".to_owned()
        }
        Refusal::QueueFull => {
            "Slurm temporarily unable to accept job, sleeping and retrying".to_owned()
        }
        _ => return String::new(),
    };
    format!("sbatch: error: {text}\n")
}

/// sbatch itself refuses generic resources that no node has, unless a cluster is named; 20.11
/// leaves that to the controller.
fn check_gres(cluster: &Cluster, named: bool, request: &Request) -> Result<(), Reply> {
    let checks = cluster.config.generation > Generation::V20_11 && !named;
    if checks && !cluster.has_gres(request) {
        let text = Refusal::InvalidGres.text();
        return Err(Reply::fail(1, format!("sbatch: error: {text}\n")));
    }
    Ok(())
}

fn test_only(answering: &mut Answering<'_>, name: &str, named: bool, request: Request) -> Answer {
    let (now, call) = (answering.now, answering.call);
    let before = "allocation failure: ";
    if let Some(unreachable) = answering.unreachable(name)? {
        let mut reply = unreachable.reply("sbatch", "REQUEST_JOB_WILL_RUN", before, 1);
        if unreachable.munge {
            // It asks first whether there is a federation.
            let first = munge_lines("sbatch", "REQUEST_FED_INFO", unreachable.generation);
            reply.stderr.insert_str(0, &first);
        }
        return Err(reply);
    }
    let cluster = answering.cluster(name)?;
    check_gres(cluster, named, &request)?;
    if request.no_nodes {
        return Err(answering.not_played("a check of no nodes"));
    }
    let wanted = request.clone();
    let (id, job) = cluster.test(request, now).map_err(|refusal| {
        // What nodes lack is not said of a check.
        let preludes = match refusal {
            Refusal::NodeConfigUnavailable => String::new(),
            other => prelude(other, cluster, &wanted),
        };
        Reply::fail(1, format!("{preludes}{before}{}\n", refusal.text()))
    })?;
    // 26.05 puts the cluster and a stray article in.
    let infix = match cluster.config.generation {
        Generation::V26_05 if named => format!(" on cluster {name} a"),
        Generation::V26_05 => " a".to_owned(),
        _ => String::new(),
    };
    let start = job.eligible.max(now);
    if start == now && !cluster.can_start(&job) {
        return Err(answering.not_played("a check of a job that cannot start at once"));
    }
    let when = TimeStyle::of(call).show(start);
    Ok(Reply::fail(
        0,
        format!(
            "sbatch: Job {id} to start at {when}{infix} using {} processors on nodes {} in \
             partition {}\n",
            cpu_count(&job),
            hostlist(&job.nodes),
            job.partition
        ),
    ))
}
