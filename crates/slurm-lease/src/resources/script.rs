//! What a site's own runner script asks sbatch for, in its lines `#SBATCH …`.

use super::{LETTERS_WITH_VALUE, REFUSED_OPTIONS, ResourceError};

/// Refused options that do no harm in a script: what is given with the submission itself takes
/// their place, or they change nothing.
const OVERRIDDEN: [&str; 13] = [
    "chdir",
    "comment",
    "error",
    "export",
    "ignore-pbs",
    "input",
    "job-name",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "requeue",
    "wait-all-nodes",
];

const ARRAY: &str = "a lease is one job, not an array";
const COMPONENTS: &str = "a lease is one job, not one of several components";
const HELD: &str = "a held job never becomes ready";

/// Checks the options that sbatch reads from a script: those before its first command.
///
/// # Errors
/// When one would make something else of the submission than one job that starts by itself.
pub fn check_script(script: &[u8]) -> Result<(), ResourceError> {
    for line in script.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Some(options) = line.strip_prefix("#SBATCH") {
            check_line(options)?;
        } else if let Some(options) = line.strip_prefix("#PBS") {
            check_pbs(options)?;
        } else if !line.trim_start().is_empty() && !line.trim_start().starts_with('#') {
            break;
        }
    }
    Ok(())
}

/// The words of a line, without their quotes, up to a comment behind them.
fn words(options: &str) -> impl Iterator<Item = String> {
    let words = options.split_whitespace();
    words
        .take_while(|word| !word.starts_with('#'))
        .map(|word| word.replace(['"', '\'', '\\'], ""))
}

fn check_line(options: &str) -> Result<(), ResourceError> {
    for word in words(options) {
        if ["hetjob", "packjob"].contains(&word.as_str()) {
            return Err(refused(&word, COMPONENTS));
        }
        let why = match word.strip_prefix("--") {
            Some(long) => refusal_of(long.split('=').next().unwrap_or_default()),
            None => word.strip_prefix('-').and_then(refusal_of_letters),
        };
        if let Some(why) = why {
            return Err(refused(&word, why));
        }
    }
    Ok(())
}

/// Why an option by its name, or by any beginning of it, is refused in a script.
fn refusal_of(name: &str) -> Option<&'static str> {
    let is_exact = REFUSED_OPTIONS.iter().any(|(known, _, _)| *known == name);
    let fits = |known: &str| known == name || !is_exact && known.starts_with(name);
    let mut options = REFUSED_OPTIONS.iter();
    options
        .find(|(known, _, _)| !name.is_empty() && fits(known) && !OVERRIDDEN.contains(known))
        .map(|(_, _, why)| *why)
}

fn refusal_of_letters(letters: &str) -> Option<&'static str> {
    for letter in letters.chars() {
        let mut options = REFUSED_OPTIONS.iter();
        let option = options.find(|(_, known, _)| *known == Some(letter));
        if let Some((_, _, why)) = option.filter(|(known, _, _)| !OVERRIDDEN.contains(known)) {
            return Some(why);
        }
        if LETTERS_WITH_VALUE.contains(letter) {
            break;
        }
    }
    None
}

fn refused(word: &str, why: &'static str) -> ResourceError {
    let option = word.split('=').next().unwrap_or_default();
    let option = option.chars().take(80).collect();
    ResourceError::Script { option, why }
}

/// sbatch reads options of PBS too.
fn check_pbs(options: &str) -> Result<(), ResourceError> {
    for word in words(options) {
        let mut characters = word.chars();
        let why = match (characters.next(), characters.next()) {
            (Some('-'), Some('J' | 't')) => ARRAY,
            (Some('-'), Some('h')) => HELD,
            _ => continue,
        };
        return Err(refused(&word, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(lines: &str) -> Result<(), String> {
        let script = format!("#!/bin/sh\n# A runner.\n\n{lines}\nexec sleep 3000\n#SBATCH -a1\n");
        check_script(script.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_script_that_asks_for_more_than_one_job_is_refused() {
        for lines in [
            "#SBATCH --array=1-3",
            "#SBATCH --array 1-3",
            "#SBATCH --arr=1-3",
            "#SBATCH \"--array=1-3\"",
            "#SBATCH -a 1-3",
            "#SBATCH -sa1-3",
            "#SBATCH -n1\n#SBATCH hetjob\n#SBATCH -n1",
            "#SBATCH -n1\n#SBATCH packjob\n#SBATCH -n1",
            "#SBATCH --mem=1G --array=1",
            "#PBS -J 1-3",
            "#PBS -t1-3",
            "#PBS -h",
            "#SBATCH --hold",
            "#SBATCH -H",
            "#SBATCH -M other",
            "#SBATCH --clusters=other",
            "#SBATCH --wrap=id",
            "#SBATCH --uid=0",
            "#SBATCH --test-only",
            "#SBATCH --wait",
            "#SBATCH -Q",
            "#SBATCH --export-file=x",
        ] {
            let refused = check(lines).unwrap_err();
            assert!(refused.contains("is refused, because"), "{refused}");
        }
    }

    #[test]
    fn a_script_that_asks_for_resources_or_what_is_given_anyway_passes() {
        for lines in [
            "#SBATCH --mem=1G   # --array=1-3",
            "# SBATCH --array=1-3",
            "##SBATCH --array=1-3",
            "#SBATCH --job-name=runner",
            "#SBATCH -J runner -o out.txt --error err.txt",
            "#SBATCH --export=ALL",
            "#SBATCH --requeue",
            "#SBATCH --comment=hers",
            "#SBATCH -N1 -n 2 -t 60",
            "#SBATCH -p a",
            "#SBATCH -pa",
            "#SBATCH --gres=gpu:1 --account=lab --exclusive",
            "#PBS -l walltime=1:00",
            "#SBATCH",
        ] {
            assert_eq!(check(lines), Ok(()), "{lines}");
        }
    }

    proptest! {
        #[test]
        fn any_script_is_survived(script in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(check_script(&script));
        }

        #[test]
        fn an_array_is_found_behind_any_comments(
            before in proptest::collection::vec("#[^\n\r]{0,30}|[ \t]*", 0..6), value in "[0-9]{1,3}",
        ) {
            let script = format!("{}\n#SBATCH --array={value}\n", before.join("\n"));
            prop_assert!(check_script(script.as_bytes()).is_err());
        }
    }
}
