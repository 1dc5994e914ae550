//! Command line of slaf.

use std::process::ExitCode;

/// The system allocator retains more and more memory when several threads allocate and free large
/// buffers; memory use of this one stays flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = slaf::cli::parse();
    slaf::cli::start_log(&arguments);
    match slaf::cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slaf: error: {}", slaf::error::in_one_line(&error));
            if let Some(line) = error.line_of_query() {
                eprintln!("{line}");
            }
            ExitCode::from(error.kind().exit_code())
        }
    }
}
