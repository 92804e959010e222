//! Lists of nodes as Slurm prints them: `n[1-2,4]`.

use std::collections::BTreeMap;

/// The names, those that differ only in a number at the end put together.
pub(crate) fn hostlist(names: &[String]) -> String {
    if let [only] = names {
        return only.clone();
    }
    let mut groups: BTreeMap<(&str, usize), Vec<u64>> = BTreeMap::new();
    let mut plain = Vec::new();
    for name in names {
        let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
        let digits = &name[stem.len()..];
        // Numbers of another width, as n1 and n01, are not put together.
        let width = if digits.starts_with('0') {
            digits.len()
        } else {
            0
        };
        match digits.parse() {
            Ok(number) => groups.entry((stem, width)).or_default().push(number),
            Err(_) => plain.push(name.clone()),
        }
    }
    for ((stem, width), mut numbers) in groups {
        numbers.sort_unstable();
        let ranges = ranges(&numbers, width);
        let single = numbers.len() == 1;
        plain.push(if single {
            format!("{stem}{ranges}")
        } else {
            format!("{stem}[{ranges}]")
        });
    }
    plain.join(",")
}

fn ranges(numbers: &[u64], width: usize) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let show = |(first, last): &(u64, u64)| {
        if first == last {
            format!("{first:0width$}")
        } else {
            format!("{first:0width$}-{last:0width$}")
        }
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_put_together() {
        let list = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            hostlist(&names)
        };
        assert_eq!(list(&["n1"]), "n1");
        assert_eq!(list(&["n1", "n2", "n4"]), "n[1-2,4]");
        assert_eq!(list(&["gpu01", "gpu02", "login"]), "login,gpu[01-02]");
        assert_eq!(list(&[]), "");
    }
}
