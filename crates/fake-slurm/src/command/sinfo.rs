//! `sinfo`: partitions and the states of their nodes.

use super::{Answer, Answering, listed};
use crate::call::Reply;
use crate::generation::Generation;
use crate::model::{Cluster, Node, Partition};
use crate::options::{Known, Parsed, Takes};
use crate::render::format::{Width, fit};
use crate::render::hostlist::{expand, hostlist};
use crate::render::time::short_duration;

const KNOWN: &[Known] = &[
    ("all", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("format", Some('o'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("noheader", Some('h'), Takes::Nothing),
    ("nodes", Some('n'), Takes::Value),
    ("partition", Some('p'), Takes::Value),
    ("states", Some('t'), Takes::Value),
    ("version", Some('V'), Takes::Nothing),
];

/// The partitions' names are as wide as the longest of them.
const DEFAULT: &str = "%#P %.5a %.10l %.6D %.6t %N";

/// Letters that a `sinfo -o` does not know. It prints them as they stand.
fn is_unknown(letter: char, generation: Generation) -> bool {
    "jkqxyJKQW@".contains(letter) || letter == 'i' && generation < Generation::V24_11
}

/// What is alike in all nodes of a line.
#[derive(PartialEq, Eq)]
struct Key<'a> {
    partition: Option<&'a str>,
    up: Option<bool>,
    limit: Option<Option<u64>>,
    /// None: the format does not tell states apart.
    state: Option<State>,
}

/// A line: nodes that the format does not tell apart.
struct Group<'a> {
    key: Key<'a>,
    partition: &'a Partition,
    default: bool,
    state: State,
    nodes: Vec<&'a Node>,
}

/// A node's state, in the order in which sinfo sorts them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Of a partition that has no node of those that are asked for.
    None,
    Down,
    Idle,
    Allocated,
    Mixed,
}

impl State {
    /// The long and the compact name.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("n/a", "n/a"),
            Self::Down => ("down", "down"),
            Self::Idle => ("idle", "idle"),
            Self::Allocated => ("allocated", "alloc"),
            Self::Mixed => ("mixed", "mix"),
        }
    }

    fn of(cluster: &Cluster, node: &Node) -> Self {
        let here = cluster.jobs.values().filter(|job| job.holds_nodes());
        let here = here.filter(|job| job.nodes.contains(&node.name));
        let used: u32 = here.map(|job| job.cpus_of(&node.name)).sum();
        match used {
            _ if node.down => Self::Down,
            0 => Self::Idle,
            used if used >= node.cpus => Self::Allocated,
            _ => Self::Mixed,
        }
    }
}

pub(super) fn run(answering: &mut Answering<'_>) -> Answer {
    let parsed = answering.parse(KNOWN, false)?;
    answering.version(&parsed)?;
    for (variable, _) in answering
        .call
        .environment
        .iter()
        .filter(|(_, value)| !value.is_empty())
    {
        if variable.starts_with("SINFO_") && variable != "SINFO_ALL" {
            return Err(answering.not_played(&format!("the variable {variable}")));
        }
    }
    let (clusters, named) = answering.clusters(&parsed)?;
    let [name] = clusters.as_slice() else {
        return Err(answering.not_played("several clusters"));
    };
    let asked = Asked::of(answering, &parsed)?;
    if let Some(unreachable) = answering.unreachable(name)? {
        return Err(unreachable.reply(
            "sinfo",
            "REQUEST_PARTITION_INFO",
            "slurm_load_partitions: ",
            1,
        ));
    }
    let cluster = &*answering.cluster(name)?;
    let names = cluster.config.partitions.iter();
    let longest = names.map(|known| known.name.len() + 1).max();
    let mut reply = Reply {
        stderr: asked.complaints.clone(),
        ..Reply::default()
    };
    if !parsed.has("noheader") {
        if named {
            reply.stdout += &format!("CLUSTER: {name}\n");
        }
        reply.stdout += &asked.line(longest, |letter| Some(heading(letter)?.to_owned()))?;
    }
    for group in groups(cluster, &asked) {
        reply.stdout += &asked.line(longest, |letter| value(&group, letter))?;
    }
    Ok(reply)
}

