//! The Hostwell collector and operator's command line as a library.

pub mod answer;
pub mod cli;
pub mod rules;
pub mod series;
pub mod store;
