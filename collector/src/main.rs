//! The Hostwell collector and the operator's command line.

fn main() -> std::process::ExitCode {
    hostwell::cli::main()
}