/// What a call asks for.
struct Asked {
    pieces: Vec<Piece>,
    complaints: String,
    partitions: Option<Vec<String>>,
    nodes: Option<Vec<String>>,
    states: Option<Vec<State>>,
}

/// A piece of a line.
enum Piece {
    Text(String),
    Field(char, Size),
}

enum Size {
    /// As wide as the longest name of a partition.
    Longest,
    Fixed(Width),
}

impl Asked {
    fn of(answering: &Answering<'_>, parsed: &Parsed) -> Result<Self, Reply> {
        let mut asked = Self {
            pieces: Vec::new(),
            complaints: String::new(),
            partitions: parsed.value("partition").map(|list| {
                let names = list.split(',').filter(|name| !name.is_empty());
                names.map(str::to_owned).collect()
            }),
            nodes: None,
            states: None,
        };
        match parsed.value("format") {
            Some(format) => asked.read(answering, format, false)?,
            None => asked.read(answering, DEFAULT, true)?,
        }
        if let Some(list) = parsed.value("nodes") {
            let refused = || answering.not_played(&format!("the list of nodes {list}"));
            asked.nodes = Some(expand(list).ok_or_else(refused)?);
        }
        if let Some(list) = parsed.value("states") {
            asked.states = states(answering, list)?;
        }
        Ok(asked)
    }

    /// Takes a format apart, as squeue does with its own.
    fn read(&mut self, answering: &Answering<'_>, text: &str, own: bool) -> Result<(), Reply> {
        let mut parts = text.split('%');
        let prefix = parts.next().unwrap_or_default();
        self.pieces.push(Piece::Text(prefix.to_owned()));
        for part in parts.filter(|part| !part.is_empty()) {
            let (right, rest) = match part.strip_prefix('.') {
                Some(rest) => (true, rest),
                None => (false, part),
            };
            let longest = own && rest.starts_with('#');
            let rest = if longest { &rest[1..] } else { rest };
            let letters = rest.trim_start_matches(|character: char| character.is_ascii_digit());
            let size = rest[..rest.len() - letters.len()].parse().unwrap_or(0);
            let refused = || answering.not_played(&format!("the format %{part}"));
            let letter = letters.chars().next().ok_or_else(refused)?;
            if heading(letter).is_some() {
                let fixed = Size::Fixed(Width { size, right });
                let size = if longest { Size::Longest } else { fixed };
                self.pieces.push(Piece::Field(letter, size));
                let rest = letters[letter.len_utf8()..].to_owned();
                self.pieces.push(Piece::Text(rest));
            } else if is_unknown(letter, answering.generation()) {
                let text = format!("Invalid node format specification: {letter}\n");
                self.complaints.push_str(&text);
                self.pieces.push(Piece::Text(format!("%{part}")));
            } else {
                return Err(refused());
            }
        }
        Ok(())
    }

    fn shows(&self, letters: &[char]) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| matches!(piece, Piece::Field(letter, _) if letters.contains(letter)))
    }

    fn line(
        &self,
        longest: Option<usize>,
        value: impl Fn(char) -> Option<String>,
    ) -> Result<String, Reply> {
        let mut line = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field(letter, size) => {
                    let unlike = || {
                        let text = "sinfo: fake-slurm does not know nodes that are not alike\n";
                        Reply::fail(super::NOT_PLAYED, text)
                    };
                    let text = value(*letter).ok_or_else(unlike)?;
                    let width = match size {
                        Size::Fixed(width) => *width,
                        Size::Longest => Width {
                            size: longest.unwrap_or(0).max(9),
                            right: false,
                        },
                    };
                    line += &match text.strip_suffix('*') {
                        // The mark of the default partition stays where the name is cut.
                        Some(name) if width.size > 0 && text.len() > width.size => {
                            name.chars().take(width.size - 1).chain(['*']).collect()
                        }
                        _ => fit(&text, width),
                    };
                }
            }
        }
        Ok(line + "\n")
    }

    fn takes(&self, node: &Node, state: State) -> bool {
        let named = |names: &Vec<String>| names.contains(&node.name);
        let nodes = self.nodes.as_ref().is_none_or(named);
        let in_state = |states: &Vec<State>| states.contains(&state);
        nodes && self.states.as_ref().is_none_or(in_state)
    }
}

