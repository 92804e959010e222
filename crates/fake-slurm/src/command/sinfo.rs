//! `sinfo`: partitions and the states of their nodes.

use super::{Answer, Answering};
use crate::call::Reply;
use crate::model::{Cluster, Node, Partition};
use crate::options::{Known, Takes};
use crate::render::format::{Width, fit};
use crate::render::hostlist::hostlist;
use crate::render::time::short_duration;

const KNOWN: &[Known] = &[
    ("all", Some('a'), Takes::Nothing),
    ("clusters", Some('M'), Takes::Value),
    ("format", Some('o'), Takes::Value),
    ("local", None, Takes::Nothing),
    ("noheader", Some('h'), Takes::Nothing),
    ("partition", Some('p'), Takes::Value),
    ("version", Some('V'), Takes::Nothing),
];

const DEFAULT: &str = "%#P %.5a %.10l %.6D %.6t %N";

/// Nodes of a partition that are in the same state: a line.
struct Group<'a> {
    partition: &'a Partition,
    default: bool,
    state: (&'static str, &'static str),
    nodes: Vec<&'a Node>,
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
    let (clusters, _) = answering.clusters(&parsed)?;
    let [name] = clusters.as_slice() else {
        return Err(answering.not_played("several clusters"));
    };
    if let Some(unreachable) = answering.unreachable(name)? {
        return Err(unreachable.reply(
            "sinfo",
            "REQUEST_PARTITION_INFO",
            "slurm_load_partitions: ",
            1,
        ));
    }
    let format = parsed.value("format").unwrap_or(DEFAULT).to_owned();
    let wanted = parsed.value("partition").map(str::to_owned);
    let cluster = &*answering.cluster(name)?;
    let longest = cluster
        .config
        .partitions
        .iter()
        .map(|known| known.name.len() + 1)
        .max();
    let mut text = String::new();
    let unknown = |letter| answering_refusal(letter);
    if !parsed.has("noheader") {
        text += &line(&format, longest, heading).map_err(unknown)?;
    }
    for group in groups(cluster, wanted.as_deref()) {
        text += &line(&format, longest, |letter| value(&group, letter)).map_err(unknown)?;
    }
    Ok(Reply::out(text))
}

fn answering_refusal(letter: char) -> Reply {
    let text = format!("sinfo: fake-slurm does not know the field %{letter}\n");
    Reply::fail(super::NOT_PLAYED, text)
}

fn groups<'a>(cluster: &'a Cluster, wanted: Option<&str>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (index, partition) in cluster.config.partitions.iter().enumerate() {
        if wanted.is_some_and(|wanted| !wanted.split(',').any(|name| name == partition.name)) {
            continue;
        }
        let first = groups.len();
        for node in cluster
            .config
            .nodes
            .iter()
            .filter(|node| partition.nodes.contains(&node.name))
        {
            let state = state(cluster, node);
            match groups[first..]
                .iter_mut()
                .find(|group| group.state == state)
            {
                Some(group) => group.nodes.push(node),
                None => groups.push(Group {
                    partition,
                    default: index == 0,
                    state,
                    nodes: vec![node],
                }),
            }
        }
    }
    groups
}

fn state(cluster: &Cluster, node: &Node) -> (&'static str, &'static str) {
    let here = cluster.jobs.values().filter(|job| job.holds_nodes());
    let here = here.filter(|job| job.nodes.contains(&node.name));
    let used: u32 = here.map(|job| job.cpus_per_node).sum();
    match used {
        _ if node.down => ("down", "down"),
        0 => ("idle", "idle"),
        used if used >= node.cpus => ("allocated", "alloc"),
        _ => ("mixed", "mix"),
    }
}

fn heading(letter: char) -> Option<String> {
    let text = match letter {
        'P' => "PARTITION",
        'R' => "PARTITION",
        'a' => "AVAIL",
        'l' => "TIMELIMIT",
        'D' => "NODES",
        't' | 'T' => "STATE",
        'N' => "NODELIST",
        'c' => "CPUS",
        'm' => "MEMORY",
        _ => return None,
    };
    Some(text.to_owned())
}

fn value(group: &Group<'_>, letter: char) -> Option<String> {
    let partition = group.partition;
    let star = if group.default && letter == 'P' {
        "*"
    } else {
        ""
    };
    let names = || {
        let names: Vec<String> = group.nodes.iter().map(|node| node.name.clone()).collect();
        hostlist(&names)
    };
    let minutes = partition.max_time;
    let text = match letter {
        'P' | 'R' => format!("{}{star}", partition.name),
        'a' => if partition.up { "up" } else { "down" }.to_owned(),
        'l' => minutes.map_or("infinite".to_owned(), |minutes| {
            short_duration(minutes * 60)
        }),
        'D' => group.nodes.len().to_string(),
        't' => group.state.1.to_owned(),
        'T' => group.state.0.to_owned(),
        'N' => names(),
        'c' => group.nodes.first()?.cpus.to_string(),
        'm' => group.nodes.first()?.memory.to_string(),
        _ => return None,
    };
    Some(text)
}

/// A line of the format; `%#P` is as wide as the longest partition's name.
fn line(
    format: &str,
    longest: Option<usize>,
    value: impl Fn(char) -> Option<String>,
) -> Result<String, char> {
    let mut parts = format.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts.filter(|part| !part.is_empty()) {
        let right = part.starts_with('.');
        let rest = part.trim_start_matches(['.', '#']);
        let letters = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let named = part.starts_with('#').then_some(longest.unwrap_or(0).max(9));
        let size = named
            .or(rest[..rest.len() - letters.len()].parse().ok())
            .unwrap_or(0);
        let letter = letters.chars().next().unwrap_or(' ');
        text += &fit(&value(letter).ok_or(letter)?, Width { size, right });
        text += &letters[letter.len_utf8().min(letters.len())..];
    }
    Ok(text + "\n")
}
