//! The words the agent and the collector share: the wire contract, the metric catalogue and the
//! packed form of samples.
//!
//! `wire` is generated from `hostwell/v1/*.proto` and committed, so that nobody needs `protoc`;
//! `tests/generated.rs` regenerates it with a pure-Rust compiler and fails when it differs.

pub mod codec;
pub mod column;
pub mod id;
pub mod metric;

/// Generated messages and services. Do not edit; see `proto/tests/generated.rs`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod wire {
    include!("generated/hostwell.v1.rs");
}

/// Version of the stream's rules, sent in `Hello.protocol` and `Welcome.protocol`.
pub const PROTOCOL: u32 = 1;

/// The gRPC port agents and operators use unless told otherwise.
pub const GRPC_PORT: u16 = 7443;

/// The port of the web pages unless told otherwise.
pub const WEB_PORT: u16 = 7480;
