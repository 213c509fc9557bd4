//! The Hostwell agent.
fn main() {}
