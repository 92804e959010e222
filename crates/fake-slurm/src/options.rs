//! Slurm's option syntax: getopt_long with abbreviations, `-j1`, `-j 1`, `--jobs=1`, `--jobs 1`.

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Value,
    /// `-j[VALUE]`, `--jobs[=VALUE]`.
    MaybeValue,
}

/// An option of a command: long name (may be empty), short name, whether it takes a value.
pub(crate) type Known = (&'static str, Option<char>, Takes);

/// What was wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// An option that the fake does not know, as it was written.
    Unknown(String),
    /// It needs a value: the words of getopt.
    NoValue(String),
    /// An abbreviation of several options: the words of getopt.
    Ambiguous(String),
}

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Options in their order, under their long names (or short ones where they have no other).
    pub(crate) options: Vec<(String, String)>,
    /// Everything else.
    pub(crate) operands: Vec<String>,
    /// The first long option that was abbreviated.
    pub(crate) abbreviated: Option<String>,
}

impl Parsed {
    /// The last value of an option.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let same = |(option, _): &&(String, String)| option == name;
        self.options
            .iter()
            .rev()
            .find(same)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }
}

/// Takes a command line apart. With `stop_early` the first operand ends the options, as sbatch
/// does, whose script has options of its own.
pub(crate) fn parse(
    known: &[Known],
    arguments: &[String],
    stop_early: bool,
) -> Result<Parsed, Wrong> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.operands.extend(rest.cloned());
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let option = long_option(known, long, &mut rest)?;
            let name = long.split('=').next().unwrap_or_default();
            if name != option.0 && parsed.abbreviated.is_none() {
                parsed.abbreviated = Some(argument.clone());
            }
            parsed.options.push(option);
        } else if let Some(shorts) = argument.strip_prefix('-').filter(|text| !text.is_empty()) {
            short_options(known, shorts, &mut rest, &mut parsed.options)?;
        } else {
            parsed.operands.push(argument.clone());
            if stop_early {
                parsed.operands.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(parsed)
}

fn long_option<'a>(
    known: &[Known],
    text: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<(String, String), Wrong> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let (name, _, takes) = find_long(known, name)?;
    let value = match (takes, value) {
        (Takes::Value, None) => rest
            .next()
            .cloned()
            .ok_or_else(|| Wrong::NoValue(format!("option '--{name}' requires an argument")))?,
        (Takes::Nothing, Some(_)) => {
            return Err(Wrong::NoValue(format!(
                "option '--{name}' doesn't allow an argument"
            )));
        }
        (_, value) => value.unwrap_or_default(),
    };
    Ok((name.to_owned(), value))
}

fn find_long(known: &[Known], name: &str) -> Result<Known, Wrong> {
    if let Some(exact) = known.iter().find(|(long, ..)| *long == name) {
        return Ok(*exact);
    }
    let mut fits = known
        .iter()
        .filter(|(long, ..)| !name.is_empty() && long.starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(only), None) => Ok(*only),
        (Some(_), Some(_)) => Err(Wrong::Ambiguous(format!("option '--{name}' is ambiguous"))),
        _ => Err(Wrong::Unknown(format!("--{name}"))),
    }
}

fn short_options<'a>(
    known: &[Known],
    text: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    options: &mut Vec<(String, String)>,
) -> Result<(), Wrong> {
    for (at, short) in text.char_indices() {
        let found = known.iter().find(|(_, known, _)| *known == Some(short));
        let Some((long, _, takes)) = found else {
            return Err(Wrong::Unknown(format!("-{short}")));
        };
        let name = if long.is_empty() {
            short.to_string()
        } else {
            (*long).to_owned()
        };
        let attached = &text[at + short.len_utf8()..];
        if *takes == Takes::Nothing {
            options.push((name, String::new()));
            continue;
        }
        let value = match takes {
            Takes::Value if attached.is_empty() => rest.next().cloned().ok_or_else(|| {
                Wrong::NoValue(format!("option requires an argument -- '{short}'"))
            })?,
            _ => attached.to_owned(),
        };
        options.push((name, value));
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Known; 4] = [
        ("jobs", Some('j'), Takes::MaybeValue),
        ("job-name", Some('J'), Takes::Value),
        ("parsable", None, Takes::Nothing),
        ("noheader", Some('h'), Takes::Nothing),
    ];

    fn options(line: &str) -> Result<Vec<(String, String)>, Wrong> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&KNOWN, &arguments, false).map(|parsed| parsed.options)
    }

    #[test]
    fn all_spellings_of_an_option() {
        let one = |name: &str, value: &str| Ok(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(options("--par"), one("parsable", ""));
        assert_eq!(options("-j1"), one("jobs", "1"));
        assert_eq!(options("--jobs=1"), one("jobs", "1"));
        assert_eq!(options("-J x"), one("job-name", "x"));
        assert_eq!(options("--job-name x"), one("job-name", "x"));
        assert_eq!(options("-hj1").map(|found| found.len()), Ok(2));
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(
            options("--bogus=1"),
            Err(Wrong::Unknown("--bogus".to_owned()))
        );
        assert_eq!(options("-hZ"), Err(Wrong::Unknown("-Z".to_owned())));
        assert!(matches!(options("--jo"), Err(Wrong::Ambiguous(_))));
        assert!(matches!(options("-J"), Err(Wrong::NoValue(_))));
    }

    #[test]
    fn a_script_keeps_its_own_options() {
        let arguments = ["--par", "run.sh", "-Z", "--bogus"].map(str::to_owned);
        let parsed = parse(&KNOWN, &arguments, true).expect("only the first is ours");
        assert_eq!(parsed.operands, ["run.sh", "-Z", "--bogus"]);
    }
}
