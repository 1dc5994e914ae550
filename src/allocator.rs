//! The allocator of the command line.

use std::ffi::{c_int, c_long};

/// The allocator of the system keeps ever more memory when large buffers come and go on several
/// threads; this one stays flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds for which the allocator keeps memory that was freed, and the number of its option.
/// By default it is a second, in which chunks come and go many times: 40 MiB more. Ten milliseconds
/// would take another 10 MiB away, and cost a tenth of the processor time.
const PURGE_DELAY: c_long = 100;
const PURGE_DELAY_OPTION: c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Memory that was freed goes back to the system soon.
pub fn give_back_soon() {
    // SAFETY: a function of the allocator, as its header declares it; it sets a number.
    unsafe { mi_option_set_default(PURGE_DELAY_OPTION, PURGE_DELAY) };
}
