//! Which processes descend from one, as /proc has it.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::Pid;

/// The parent and the session of a process, from `/proc/PID/stat`.
fn parent_and_session(pid: i32) -> Option<(i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    (state != "Z" && state != "X").then_some((parent, session))
}

fn processes() -> BTreeMap<i32, (i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent_and_session(pid)?)))
        .collect()
}

/// The living processes below `ancestor`. With a subreaper as the ancestor these are all that it
/// ever started, whatever session they went to.
pub(crate) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let processes = processes();
    let ancestor = ancestor.as_raw_pid();
    let below = |pid: &i32| {
        let mut current = *pid;
        for _ in 0..processes.len() {
            match processes.get(&current) {
                Some((parent, _)) if *parent == ancestor => return true,
                Some((parent, _)) => current = *parent,
                None => return false,
            }
        }
        false
    };
    processes
        .keys()
        .filter(|pid| below(pid))
        .filter_map(|pid| Pid::from_raw(*pid))
        .collect()
}

/// The living processes of a session.
pub(crate) fn session_members(session: i32) -> Vec<Pid> {
    let processes = processes().into_iter();
    let members = processes.filter(|(_, (_, of))| *of == session);
    members.filter_map(|(pid, _)| Pid::from_raw(pid)).collect()
}
