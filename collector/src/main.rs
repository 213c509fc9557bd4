//! The Hostwell collector and the operator's command line.

/// A batch is taken apart into many small pieces of which some stay: under load the C library's
/// allocator spends nearly as much CPU on that as everything else together.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Few threads take memory at once, and what one of them takes another one frees: two arenas are
/// enough, and each more keeps pages of its own. What is free goes back to the kernel within a fifth
/// of a second, because hosts that catch up and thousands of handshakes need much for a moment only.
///
/// `_RJEM_MALLOC_CONF` in the environment has its way.
// SAFETY: the allocator looks for a pointer to a string that ends in a zero byte by this name,
// once, before the first allocation; nothing else has the name.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 46] = b"narenas:2,dirty_decay_ms:200,muzzy_decay_ms:0\0";

fn main() -> std::process::ExitCode {
    hostwell::cli::main()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr::{from_mut, null_mut};

    /// A setting of the allocator, of the type that its manual says.
    fn setting<T: Default>(name: &CStr) -> T {
        let (mut value, mut length) = (T::default(), size_of::<T>());
        // SAFETY: the allocator writes no more than `length` bytes, and none where it wants another
        // length; both pointers live as long as the call, and nothing is set.
        let failed = unsafe {
            let to = from_mut(&mut value).cast();
            tikv_jemalloc_sys::mallctl(name.as_ptr(), to, &mut length, null_mut(), 0)
        };
        assert_eq!(failed, 0, "{name:?}");
        value
    }

    #[test]
    fn the_allocator_works_as_it_was_told() {
        assert_eq!(setting::<u32>(c"opt.narenas"), 2);
        assert_eq!(setting::<isize>(c"opt.dirty_decay_ms"), 200);
        assert_eq!(setting::<isize>(c"opt.muzzy_decay_ms"), 0);
    }
}
