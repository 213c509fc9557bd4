//! End-to-end tests: the harness that starts the real programs, cuts their connection, kills them,
//! and reads what the store holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness reports by panicking: the panic is the test's failure"
)]

pub mod ca;
pub mod exposition;
pub mod figures;
pub mod fixture;
pub mod holdings;
pub mod http;
pub mod load;
pub mod process;
pub mod program;
pub mod proxy;
pub mod quiet;
pub mod relay;
pub mod runs;
pub mod site;
pub mod skip;
pub mod source;
pub mod speaker;
pub mod wait;
