//! Runs the program as a user does.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Result of a run.
#[derive(Debug)]
pub struct Run {
    /// `None` if it was ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Prepares the program with these arguments, and without settings from the environment.
pub fn slaf<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slaf"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SLAF_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Run {
    /// Runs the command to its end, which must come within a minute or two.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(180);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("{command:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Run::from(child.wait_with_output().unwrap())
    }

    /// Checks that the run succeeded.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Checks the exit code, and that there is one message and no panic.
    pub fn refused(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "a failure has no result");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.starts_with("slaf: error: ")),
            "one message is expected: {}",
            self.stderr
        );
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// `slaf convert`, quietly.
pub fn convert(input: &Path, output: &Path, flags: &[&str]) -> Command {
    let mut command = slaf(&["convert", "-q"]);
    command.arg(input).arg(output).args(flags);
    command
}
