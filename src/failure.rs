//! What the failures of all rooms have in common: of which kind one is, and how it is told in a line.

/// What somebody who meets a failure can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system failed: storage, memory, a fault of the program.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// An input, or an output that is in the way, is refused.
    Refused,
    /// A dataset is not as it should be.
    NotVerified,
    /// What stands in the way passes by itself: another process has the dataset.
    TryAgain,
}

/// A failure with its causes, in one line.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Many libraries repeat the cause in their own message.
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
