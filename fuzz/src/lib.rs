//! What the fuzz targets share: how an input stands for a command's answer.

use slurm_lease::{Answer, Exit, Mark};

/// The mark that every query was made with, as far as the targets are concerned.
pub fn mark() -> Mark {
    Mark::from_bits(0)
}

/// One byte for the exit, stderr up to a NUL, and stdout: the form that `scripts/fuzz` gives the
/// recordings of real Slurm.
pub fn answer(input: &[u8]) -> Option<Answer> {
    let (&exit, texts) = input.split_first()?;
    let exit = match exit {
        250 => Exit::TimedOut,
        251 => Exit::Signal(9),
        252 => Exit::NotStarted("no such file".to_owned()),
        status => Exit::Status(status.into()),
    };
    let end = texts.iter().position(|&byte| byte == 0)?;
    Some(Answer {
        exit,
        stderr: texts[..end].to_vec(),
        stdout: texts[end + 1..].to_vec(),
    })
}

/// The answer of which only the first half of stdout arrived.
pub fn halved(answer: &Answer) -> Answer {
    let mut half = answer.clone();
    half.stdout.truncate(answer.stdout.len() / 2);
    half
}

/// The text with the right sum in each of its lines: what no fuzzer would find by itself.
pub fn sealed(text: &[u8]) -> Vec<u8> {
    let mut sum = 0xcbf2_9ce4_8422_2325;
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.flat_map(|line| sealed_line(line, &mut sum)).collect()
}

fn sealed_line(line: &[u8], sum: &mut u64) -> Vec<u8> {
    let Some(members) = line.strip_suffix(b"}\n") else {
        return line.to_vec();
    };
    let object = [members, b"}"].concat();
    for &byte in &object {
        *sum = (*sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let end = format!(",\"sum\":\"{sum:016x}\"}}\n");
    [members, end.as_bytes()].concat()
}

/// The reverse of [`sealed`].
pub fn unsealed(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let open = |line: &[u8]| {
        let key = b",\"sum\":\"";
        let at = line.windows(key.len()).rposition(|part| part == key);
        at.map_or_else(|| line.to_vec(), |at| [&line[..at], b"}\n"].concat())
    };
    lines.flat_map(open).collect()
}

#[cfg(test)]
mod tests {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    use slurm_lease::{Journal, Tip, strategies};

    use super::*;

    #[test]
    fn sealing_is_what_the_library_does() {
        let mut runner = TestRunner::deterministic();
        let history = strategies::history()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let written = strategies::render_journal(&history, &mut Tip::default());
        assert_ne!(unsealed(&written), written);
        assert_eq!(sealed(&unsealed(&written)), written);
        assert_eq!(Journal::parse(&written).unwrap().entries, history);
    }
}
