//! The tables in docs/fake-slurm.md that tests write.

use std::path::{Path, PathBuf};

use fake_slurm::Generation;

/// What to do about a text that is not what the run says.
pub(crate) const HOW: &str = "is old: run the test with UPDATE_DOCS=1";

/// Whether what a run says is to be written down, instead of being compared.
pub(crate) fn to_be_updated() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fake-slurm.md")
}

/// The page before, within and after the part of this name.
fn parts(page: &str, name: &str) -> [String; 3] {
    let begin = format!("<!-- {name}: written by the test -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has such a part");
    let (within, after) = rest.split_once("<!-- end -->").expect("it has an end");
    [
        format!("{before}{begin}"),
        within.to_owned(),
        format!("<!-- end -->{after}"),
    ]
}

/// The part of this name as it stands.
pub(crate) fn part(name: &str) -> String {
    let [_, within, _] = parts(&std::fs::read_to_string(page()).unwrap(), name);
    within
}

/// Compares the part of this name with what the run says, or writes it.
pub(crate) fn compare(name: &str, text: &str) {
    let path = page();
    let [before, old, after] = parts(&std::fs::read_to_string(&path).unwrap(), name);
    if to_be_updated() {
        std::fs::write(&path, format!("{before}{text}{after}")).unwrap();
    } else {
        let changed: Vec<&str> = text
            .lines()
            .filter(|line| old.lines().all(|known| known != *line))
            .collect();
        let changed = changed.join("\n");
        assert!(old == text, "docs/fake-slurm.md {HOW}\n{changed}");
    }
}

/// Generations as a cell of a table; none are all.
pub(crate) fn list(generations: &[Generation]) -> String {
    if generations.is_empty() {
        return "all".to_owned();
    }
    let series: Vec<&str> = generations.iter().map(|known| known.series()).collect();
    series.join(", ")
}
