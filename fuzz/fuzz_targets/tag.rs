#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Tag;

fuzz_target!(|comment: &str| {
    let Some(tag) = Tag::in_comment(comment) else {
        return;
    };
    let words: Vec<&str> = comment.split_whitespace().collect();
    assert!(words.join(" ").contains(&tag.to_string()));
    assert_eq!(Tag::in_comment(&format!("site=x {tag};y")), Some(tag));
});
