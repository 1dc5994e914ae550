//! The command line of slaf.

use std::process::ExitCode;

/// The allocator of the system keeps ever more memory when large buffers come and go on several
/// threads; this one stays flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds for which the allocator keeps memory that was freed, and the number of its option.
/// By default it is a second, in which chunks come and go many times: 40 MiB more. Ten milliseconds
/// would take another 10 MiB away, and cost a tenth of the processor time.
const PURGE_DELAY: std::ffi::c_long = 100;
const PURGE_DELAY_OPTION: std::ffi::c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: std::ffi::c_int, value: std::ffi::c_long);
}

fn main() -> ExitCode {
    // SAFETY: a function of the allocator, as its header declares it; it sets a number.
    unsafe { mi_option_set_default(PURGE_DELAY_OPTION, PURGE_DELAY) };
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
