//! `scancel`.

use super::{Answer, Answering, Unreachable, listed};
use crate::call::{Effect, Reply};
use crate::generation::Generation;
use crate::model::{Base, Cluster, Controller, Execution, Exit, Flag, Job, Refusal};
use crate::moment::Moment;
use crate::options::{Known, Parsed, Takes};
use crate::render::hostlist::expand;

const KNOWN: &[Known] = &[
    ("account", Some('A'), Takes::Value),
    ("batch", Some('b'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("full", Some('f'), Takes::Nothing),
    ("hurry", Some('H'), Takes::Nothing),
    ("interactive", Some('i'), Takes::Nothing),
    ("me", None, Takes::Nothing),
    ("name", Some('n'), Takes::Value),
    ("jobname", None, Takes::Value),
    ("nodelist", Some('w'), Takes::Value),
    ("partition", Some('p'), Takes::Value),
    ("qos", Some('q'), Takes::Value),
    ("quiet", Some('Q'), Takes::Nothing),
    ("reservation", Some('R'), Takes::Value),
    ("signal", Some('s'), Takes::Value),
    ("state", Some('t'), Takes::Value),
    ("user", Some('u'), Takes::Value),
    ("verbose", Some('v'), Takes::Nothing),
    ("version", Some('V'), Takes::Nothing),
    ("wckey", None, Takes::Value),
];

/// INPUT ENVIRONMENT VARIABLES of scancel's manual page.
const VARIABLES: &[(&str, &str)] = &[
    ("SCANCEL_ACCOUNT", "account"),
    ("SCANCEL_BATCH", "batch"),
    ("SCANCEL_FULL", "full"),
    ("SCANCEL_HURRY", "hurry"),
    ("SCANCEL_INTERACTIVE", "interactive"),
    ("SCANCEL_NAME", "name"),
    ("SCANCEL_PARTITION", "partition"),
    ("SCANCEL_QOS", "qos"),
    ("SCANCEL_STATE", "state"),
    ("SCANCEL_USER", "user"),
    ("SCANCEL_VERBOSE", "verbose"),
    ("SCANCEL_WCKEY", "wckey"),
];

/// Options that make scancel look at the queue first and act on what matches all of them. Their
/// names in its messages come second.
const FILTERS: &[(&str, &str)] = &[
    ("account", "account"),
    ("name", "job_name"),
    ("nodelist", "nodelist"),
    ("partition", "partition"),
    ("qos", "qos"),
    ("reservation", "reservation"),
    ("state", "state"),
    ("user", "user_name"),
    ("wckey", "wckey"),
];

/// Signals by name, as scancel's manual page lists them.
const SIGNALS: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", SIGKILL),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
];

const SIGKILL: u8 = 9;

/// What scancel 22.05.8 says with -v when it loads the queue.
const PLUGINS: &str = "scancel: select/cons_tres: common_init: select/cons_tres loaded
scancel: select/cray_aries: init: Cray/Aries node selection plugin loaded
scancel: select/linear: init: Linear node selection plugin loaded with argument 17
scancel: select/cons_res: common_init: select/cons_res loaded
";

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let mut parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    let names: Vec<&str> = VARIABLES.iter().map(|(variable, _)| *variable).collect();
    answering.reject_empty(&names)?;
    if parsed.has("wckey") && answering.generation() == Generation::V20_11 {
        return Err(answering.not_played("--wckey, with which that scancel crashes"));
    }
    for name in ["SCANCEL_CTLD", "SCANCEL_CRON"] {
        if answering.call.variable(name).is_some() {
            return Err(answering.not_played(&format!("the variable {name}")));
        }
    }
    let mut reply = Reply::default();
    take_variables(answering, &mut parsed, &mut reply);
    if parsed.has("interactive") {
        // scancel asks until it gets an answer, and takes the end of its input for none.
        return Err(answering.not_played("SCANCEL_INTERACTIVE and -i: a real scancel never ends"));
    }
    take_aliases(answering, &mut parsed)?;
    if parsed.has("quiet") && parsed.has("verbose") {
        // Which of the two counts, and for what, depends on their order.
        return Err(answering.not_played("-v together with -Q"));
    }
    let signal = signal(answering, &parsed)?;
    check_state(&mut parsed)?;
    check_user(answering, &parsed)?;
    let ids = ids(answering, &parsed)?;
    // A signal of one's own and -b also make scancel look at the queue first.
    let filters = FILTERS.iter().any(|(name, _)| parsed.has(name));
    let filtered = filters || signal.is_some() || parsed.has("batch");
    if filtered && parsed.has("clusters") && answering.generation() >= Generation::V24_11 {
        // There it is the controller that looks.
        return Err(answering.not_played("-M together with -b, -s or a filter"));
    }
    if ids.is_empty() && !filters {
        return Err(answering.error("No job identification provided"));
    }
    let nodes = parsed.value("nodelist").map(|list| {
        let unreadable = || answering.not_played(&format!("the list of nodes {list}"));
        expand(list).ok_or_else(unreadable)
    });
    let asked = Asked {
        signal,
        ids,
        filters,
        nodes: nodes.transpose()?,
        parsed,
    };
    let (clusters, _) = answering.clusters(&asked.parsed)?;
    for name in &clusters {
        if let Some(unreachable) = answering.unreachable(name)? {
            let mut failed = unreached(&unreachable, &asked, filtered);
            failed.stderr.insert_str(0, &reply.stderr);
            return Err(failed);
        }
        let chosen = if filtered {
            asked.matching(answering, name, &mut reply)?
        } else {
            asked.ids.clone()
        };
        for id in chosen {
            cancel(answering, name, id, &asked, &mut reply)?;
        }
    }
    Ok(reply)
}

