//! Simulated agents: many hosts in one process, over the real protocol, with data derived from a
//! capture of one real host. `hostwell-load` is the program around it.

pub mod agent;
pub mod capture;
pub mod derive;
pub mod fleet;
pub mod latency;
pub mod script;
pub mod tally;
