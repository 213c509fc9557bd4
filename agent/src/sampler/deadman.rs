//! The dead man's handle: a timer that the sampler pushes ahead once a tick, and that somebody else
//! waits for. As long as the sampler is alive nobody wakes up.

#[cfg(target_os = "linux")]
pub(super) use linux::Handle;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Handle;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A timer descriptor: one system call a tick to push it ahead.
    #[derive(Debug)]
    pub(crate) struct Handle(OwnedFd);

    impl Handle {
        pub(crate) fn new() -> io::Result<Handle> {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
            Ok(Handle(timer))
        }

        /// Goes off after this long unless pushed ahead again. Never disarmed: zero is "now".
        pub(crate) fn push(&self, after: Duration) {
            let after = after.max(Duration::from_nanos(1));
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let spec = Itimerspec {
                it_interval: zero,
                it_value: Timespec {
                    tv_sec: after.as_secs() as i64,
                    tv_nsec: i64::from(after.subsec_nanos()),
                },
            };
            if let Err(error) = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec) {
                tracing::debug!("cannot set the dead man's handle: {error}");
            }
        }

        /// Waits until it goes off.
        pub(crate) fn wait(&self) {
            let mut count = [0u8; 8];
            // Whatever the result: the waiter looks at the sampler itself.
            let _ = rustix::io::read(&self.0, &mut count);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// A time that the waiter sleeps towards.
    #[derive(Debug)]
    pub(crate) struct Handle(Mutex<Instant>, Condvar);

    impl Handle {
        pub(crate) fn new() -> io::Result<Handle> {
            let far = Instant::now() + Duration::from_secs(3600);
            Ok(Handle(Mutex::new(far), Condvar::new()))
        }

        pub(crate) fn push(&self, after: Duration) {
            let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = Instant::now() + after;
            let sooner = new < *at;
            *at = new;
            if sooner {
                self.1.notify_all();
            }
        }

        pub(crate) fn wait(&self) {
            let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let now = Instant::now();
                if now >= *at {
                    *at = now + Duration::from_secs(3600);
                    return;
                }
                let left = at.saturating_duration_since(now);
                at = self
                    .1
                    .wait_timeout(at, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }
}
