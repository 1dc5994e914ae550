//! `slaf completions` and `slaf man`

use clap::CommandFactory;

use super::arguments::Arguments;
use super::report::print;
use crate::error::Error;

/// Prints a completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "slaf", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the program and, after it, of each command.
pub(super) fn man() -> Result<(), Error> {
    let mut page = Vec::new();
    let command = Arguments::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        let name = format!("slaf-{}", subcommand.get_name());
        clap_mangen::Man::new(subcommand.clone().name(name)).render(&mut page)?;
    }
    print(&String::from_utf8_lossy(&page))
}
