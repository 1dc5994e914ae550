//! The command line of slaf.

use std::process::ExitCode;

/// The allocator of the system keeps ever more memory when large buffers come and go on several
/// threads; this one stays flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
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
