//! Who uses the host: the busiest processes by CPU, memory and disk, noted once a minute and more
//! often while a resource is under pressure. Evidence, not series.
//!
//! A scan opens a file of each process, which takes milliseconds on a host with hundreds of them. So
//! it has a thread of its own, which the sampler wakes: a scan that is slow or hangs delays no tick,
//! and nobody waits for it. However many processes there are, it takes at most one part in
//! [`SHARE`] of one CPU: the more a scan costs, the longer it rests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use hostwell_proto::wire;
use prost::Message;

use crate::source::Source;

#[cfg(target_os = "linux")]
mod scan;
#[cfg(target_os = "linux")]
mod services;
#[cfg(target_os = "linux")]
mod stat;
#[cfg(target_os = "linux")]
mod users;

/// Without pressure.
const CALM: Duration = Duration::from_secs(60);
/// Under pressure.
const PRESSED: Duration = Duration::from_secs(20);
/// The second scan comes soon: the first one has nothing to compare with.
const SECOND: Duration = Duration::from_secs(10);
/// Ticks come a little early or late.
const SLACK: Duration = Duration::from_millis(500);
/// A scan rests for so many times what it cost.
const SHARE: u32 = 500;
/// A scan that takes longer has hung.
const DEADLINE: Duration = Duration::from_secs(10);
/// Notes that wait while the collector is away: about an hour of them.
const NOTES_MAX: usize = 64;
/// Enough for a scan, small enough not to matter.
const STACK_BYTES: usize = 256 << 10;

/// What may be told of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether they are looked at at all.
    pub enabled: bool,
    /// Whether their command lines are told: they may hold secrets.
    pub command_line: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            enabled: true,
            command_line: false,
        }
    }
}

/// Notes on their way to the uplink, encoded, the oldest first.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<Vec<u8>>,
    lost: u32,
}

impl Shelf {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change under the lock is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a note; the oldest makes room.
    pub fn put(&self, note: &wire::ProcessNote) {
        let mut waiting = self.waiting();
        if waiting.notes.len() >= NOTES_MAX {
            waiting.notes.pop_front();
            waiting.lost = waiting.lost.saturating_add(1);
        }
        waiting.notes.push_back(note.encode_to_vec());
    }

    /// The oldest note, which says how many before it were dropped.
    pub fn take(&self) -> Option<wire::ProcessNote> {
        let mut waiting = self.waiting();
        let note = waiting.notes.pop_front()?;
        let note = wire::ProcessNote::decode(&note[..]).ok()?;
        Some(wire::ProcessNote {
            lost: std::mem::take(&mut waiting.lost),
            ..note
        })
    }
}

/// A thread that scans when it is asked.
#[derive(Debug)]
pub struct Top {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug)]
struct Shared {
    asked: AtomicBool,
    stop: AtomicBool,
    course: Mutex<Course>,
    /// What the last scan cost in CPU time.
    cost_us: AtomicU64,
}

/// How the scanning goes.
#[derive(Debug, Default)]
struct Course {
    /// When a scan was last asked for.
    asked: Option<Instant>,
    /// How many were.
    count: u64,
    /// One is under way since then.
    running: Option<Instant>,
    /// How the last one ended: how long it took, and whether it went well.
    ended: Option<(Duration, bool)>,
    /// That one hangs was said.
    said: bool,
}

impl Shared {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Top {
    /// Starts the thread; notes go onto the shelf.
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub fn start(options: Options, source: Arc<Source>, shelf: Arc<Shelf>) -> std::io::Result<Top> {
        let shared = Arc::new(Shared {
            asked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            course: Mutex::default(),
            cost_us: AtomicU64::new(0),
        });
        let asked = shared.clone();
        let thread = thread::Builder::new()
            .name("top".into())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&asked, &options, &source, &shelf))?;
        Ok(Top {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// Asks for a scan if one is due. Called at every tick; never waits.
    pub fn tick(&self, now: Instant, pressed: bool) {
        let mut course = self.shared.course();
        if let Some(since) = course.running {
            if now.saturating_duration_since(since) > DEADLINE && !course.said {
                course.said = true;
                tracing::warn!("looking at the processes does not end; sampling goes on without");
            }
            return;
        }
        let cost = Duration::from_micros(self.shared.cost_us.load(Ordering::Relaxed));
        let wait = pause(course.count, pressed, cost).saturating_sub(SLACK);
        let due = |asked: Instant| now.saturating_duration_since(asked) >= wait;
        if course.asked.is_none_or(due) {
            course.asked = Some(now);
            course.count += 1;
            course.running = Some(now);
            drop(course);
            self.shared.asked.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }

    /// How long the last scan took and whether it went well; nothing before the first.
    pub fn health(&self, now: Instant) -> Option<(Duration, bool)> {
        let course = self.shared.course();
        match course.running {
            Some(since) if now.saturating_duration_since(since) > DEADLINE => {
                Some((now.saturating_duration_since(since), false))
            }
            _ => course.ended,
        }
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// How long to rest after a scan that cost so much.
fn pause(scans: u64, pressed: bool, cost: Duration) -> Duration {
    let pace = match (scans, pressed) {
        (0 | 1, _) => SECOND,
        (_, true) => PRESSED,
        (_, false) => CALM,
    };
    pace.max(cost * SHARE)
}

#[cfg(target_os = "linux")]
fn work(shared: &Shared, options: &Options, source: &Source, shelf: &Shelf) {
    let cpu_us = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
    };
    let mut scanner = scan::Scanner::new(options.clone());
    let start = Instant::now();
    while wait(shared) {
        let (begun, before_us) = (Instant::now(), cpu_us());
        let now = || scan::Moment {
            mono_ms: start.elapsed().as_millis() as i64,
            wall_ms: source.wall_ns() / 1_000_000,
        };
        let result = scanner.scan(source, now());
        let cost_us = cpu_us().saturating_sub(before_us);
        shared.cost_us.store(cost_us, Ordering::Relaxed);
        let ended = match result {
            Ok(note) => {
                note.iter().for_each(|note| shelf.put(note));
                Some((begun.elapsed(), true))
            }
            // What is not there is no failure.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::debug!("look at the processes: {error}");
                Some((begun.elapsed(), false))
            }
        };
        tracing::debug!("looked at the processes in {cost_us} µs of CPU");
        let mut course = shared.course();
        course.running = None;
        course.ended = ended;
        if std::mem::take(&mut course.said) {
            tracing::info!("the processes can be looked at again");
        }
    }
}

/// Other systems have no files to read about processes.
#[cfg(not(target_os = "linux"))]
fn work(shared: &Shared, _: &Options, _: &Source, _: &Shelf) {
    while wait(shared) {
        shared.course().running = None;
    }
}

/// Sleeps until it is asked; `false` at the end.
fn wait(shared: &Shared) -> bool {
    loop {
        if shared.stop.load(Ordering::Acquire) {
            return false;
        }
        if shared.asked.swap(false, Ordering::AcqRel) {
            return true;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests;
