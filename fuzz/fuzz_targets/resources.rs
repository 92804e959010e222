#![no_main]

use libfuzzer_sys::fuzz_target;
use slurm_lease::Resources;

/// The lines of the text are the values in turn; what is left are further options.
fn resources(text: &str) -> Resources {
    let mut lines = text.lines().map(str::to_owned);
    let mut next = || lines.next().filter(|line| !line.is_empty());
    Resources {
        account: next(),
        partition: next(),
        qos: next(),
        cpus: next(),
        mem: next(),
        time_limit: next(),
        gres: next(),
        nodes: next(),
        constraint: next(),
        reservation: next(),
        extra: lines.collect(),
    }
}

fuzz_target!(|text: &str| {
    let resources = resources(text);
    let Ok(options) = resources.options() else {
        return;
    };
    let (own, extra) = options.split_at(options.len() - resources.extra.len());
    assert_eq!(extra, resources.extra);
    for option in own {
        assert!(
            option.starts_with("--") && !option.contains(char::is_control),
            "{option:?}"
        );
    }
    // Behind a word that is no option nothing of ours would be read.
    let free = |pair: &[String]| !pair[0].starts_with('-') && !pair[1].starts_with('-');
    assert!(!extra.windows(2).any(free), "{extra:?}");
    // sbatch takes any beginning of an option's name for it.
    let names = extra
        .iter()
        .filter_map(|word| word.strip_prefix("--")?.split('=').next());
    for name in names {
        let refused = ["wrap", "array", "clusters", "uid", "parsable", "comment"];
        assert!(
            !refused.iter().any(|refused| refused.starts_with(name)),
            "{extra:?}"
        );
    }
});
