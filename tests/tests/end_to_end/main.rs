//! The real programs together: agents, collector, command line, and the world's bad days.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reports by panicking"
)]

mod bad_input;
mod cli;
mod clock;
mod crash;
mod exchange;
mod ledger;
mod load;
mod notify;
mod parity;
mod processes;
mod stream;
mod tls;
mod upgrade;
