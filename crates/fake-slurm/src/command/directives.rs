//! `#SBATCH` lines.

/// The options in a script's `#SBATCH` lines. They end at the first line that is neither a comment
/// nor blank.
pub(super) fn options(script: &str) -> Vec<String> {
    let head = script
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('#'));
    let directives = head.filter_map(|line| line.strip_prefix("#SBATCH"));
    directives.flat_map(words).collect()
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
        assert_eq!(options(script), ["-n", "2", "--comment=a b", "-J", "q\" r"]);
    }
}
