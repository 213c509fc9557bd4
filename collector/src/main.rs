//! The Hostwell collector and the operator's command line.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};

/// A batch is taken apart into many small pieces of which some stay: under load the C library's
/// allocator spends nearly as much CPU on that as everything else together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Memory that is free goes back to the kernel after so many milliseconds instead of a second:
/// hosts that catch up, and thousands of handshakes, need much for a moment only.
const PURGE_DELAY_MS: c_long = 100;
/// Number 15 of the allocator's options, in each of its versions; the crate that binds it names
/// only the next one.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// Unless `MIMALLOC_PURGE_DELAY` says something.
fn give_back_early() {
    // SAFETY: writes one number of the allocator's, before there is another thread.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
}

fn main() -> std::process::ExitCode {
    give_back_early();
    hostwell::cli::main()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purge_delay_ms() -> c_long {
        // SAFETY: reads one number of the allocator's.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
    }

    #[test]
    fn the_option_that_is_set_is_the_delay_of_a_purge() {
        // What the allocator's sources say of this option, and of no other.
        assert_eq!(purge_delay_ms(), 1000);
        give_back_early();
        assert_eq!(purge_delay_ms(), PURGE_DELAY_MS);
    }
}
