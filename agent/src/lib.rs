//! The Hostwell agent as a library: `hostwell up` runs it beside the collector.

pub mod expose;
pub mod facts;
pub mod probe;
pub mod sample;
pub mod source;
