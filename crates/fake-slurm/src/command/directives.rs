//! `#SBATCH` lines.

/// The options in a script's `#SBATCH` lines. They end at the first line that is neither a comment
/// nor blank. None: lines that a real one reads and the fake does not, those of other schedulers,
/// of heterogeneous jobs and, up to 22.05 (not `recent`), with backslashes.
pub(super) fn options(script: &str, recent: bool) -> Option<Vec<String>> {
    let head = script
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('#'));
    let mut options = Vec::new();
    for line in head {
        if line.starts_with("#PBS") || line.starts_with("#BSUB") {
            return None;
        }
        let Some(rest) = line.strip_prefix("#SBATCH") else {
            continue;
        };
        let found = words(rest);
        let separates = matches!(found.as_slice(), [only] if only == "hetjob" || only == "packjob");
        if separates || (rest.contains('\\') && !recent) {
            return None;
        }
        options.extend(found);
    }
    Some(options)
}

/// Splits a line at blanks; quotes and backslashes keep them, and ` #` starts a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(character),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (_, '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, '#') if word.is_none() => break,
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_end_at_the_first_command() {
        let script = "#!/bin/sh\n#SBATCH -n 2 --comment='a b'  # why\n\n# x\n#SBATCH -J \"q\\\" r\"\n\
                      true\n#SBATCH --mem=1\n";
        let found = ["-n", "2", "--comment=a b", "-J", "q\" r"].map(str::to_owned);
        assert_eq!(options(script, true), Some(found.to_vec()));
        assert_eq!(options(script, false), None);
        for line in ["#PBS -N x", "#BSUB -J x", "#SBATCH hetjob"] {
            assert_eq!(
                options(&format!("#!/bin/sh\n{line}\n"), true),
                None,
                "{line}"
            );
        }
    }
}