/// What a call asks for.
struct Asked {
    /// The signal that was named; none is the usual end.
    signal: Option<u8>,
    ids: Vec<u32>,
    /// Whether anything but numbers chooses the jobs.
    filters: bool,
    nodes: Option<Vec<String>>,
    parsed: Parsed,
}

fn unreached(unreachable: &Unreachable, asked: &Asked, filtered: bool) -> Reply {
    let first = asked.ids.first().filter(|_| !filtered);
    let doing: String = match first.filter(|_| asked.parsed.has("verbose")) {
        Some(id) => format!("scancel: {} {id}\n", asked.doing()),
        None => String::new(),
    };
    let before = first.map_or_else(
        || "slurm_load_jobs error: ".to_owned(),
        |id| format!("scancel: error: Kill job error on job id {id}: "),
    );
    let status = if filtered {
        1
    } else {
        unreachable.code.to_le_bytes()[0]
    };
    let mut reply = unreachable.reply("scancel", "REQUEST_KILL_JOB", &before, status);
    reply.stderr.insert_str(0, &doing);
    reply
}

/// Variables come before the options. Those of switches are to be `true` or `false`; scancel
/// looks at their first letter.
fn take_variables(answering: &Answering<'_>, parsed: &mut Parsed, reply: &mut Reply) {
    let mut options = answering.defaults(VARIABLES);
    options.retain(|(name, value)| {
        let switch = ["batch", "full", "interactive", "verbose"].contains(&name.as_str());
        match value.chars().next().map(|first| first.to_ascii_lowercase()) {
            Some('t') => true,
            Some('f') if switch => false,
            // A real one would ask for ever or not at all; neither is for a test.
            _ if !switch || name == "interactive" => true,
            _ => {
                let variable = format!("SCANCEL_{}", name.to_uppercase());
                let text = format!("Unrecognized {variable} value: {value}");
                reply.stderr += &format!("scancel: error: {text}\n");
                false
            }
        }
    });
    // A state is checked with the name of where it came from.
    for (name, _) in options.iter_mut().filter(|(name, _)| name == "state") {
        "state of a variable".clone_into(name);
    }
    options.append(&mut parsed.options);
    parsed.options = options;
}

