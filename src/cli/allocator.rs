//! The allocator of the command line, through its C interface.

use std::ffi::{c_int, c_long};

// Its symbols must be there even in a program with another allocator.
use mimalloc as _;

use crate::progress::Event;

/// With less memory than this, what is freed goes back sooner.
const PLENTY: u64 = 512 << 20;

/// Milliseconds for which the allocator keeps memory that was freed, and the number of its option.
/// By default it is a second, in which chunks come and go many times. A tenth of a second makes 40
/// MiB less, and costs a tenth of the processor's time, because the system clears pages again.
const PURGE_DELAY: c_long = 100;
const PURGE_DELAY_OPTION: c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Where memory is scarce, memory that was freed goes back to the system soon.
pub(super) fn spare(memory: u64) {
    if memory < PLENTY {
        give_back_soon();
    }
}

/// Memory that was freed goes back to the system soon.
pub(super) fn give_back_soon() {
    // SAFETY: a function of the allocator, as its header declares it; it sets a number.
    unsafe { mi_option_set_default(PURGE_DELAY_OPTION, PURGE_DELAY) };
}

/// Memory that was freed goes back to the system where one kind of work ends: what follows needs
/// other buffers.
pub(super) fn give_back_between(event: &Event<'_>) {
    if let Event::Committing { .. } = event {
        // SAFETY: a function of the allocator, as its header declares it, for any thread at any time.
        unsafe { mi_collect(true) };
    }
}
