//! What is left of a journal after a crash, a full disk or a flipped bit.

use proptest::prelude::*;
use proptest::sample::Index;
use slurm_lease::{Entry, Journal, Lease, Policy, Tip, strategies};

use crate::wreck::wrecked;

fn lines(entries: &[Entry]) -> Vec<u8> {
    strategies::render_journal(entries, &mut Tip::default())
}

/// The lease that a journal tells of, down to every field.
fn replayed(journal: &Journal) -> String {
    format!("{:?}", Lease::replay(journal, Policy::default()).unwrap())
}

/// A journal that was damaged holds a beginning of what was written and says that it is torn, or
/// can't be read; nothing else is ever believed.
fn check_damaged(entries: &[Entry], bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = lines(entries);
    if let Ok(journal) = Journal::parse(bytes) {
        prop_assert!(entries.starts_with(&journal.entries), "{journal:?}");
        prop_assert_eq!(journal.tip.length(), lines(&journal.entries).len());
        prop_assert_eq!(journal.torn, journal.tip.length() != bytes.len());
        prop_assert!(bytes.starts_with(&whole[..journal.tip.length()]));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_journal_is_read_as_it_is_written(entries in strategies::entries()) {
        let mut tip = Tip::default();
        let bytes = strategies::render_journal(&entries, &mut tip);
        prop_assert_eq!(tip.length(), bytes.len());
        let journal = Journal { entries, torn: false, tip };
        prop_assert_eq!(Journal::parse(&bytes).unwrap(), journal);
    }

    /// Cut anywhere, it tells of the state that its whole lines made; and the end that is
    /// missing may have been a submission, so that nothing is proven over by it.
    #[test]
    fn a_beginning_replays_to_a_beginning_of_the_truth(
        entries in strategies::history(), cut in any::<Index>()
    ) {
        let bytes = lines(&entries);
        let cut = cut.index(bytes.len() + 1);
        let journal = Journal::parse(&bytes[..cut]).unwrap();
        let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count();
        prop_assert_eq!(&journal.entries[..], &entries[..whole]);
        prop_assert_eq!(journal.torn, cut > 0 && bytes[cut - 1] != b'\n');
        let truth = Journal { entries: entries[..whole].to_vec(), ..journal.clone() };
        prop_assert_eq!(replayed(&journal), replayed(&truth));
        if let Some(lease) = Lease::replay(&journal, Policy::default()).unwrap() {
            prop_assert!(!(journal.torn && lease.over().is_some()));
        }
    }

    /// What is appended after a torn line was cut off continues the journal.
    #[test]
    fn a_torn_journal_goes_on_where_its_whole_lines_end(
        entries in strategies::entries(), next in strategies::entry(), cut in any::<Index>()
    ) {
        let bytes = lines(&entries);
        let journal = Journal::parse(&bytes[..cut.index(bytes.len() + 1)]).unwrap();
        let mut continued = bytes[..journal.tip.length()].to_vec();
        let mut tip = journal.tip;
        continued.extend(tip.append(&next).unwrap());
        let mut expected = journal.entries;
        expected.push(next);
        let read = Journal::parse(&continued).unwrap();
        prop_assert_eq!((read.entries, read.torn), (expected, false));
    }

    #[test]
    fn a_flipped_bit_makes_no_other_entry(
        entries in strategies::entries().prop_filter("some", |entries| !entries.is_empty()),
        flips in proptest::collection::vec((any::<Index>(), 1..=u8::MAX), 1..4)
    ) {
        let bytes = lines(&entries);
        let mut damaged = bytes.clone();
        for (at, bits) in flips {
            *at.get_mut(&mut damaged) ^= bits;
        }
        check_damaged(&entries, &damaged)?;
        if let Ok(journal) = Journal::parse(&damaged) {
            prop_assert_eq!(journal.torn, damaged != bytes);
        }
    }

    #[test]
    fn zeros_are_no_entries(
        entries in strategies::entries(), from in any::<Index>(), more in 0..100_usize
    ) {
        let mut bytes = lines(&entries);
        let from = from.index(bytes.len() + 1);
        let length = bytes.len() + more;
        bytes.truncate(from);
        bytes.resize(length, 0);
        let journal = Journal::parse(&bytes).unwrap();
        let whole = bytes[..from].iter().filter(|&&byte| byte == b'\n').count();
        prop_assert_eq!(&journal.entries[..], &entries[..whole]);
        prop_assert_eq!(journal.torn, journal.tip.length() < length);
    }

    #[test]
    fn garbage_behind_a_journal_is_not_read(
        entries in strategies::entries(), garbage in proptest::collection::vec(any::<u8>(), 1..80)
    ) {
        let mut bytes = lines(&entries);
        bytes.extend(&garbage);
        check_damaged(&entries, &bytes)?;
        if let Ok(journal) = Journal::parse(&bytes) {
            prop_assert!(journal.torn && journal.entries == entries);
        }
        prop_assert!(Journal::parse(&garbage).is_err() || Journal::parse(&garbage).unwrap().entries.is_empty());
    }

    /// A line that was lost, moved or written twice included.
    #[test]
    fn nothing_is_read_but_a_beginning_of_what_was_written(
        (entries, damaged) in strategies::entries()
            .prop_flat_map(|entries| (Just(entries.clone()), wrecked(lines(&entries))))
    ) {
        check_damaged(&entries, &damaged)?;
    }

    /// Where two journals end at the same tip, they are the same; so whoever knows the one needs
    /// not read the other.
    #[test]
    fn a_tip_tells_journals_apart(
        entries in strategies::entries().prop_filter("two", |entries| entries.len() > 1),
        lost in any::<Index>()
    ) {
        let mut others = entries.clone();
        let lost = others.remove(lost.index(entries.len() - 1));
        let tip_of = |entries: &[Entry]| Journal::parse(&lines(entries)).unwrap().tip;
        prop_assert_ne!(tip_of(&entries), tip_of(&others));
        // A line of the same length in its place is no better.
        let at = entries.iter().position(|entry| *entry == lost).unwrap();
        others.insert(at, Entry { at: lost.at + jiff::SignedDuration::from_secs(1), ..lost });
        prop_assert_ne!(tip_of(&entries), tip_of(&others));
    }
}
