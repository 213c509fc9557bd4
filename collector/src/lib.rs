//! The Hostwell collector and operator's command line as a library.

pub mod anomaly;
pub mod answer;
pub mod api;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod export;
pub mod forecast;
pub mod import;
pub mod indicators;
pub mod ingest;
pub mod listen;
pub mod notify;
pub mod plan;
pub mod processes;
pub mod report;
pub mod rules;
pub mod series;
pub mod serve;
pub mod store;
pub mod up;
pub mod upkeep;
pub mod web;
pub mod words;