fn take_aliases(answering: &Answering<'_>, parsed: &mut Parsed) -> Result<(), Reply> {
    for (name, _) in parsed
        .options
        .iter_mut()
        .filter(|(name, _)| name == "jobname")
    {
        "name".clone_into(name);
    }
    if !parsed.has("me") {
        return Ok(());
    }
    if answering.generation() == Generation::V20_11 {
        return Err(answering.not_played("--me, which that scancel lacks"));
    }
    let me = answering.call.uid.to_string();
    parsed.options.push(("user".to_owned(), me));
    Ok(())
}

/// The signal that was asked for, by its name or number.
fn signal(answering: &Answering<'_>, parsed: &Parsed) -> Result<Option<u8>, Reply> {
    let Some(text) = parsed.value("signal") else {
        return Ok(None);
    };
    let start = text
        .get(..3)
        .filter(|start| start.eq_ignore_ascii_case("SIG"));
    let name = start.map_or(text, |_| &text[3..]);
    let mut named = SIGNALS.iter();
    let named = named.find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((_, number)) = named {
        return Ok(Some(*number));
    }
    match text.parse::<i32>() {
        Ok(number @ 1..=64) => Ok(u8::try_from(number).ok()),
        // Slurm takes it, and nothing comes of it.
        Ok(number) if number != 0 => Err(answering.not_played(&format!("the signal {text}"))),
        _ if OF_26_05
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
            && answering.generation() >= Generation::V24_11 =>
        {
            Err(answering.not_played(&format!("the signal {text}")))
        }
        _ => Err(Reply::fail(1, format!("Unknown job signal: {text}\n"))),
    }
}

