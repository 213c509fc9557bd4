//! The Hostwell collector and the operator's command line.
fn main() {}
