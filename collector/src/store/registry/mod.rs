//! The registry half: hosts, findings, when the collector watched. Small and transactional.

pub(super) mod care;
pub(super) mod edit;
pub(super) mod findings;
pub(super) mod hosts;
pub(super) mod known;
pub(super) mod outbox;
pub(super) mod watch;
