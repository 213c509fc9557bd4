//! The Hostwell collector and operator's command line as a library.

pub mod rules;
pub mod series;
pub mod store;
