//! The command line of slaf.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::give_back_soon();
    let arguments = slaf::cli::parse();
    slaf::cli::start_log(&arguments);
    match slaf::cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slaf: error: {}", slaf::error::in_one_line(&error));
            ExitCode::from(error.exit_code() as u8)
        }
    }
}
