//! The Hostwell agent as a library: `hostwell up` runs it beside the collector.

pub mod sample;