/// Signals that 24.11 and later know besides.
const OF_26_05: &[&str] = &[
    "BUS", "CHLD", "FPE", "ILL", "IO", "PIPE", "PROF", "PWR", "SEGV", "STKFLT", "SYS", "TRAP",
    "URG", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// One state, under the name that messages give it.
fn check_state(parsed: &mut Parsed) -> Result<(), Reply> {
    for (name, value) in &mut parsed.options {
        let before = match name.as_str() {
            "state" => "Invalid job state specified",
            "state of a variable" => "Unrecognized SCANCEL_STATE value",
            _ => continue,
        };
        let same = |(long, compact): (&str, &str)| {
            long.eq_ignore_ascii_case(value) || compact.eq_ignore_ascii_case(value)
        };
        let bases = Base::ALL.into_iter().map(Base::names);
        let mut known = bases.chain(Flag::ALL.into_iter().map(Flag::names));
        let Some((long, _)) = known.find(|names| same(*names)) else {
            let text = format!(
                "{before}: {value}\n\
                 Valid job states are PENDING, RUNNING, and SUSPENDED\n"
            );
            return Err(Reply::fail(1, text));
        };
        long.clone_into(value);
        "state".clone_into(name);
    }
    Ok(())
}

/// A user must exist; 20.11 and 26.05 take any number.
fn check_user(answering: &Answering<'_>, parsed: &Parsed) -> Result<(), Reply> {
    let Some(name) = parsed.value("user") else {
        return Ok(());
    };
    let lenient = matches!(
        answering.generation(),
        Generation::V20_11 | Generation::V26_05
    );
    let uid: Option<u32> = name.parse().ok();
    let numbered = uid.is_some_and(|uid| lenient || answering.host.name_of(uid).is_some());
    if numbered || answering.host.uid_of(name).is_some() {
        return Ok(());
    }
    Err(answering.error(format!("Invalid user name: {name}")))
}

fn ids(answering: &Answering<'_>, parsed: &Parsed) -> Result<Vec<u32>, Reply> {
    let mut ids = Vec::new();
    for operand in &parsed.operands {
        let words = listed(operand);
        if words.is_empty() {
            return Err(answering.error(format!("Invalid job id {operand}")));
        }
        for text in words {
            ids.push(job_id(answering, text)?);
        }
    }
    Ok(ids)
}

fn job_id(answering: &Answering<'_>, text: &str) -> Result<u32, Reply> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    let step = rest.strip_prefix('.').map(str::parse::<u32>);
    if !digits.is_empty() && (rest.starts_with(['_', '+']) || matches!(step, Some(Ok(_)))) {
        return Err(answering.not_played(&format!("arrays, heterogeneous jobs and steps: {text}")));
    }
    let number = text.parse::<u64>().ok().filter(|number| *number > 0);
    let wrong = || answering.error(format!("Invalid job id {text}"));
    #[expect(clippy::cast_possible_truncation, reason = "so does scancel")]
    number.map(|number| number as u32).ok_or_else(wrong)
}

impl Asked {
    /// The unfinished jobs that match every filter and, if any were named, are among `ids`.
    fn matching(
        &self,
        answering: &mut Answering<'_>,
        cluster: &str,
        reply: &mut Reply,
    ) -> Result<Vec<u32>, Reply> {
        let verbose = self.parsed.has("verbose");
        let named = self.parsed.has("clusters");
        if verbose && !named && answering.generation() < Generation::V24_11 {
            reply.stderr += PLUGINS;
        }
        let jobs = answering.cluster(cluster)?.visible();
        let named = |job: &Job| self.ids.is_empty() || self.ids.contains(&job.id);
        let alive = jobs
            .values()
            .filter(|job| !job.base.is_over() && named(job));
        let alive: Vec<&Job> = alive.collect();
        let gone = |id: &&u32| alive.iter().all(|job| job.id != **id);
        for id in self.ids.iter().filter(gone) {
            if !self.parsed.has("quiet") {
                let text = Refusal::InvalidJobId.text();
                reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
            }
            reply.status = 1;
        }
        let fits = alive.into_iter().filter(|job| self.fits(job));
        let found: Vec<&Job> = fits.collect();
        if found.is_empty() && verbose && self.filters {
            let value = |name: &str| self.parsed.value(name);
            let given = FILTERS
                .iter()
                .filter_map(|(name, shown)| Some((shown, value(name)?)));
            let given: String = given
                .map(|(name, value)| format!("{name}={value} "))
                .collect();
            let text = format!("No active jobs match ALL job filters, including: {given}");
            reply.stderr += &format!("scancel: error: {text}\n");
        }
        // The state is looked at later, and nothing is said of it.
        let found = found.into_iter().filter(|job| self.in_state(job));
        Ok(found.map(|job| job.id).collect())
    }

    /// What scancel says that it does, in front of the job's number.
    fn doing(&self) -> String {
        let what = match (self.parsed.has("full"), self.parsed.has("batch")) {
            (true, _) => "full job",
            (false, true) => "batch job",
            (false, false) => "job",
        };
        match self.signal {
            None => format!("Terminating {what}"),
            Some(number) => format!("Signal {number} to {what}"),
        }
    }

    fn in_state(&self, job: &Job) -> bool {
        let wanted = self.parsed.value("state");
        wanted.is_none_or(|wanted| wanted == job.base.names().0)
    }

    /// Whether a job matches every filter but that of the state.
    fn fits(&self, job: &Job) -> bool {
        let request = &job.request;
        FILTERS.iter().all(|(name, _)| {
            let Some(wanted) = self.parsed.value(name) else {
                return true;
            };
            let is = |value: Option<&str>| value == Some(wanted);
            match *name {
                "account" => is(job.account.as_deref()),
                "name" => is(Some(&request.name)),
                "nodelist" => {
                    let mut nodes = self.nodes.iter().flatten();
                    nodes.any(|node| job.nodes.contains(node))
                }
                "partition" => is(Some(job.shown_partition())),
                "qos" => is(Some(&job.qos)),
                "reservation" => is(request.reservation.as_deref()),
                "user" => is(Some(&request.user)) || is(Some(&request.uid.to_string())),
                "wckey" => is(request.wckey.as_deref()),
                _ => true,
            }
        })
    }
}

fn cancel(
    answering: &mut Answering<'_>,
    name: &str,
    id: u32,
    asked: &Asked,
    reply: &mut Reply,
) -> Result<(), Reply> {
    let (now, uid) = (answering.now, answering.call.uid);
    let (verbose, quiet) = (asked.parsed.has("verbose"), asked.parsed.has("quiet"));
    let cluster = answering.cluster(name)?;
    // With -M newer ones ask the controller before they say so.
    let asks_first =
        cluster.config.generation >= Generation::V24_11 && asked.parsed.has("clusters");
    let ends = cluster.jobs.get(&id).is_some_and(|job| !job.base.is_over());
    if verbose && (!asks_first || ends) {
        reply.stderr += &format!("scancel: {} {id}\n", asked.doing());
    }
    let outcome =
        if cluster.condition.controller == Controller::Stale {
            Err(Refusal::Disabled)
        } else {
            match Delivery::of(asked, cluster.jobs.get(&id)) {
                Delivery::End => cluster.cancel(id, uid, now),
                Delivery::Retried => {
                    return Err(answering.not_played(
                    "signals to a job that is not running: a real scancel tries again for a minute",
                ));
                }
                Delivery::Signal { number, effect } => {
                    let done = deliver(cluster, id, uid, number, effect, now);
                    reply
                        .effects
                        .extend(effect.filter(|_| done.is_ok()).map(|only_script| {
                            Effect::Signal {
                                cluster: name.to_owned(),
                                id,
                                signal: number,
                                only_script,
                            }
                        }));
                    done
                }
            }
        };
    match outcome {
        Ok(()) => {}
        // What is over already is a success, and said only with -v.
        Err(refusal @ (Refusal::InvalidJobId | Refusal::AlreadyDone)) => {
            if verbose {
                let text = refusal.text();
                reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
            }
        }
        Err(refusal) => {
            if !quiet {
                let text = refusal.text();
                reply.stderr += &format!("scancel: error: Kill job error on job id {id}: {text}\n");
            }
            reply.status = refusal.code().to_le_bytes()[0];
        }
    }
    Ok(())
}

/// What comes of a call for one job.
enum Delivery {
    /// The job ends, as without a signal.
    End,
    /// A signal, and to which processes: the script alone, or all. None: steps alone, and a batch
    /// job of the fake has none.
    Signal { number: u8, effect: Option<bool> },
    /// The controller does not signal such a job, and scancel tries again.
    Retried,
}

impl Delivery {
    fn of(asked: &Asked, job: Option<&Job>) -> Self {
        let (script, full) = (asked.parsed.has("batch"), asked.parsed.has("full"));
        let started = job.is_some_and(|job| job.base.is_started());
        match asked.signal {
            None if script && started => Self::Signal {
                number: SIGKILL,
                effect: Some(true),
            },
            None => Self::End,
            Some(SIGKILL) if !(script && started) => Self::End,
            Some(_) if job.is_some_and(|job| !job.base.is_over() && job.base != Base::Running) => {
                Self::Retried
            }
            Some(number) => Self::Signal {
                number,
                effect: (script || full).then_some(script),
            },
        }
    }
}

/// A signal to a running job. A virtual script dies of KILL and ignores the others.
fn deliver(
    cluster: &mut Cluster,
    id: u32,
    uid: u32,
    number: u8,
    effect: Option<bool>,
    now: Moment,
) -> Result<(), Refusal> {
    cluster.signal(id, uid)?;
    if number == SIGKILL && effect.is_some() && cluster.config.execution == Execution::Virtual {
        cluster.finish(id, Exit::signal(SIGKILL), now);
    }
    Ok(())
}