/// States by name; none is all.
fn states(answering: &Answering<'_>, list: &str) -> Result<Option<Vec<State>>, Reply> {
    let mut states = Vec::new();
    for word in listed(list) {
        states.extend_from_slice(match word.to_lowercase().as_str() {
            "all" => return Ok(None),
            "down" => &[State::Down],
            "idle" => &[State::Idle],
            // A node that has some jobs is allocated too, in part.
            "alloc" | "allocated" => &[State::Allocated, State::Mixed],
            "mix" | "mixed" => &[State::Mixed],
            _ => return Err(answering.not_played(&format!("the state {word}"))),
        });
    }
    Ok(Some(states))
}

/// The lines: nodes are put together that the format does not tell apart, partitions in their
/// order, and within them the states from the last to the first.
fn groups<'a>(cluster: &'a Cluster, asked: &Asked) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (index, partition) in cluster.config.partitions.iter().enumerate() {
        let wanted = |names: &Vec<String>| names.contains(&partition.name);
        if !asked.partitions.as_ref().is_none_or(wanted) {
            continue;
        }
        let here = cluster.config.nodes.iter();
        let here = here.filter(|node| partition.nodes.contains(&node.name));
        let found = here.map(|node| (Some(node), State::of(cluster, node)));
        let taken =
            found.filter(|(node, state)| node.is_some_and(|node| asked.takes(node, *state)));
        let mut found: Vec<(Option<&Node>, State)> = taken.collect();
        found.sort_by_key(|(_, state)| std::cmp::Reverse(*state));
        if found.is_empty() {
            found.push((None, State::None));
        }
        for (node, state) in found {
            let key = Key {
                partition: asked.shows(&['P', 'R']).then_some(partition.name.as_str()),
                up: asked.shows(&['a']).then_some(partition.up),
                limit: asked.shows(&['l']).then_some(partition.max_time),
                state: asked.shows(&['t', 'T']).then_some(state),
            };
            let group = match groups.iter_mut().find(|group| group.key == key) {
                Some(group) => group,
                None => {
                    groups.push(Group {
                        key,
                        partition,
                        default: index == 0,
                        state,
                        nodes: Vec::new(),
                    });
                    let Some(last) = groups.last_mut() else {
                        continue;
                    };
                    last
                }
            };
            let known = |node: &&Node| group.nodes.iter().any(|known| known.name == node.name);
            let new = node.filter(|node| !known(node));
            group.nodes.extend(new);
        }
    }
    groups
}

fn heading(letter: char) -> Option<&'static str> {
    Some(match letter {
        'P' | 'R' => "PARTITION",
        'a' => "AVAIL",
        'l' => "TIMELIMIT",
        'D' => "NODES",
        't' | 'T' => "STATE",
        'N' => "NODELIST",
        'c' => "CPUS",
        'm' => "MEMORY",
        _ => return None,
    })
}

/// The value of a field. None: the nodes differ in it.
fn value(group: &Group<'_>, letter: char) -> Option<String> {
    let partition = group.partition;
    let star = if group.default && letter == 'P' {
        "*"
    } else {
        ""
    };
    let alike = |of: fn(&Node) -> u64| {
        let mut values = group.nodes.iter().map(|node| of(node));
        let first = values.next().unwrap_or(0);
        values
            .all(|value| value == first)
            .then(|| first.to_string())
    };
    let text = match letter {
        'P' | 'R' => format!("{}{star}", partition.name),
        'a' => if partition.up { "up" } else { "down" }.to_owned(),
        'l' => partition.max_time.map_or_else(
            || "infinite".to_owned(),
            |minutes| short_duration(minutes * 60),
        ),
        'D' => group.nodes.len().to_string(),
        't' => group.state.names().1.to_owned(),
        'T' => group.state.names().0.to_owned(),
        'N' => {
            let names: Vec<String> = group.nodes.iter().map(|node| node.name.clone()).collect();
            hostlist(&names)
        }
        'c' => return alike(|node| u64::from(node.cpus)),
        'm' => return alike(|node| node.memory),
        _ => return None,
    };
    Some(text)
}
