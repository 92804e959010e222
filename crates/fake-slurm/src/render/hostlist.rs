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

/// The names that a list such as `n[1-2,4],login` stands for; none if it is not well formed.
pub(crate) fn expand(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = end_of_first(rest)?;
        let (first, after) = rest.split_at(end);
        expand_one(first, &mut names)?;
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(names)
}

/// Where the first entry of a list ends: at a comma outside of brackets.
fn end_of_first(list: &str) -> Option<usize> {
    let mut inside = false;
    for (at, character) in list.char_indices() {
        match character {
            '[' if inside => return None,
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            ',' if !inside => return Some(at),
            _ => {}
        }
    }
    (!inside).then_some(list.len())
}

fn expand_one(entry: &str, names: &mut Vec<String>) -> Option<()> {
    let Some((stem, rest)) = entry.split_once('[') else {
        names.extend((!entry.is_empty()).then(|| entry.to_owned()));
        return Some(());
    };
    let inner = rest.strip_suffix(']')?;
    for range in inner.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let width = first.len();
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // No cluster of a test has more; a list that is longer is a slip.
        if first > last || last - first > 10_000 {
            return None;
        }
        names.extend((first..=last).map(|number| format!("{stem}{number:0width$}")));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_apart() {
        let names = |list: &str| expand(list).map(|names| names.join(" "));
        assert_eq!(names("n1"), Some("n1".to_owned()));
        assert_eq!(
            names("n[1-3,7],login").as_deref(),
            Some("n1 n2 n3 n7 login")
        );
        assert_eq!(names("gpu[08-10]"), Some("gpu08 gpu09 gpu10".to_owned()));
        assert_eq!(names(""), Some(String::new()));
        let broken = [
            "n[", "n[1]x", "n]", "n[1", "n[2-1]", "n[a]", "n[]", "n[1-2]x", "n[[1]]",
        ];
        for broken in broken {
            assert_eq!(names(broken), None, "{broken}");
        }
    }

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
