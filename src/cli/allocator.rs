//! The allocator of the command line, through its C interface.

use std::ffi::{c_int, c_long};

// Its symbols must be there even in a program with another allocator.
use mimalloc as _;

use crate::progress::Event;

/// With less memory than this, what is freed goes back sooner.
const PLENTY: u64 = 512 << 20;

/// Milliseconds for which the allocator keeps memory that was freed, where there is plenty and where
/// there is little, and the number of its option. Its default of a second makes 10 MiB more and is
/// not faster; a tenth of a second costs a tenth of the processor's time, because the system clears
/// pages again.
const DELAY: c_long = 400;
const SHORT_DELAY: c_long = 100;
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Disables transparent huge pages: often only a small part of a page of 2 MiB is in use.
pub(super) fn take_small_pages() {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::c_ulong;

        const PR_SET_THP_DISABLE: c_int = 41;
        unsafe extern "C" {
            fn prctl(option: c_int, ...) -> c_int;
        }
        let (yes, unused): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: prctl of the C library with the arguments that prctl(2) requires; it sets a flag of
        // this process. If it fails, nothing changes.
        unsafe { prctl(PR_SET_THP_DISABLE, yes, unused, unused, unused) };
    }
}

/// Memory that was freed goes back to the system soon enough for what may be taken.
pub(super) fn spare(memory: u64) {
    give_back_after(if memory < PLENTY { SHORT_DELAY } else { DELAY });
}

/// Memory that was freed goes back to the system soon.
pub(super) fn give_back_soon() {
    give_back_after(SHORT_DELAY);
}

fn give_back_after(delay: c_long) {
    // SAFETY: a function of the allocator, as its header declares it; it sets a number.
    unsafe { mi_option_set_default(PURGE_DELAY, delay) };
}

/// Memory that was freed goes back to the system where one kind of work ends: what follows needs
/// other buffers.
pub(super) fn give_back_between(event: &Event<'_>) {
    if let Event::Committing { .. } = event {
        give_back();
    }
}

/// Returns freed memory to the system at once.
pub(super) fn give_back() {
    // SAFETY: a function of the allocator, as declared in its header; it may be called by any thread
    // at any time.
    unsafe { mi_collect(true) };
}
