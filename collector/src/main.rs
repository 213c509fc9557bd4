//! The Hostwell collector and the operator's command line.

/// A batch is taken apart into many small pieces of which some stay: under load the C library's
/// allocator spends nearly as much CPU on that as everything else together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hostwell::cli::main()
}
