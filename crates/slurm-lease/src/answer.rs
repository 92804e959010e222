//! What came back from a command, before anybody has read it.

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit status.
    Status(i32),
    /// By this signal, which was not ours.
    Signal(i32),
    /// It was killed at its time limit.
    TimedOut,
    /// It was never started; why.
    NotStarted(String),
}

/// What came back from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout, byte for byte.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, byte for byte.
    pub stderr: Vec<u8>,
}

#[cfg(feature = "driver")]
impl Answer {
    /// One of a command that wrote nothing.
    pub(crate) fn of(exit: Exit) -> Self {
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Self {
            exit,
            stdout,
            stderr,
        }
    }
}
