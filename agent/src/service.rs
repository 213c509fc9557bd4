//! What the service manager is told, where it is systemd; nothing elsewhere.

use std::time::Duration;

/// The agent has started.
pub(crate) fn ready() {
    #[cfg(target_os = "linux")]
    say(sd_notify::NotifyState::Ready);
}

/// The agent has been asked to stop.
pub(crate) fn stopping() {
    #[cfg(target_os = "linux")]
    say(sd_notify::NotifyState::Stopping);
}

/// The agent still samples.
pub(crate) fn alive() {
    #[cfg(target_os = "linux")]
    say(sd_notify::NotifyState::Watchdog);
}

/// How long the agent may be silent, if anybody listens.
pub(crate) fn silence_max() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
fn say(state: sd_notify::NotifyState<'_>) {
    // Nobody who listens is no error.
    let _ = sd_notify::notify(&[state]);
}
