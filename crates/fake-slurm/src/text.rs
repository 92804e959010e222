//! Names, comments and paths are bytes to Slurm and text to our state file.

use std::borrow::Cow;

/// The first of the 256 characters, in a private-use plane, that stand for single bytes.
const BYTE_BASE: u32 = 0x0010_FE00;

/// Bytes as text: UTF-8 as it is, every other byte as a private-use character, so that
/// [`encode`] gives the same bytes back.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let bytes = chunk.invalid().iter();
        text.extend(bytes.filter_map(|byte| char::from_u32(BYTE_BASE + u32::from(*byte))));
    }
    text
}

/// The text with a question mark for every byte that was no UTF-8.
pub(crate) fn printable(text: &str) -> String {
    let is_byte = |character: char| u32::from(character) >= BYTE_BASE;
    text.replace(is_byte, "?")
}

/// The bytes that [`decode`] read.
pub(crate) fn encode(text: &str) -> Cow<'_, [u8]> {
    // What every character from U+100000 on begins with. An answer of a megabyte seldom has one.
    if !text.as_bytes().contains(&0xF4) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character)
            .checked_sub(BYTE_BASE)
            .map(u8::try_from)
        {
            Some(Ok(byte)) => bytes.push(byte),
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            let text = decode(&bytes);
            prop_assert_eq!(encode(&text), bytes);
        }
    }
}
