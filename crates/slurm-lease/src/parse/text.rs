//! Reading free text that nobody escaped.

/// The longest quotation of a command's own words in a message, in bytes.
const QUOTED: usize = 600;

/// What a command said, fit for a message: one line, printable, of bounded length.
pub(crate) fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let joined = lines.join("; ");
    let mut short: String = joined
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if short.len() > QUOTED {
        let cut = (0..=QUOTED).rev().find(|&at| short.is_char_boundary(at));
        short.truncate(cut.unwrap_or(0));
        short.push('…');
    }
    short
}

/// The parts of `bytes` between occurrences of `mark`: always one more than there are marks.
pub(crate) fn split<'a>(bytes: &'a [u8], mark: &str) -> Vec<&'a [u8]> {
    let mark = mark.as_bytes();
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts.push(rest);
    parts
}

/// A field's text. Bytes that are not UTF-8 become U+FFFD, which none of our own names holds, so
/// such a field never equals one of them.
pub(crate) fn field(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The text after the last line break: the first field of a row, whatever a site's wrapper
/// printed before it.
pub(crate) fn last_line(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().rposition(|&byte| byte == b'\n');
    start.map_or(bytes, |at| &bytes[at + 1..])
}

/// Seconds since the epoch, as Slurm prints times under `SLURM_TIME_FORMAT=%s`. `N/A`, `Unknown`
/// and 0 are no time.
pub(crate) fn time(text: &str) -> Option<jiff::Timestamp> {
    let seconds: i64 = text.parse().ok().filter(|&seconds| seconds > 0)?;
    jiff::Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_short_and_printable() {
        assert_eq!(shorten(b" a\x07b \n\n c\xff\n"), "a b; c\u{fffd}");
        let long = shorten("é".repeat(5000).as_bytes());
        assert!(long.len() <= QUOTED + '…'.len_utf8() && long.ends_with('…'));
    }

    #[test]
    fn splitting_gives_one_part_more_than_marks() {
        assert_eq!(split(b"", "|~"), [b""]);
        assert_eq!(split(b"a|~b|~", "|~"), [&b"a"[..], b"b", b""]);
    }
}
