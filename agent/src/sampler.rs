//! When to sample, and that nothing can stop it.
//!
//! One thread sleeps to the tick, runs every probe inline, hands the readings to the spool and
//! sleeps again: one wake-up a tick. At the end of a tick it pushes a timer ahead (the dead man's
//! handle). A probe that hangs in the kernel keeps that from happening; the timer goes off, and the
//! watchdog leaves the hanging thread behind and starts another with fresh probes, without the
//! stuck one until it comes back. At most one thread hangs for each probe.
//!
//! The spool is written by the same thread, because another one would be a wake-up more; its disk
//! is watched like a probe. While it does not answer, batches wait in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::Context;
use hostwell_proto::metric::Metric;
use tokio_util::sync::CancellationToken;

use crate::probe::ProbeOptions;
use crate::sample::{Readings, Sample, SeriesTable};
use crate::source::Source;
use crate::spool::Handoff;
use crate::top::Top;

mod deadman;
mod own;
mod pressed;
mod round;
mod schedule;
mod watchdog;

use deadman::Handle;
use own::Own;
use pressed::Pressed;
use round::{Round, Stuck, Watch};
use schedule::{Now, Schedule, Tick, Turn};
use watchdog::{SPOOL_DEADLINE, deadline};

/// The agent's own readings are taken this often.
const OWN_EVERY_MS: u64 = 10_000;
/// Value of the `probe` label of the look at processes, which has a thread of its own.
const TOP: &str = "top";
/// Enough for the deepest probe, small enough not to matter.
const STACK_BYTES: usize = 512 << 10;

/// What the sampler needs to know.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// Time between two ticks.
    pub interval: Duration,
    /// What is sampled.
    pub probes: ProbeOptions,
    /// Probes that do not run.
    pub disabled: Vec<String>,
    /// How often the service manager wants a sign of life, if at all.
    pub sign_of_life: Option<Duration>,
    /// Who looks at the processes, if anybody.
    pub top: Option<Arc<Top>>,
}

/// A running sampler.
#[derive(Debug)]
pub struct Sampler {
    control: Arc<Control>,
}

#[derive(Debug)]
struct Control {
    rhythm: Rhythm,
    source: Arc<Source>,
    handoff: Arc<Handoff>,
    handle: Handle,
    start: Instant,
    stop: AtomicBool,
    /// Outlives the thread: one that takes over knows the last tick, and so what was missed since
    /// and whether the clock was set. Only the living thread asks it.
    schedule: Mutex<Schedule>,
    /// Cancelled when the last tick is in the spool.
    finished: CancellationToken,
    current: Mutex<Option<(Thread, Arc<Watch>)>>,
}

/// Starts sampling into the spool. `finished` is cancelled once a stopped sampler has handed over
/// its last tick.
///
/// # Errors
/// When the kernel gives no timer or no thread.
pub fn start(
    rhythm: Rhythm,
    source: Arc<Source>,
    handoff: Arc<Handoff>,
    finished: CancellationToken,
) -> anyhow::Result<Sampler> {
    let begun = Instant::now();
    let interval_ms = rhythm.interval.as_millis() as i64;
    let schedule = Schedule::new(interval_ms, Now::read(&source, begun));
    let control = Arc::new(Control {
        rhythm,
        source,
        handoff,
        handle: Handle::new().context("make the sampler's timer")?,
        start: begun,
        stop: AtomicBool::new(false),
        schedule: Mutex::new(schedule),
        finished,
        current: Mutex::new(None),
    });
    spawn_worker(&control, 0, Stuck::new()).context("start the sampler's thread")?;
    let watched = control.clone();
    thread::Builder::new()
        .name("watchdog".into())
        .stack_size(STACK_BYTES)
        .spawn(move || watchdog::watch(&watched))
        .context("start the sampler's watchdog")?;
    Ok(Sampler { control })
}

impl Control {
    fn now(&self) -> Now {
        Now::read(&self.source, self.start)
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        let schedule = self.schedule.lock();
        schedule.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler {
    /// Asks the sampler to hand over what it has and end.
    pub fn stop(&self) {
        self.control.stop.store(true, Ordering::Release);
        let current = self.control.current.lock();
        if let Some((thread, _)) = &*current.unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
        self.control.handle.push(Duration::ZERO);
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn_worker(control: &Arc<Control>, tick: u64, stuck: Stuck) -> std::io::Result<()> {
    let watch = Watch::new(control.start);
    let worker = Worker {
        control: control.clone(),
        watch: watch.clone(),
        tick,
        stuck,
    };
    let thread = thread::Builder::new()
        .name("sampler".into())
        .stack_size(STACK_BYTES)
        .spawn(move || worker.live())?;
    let mut current = control
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *current = Some((thread.thread().clone(), watch));
    Ok(())
}

/// One life of the sampling thread.
struct Worker {
    control: Arc<Control>,
    watch: Arc<Watch>,
    tick: u64,
    stuck: Stuck,
}

impl Worker {
    fn live(mut self) {
        let control = self.control.clone();
        let rhythm = &control.rhythm;
        let mut round = Round::new(
            control.source.clone(),
            rhythm,
            SeriesTable::clone(&control.handoff.table()),
            (self.watch.clone(), std::mem::take(&mut self.stuck)),
        );
        let (mut own, mut pressed) = (Own::default(), Pressed::default());
        let mut sample = Sample::default();
        let mut beat = Instant::now();
        let rearm = |round: &Round| {
            let ahead = Duration::from_nanos(control.schedule().ahead_ns(control.now()));
            let deadline = round.deadline_min().min(SPOOL_DEADLINE);
            control.handle.push(ahead + deadline);
        };
        rearm(&round);
        loop {
            if self.watch.abandoned() {
                return;
            }
            if control.stop.load(Ordering::Acquire) {
                break;
            }
            if let Some(every) = rhythm.sign_of_life.filter(|every| beat.elapsed() >= *every) {
                beat += every;
                crate::service::alive();
            }
            let turn = control.schedule().turn(control.now());
            match turn {
                Turn::Sleep(ns) => {
                    let nap = Duration::from_nanos(ns);
                    let beat_due = rhythm
                        .sign_of_life
                        .map(|e| e.saturating_sub(beat.elapsed()));
                    thread::park_timeout(nap.min(beat_due.unwrap_or(nap)));
                }
                Turn::Tick(tick) => {
                    if !self.tick(&tick, &mut round, &mut own, &mut sample) {
                        return;
                    }
                    if let Some(top) = &rhythm.top {
                        let pressed = pressed.look(&round.table, &sample);
                        top.tick(Instant::now(), pressed);
                    }
                    rearm(&round);
                }
            }
        }
        control.handoff.flush(control.now().wall_ns / 1_000_000);
        control.finished.cancel();
    }

    /// One tick; `false` when the watchdog has given this thread up meanwhile.
    fn tick(&mut self, tick: &Tick, round: &mut Round, own: &mut Own, sample: &mut Sample) -> bool {
        let handoff = &self.control.handoff;
        if let Some(jump_ms) = tick.jump_ms {
            tracing::warn!(
                "the clock was set by {} s; sampling goes on",
                jump_ms as f64 / 1e3
            );
            // What was sampled before does not share the fate of what a wrong clock may say.
            handoff.cut();
        }
        handoff.missed(tick.missed);
        sample.time_ms = tick.time_ms;
        sample.readings.clear();
        if !round.run(self.tick, sample) {
            return false;
        }
        let interval_ms = self.control.rhythm.interval.as_millis() as u64;
        let own_every = (OWN_EVERY_MS / interval_ms.max(1)).max(1);
        // A hole is confessed by the tick after it.
        if self.tick.is_multiple_of(own_every) || tick.missed > 0 {
            let mut out = Readings {
                table: &mut round.table,
                readings: &mut sample.readings,
            };
            own.read(&handoff.progress(), tick.time_ms, &mut out);
            let health = self.control.rhythm.top.as_ref();
            if let Some((took, well)) = health.and_then(|top| top.health(Instant::now())) {
                let seconds = took.as_micros() as f64 / 1e6;
                out.add(Metric::ProbeDuration, &[TOP], seconds);
                out.add(Metric::ProbeSuccess, &[TOP], f64::from(u8::from(well)));
            }
        }
        self.tick += 1;
        let spooled = || handoff.add(&round.table, sample, tick.time_ms);
        let wanted = self.watch.spooling(spooled);
        if !wanted {
            tracing::info!("the spool's disk answers again");
        }
        wanted
    }
}

/// Reads everything once, for `hostwell-agent once`. A probe that hangs is left behind and shows
/// as failed.
///
/// # Errors
/// When the kernel gives no thread.
pub fn once(
    source: Source,
    rhythm: &Rhythm,
    time_ms: i64,
) -> anyhow::Result<(SeriesTable, Sample)> {
    let source = Arc::new(source);
    let mut stuck = Stuck::new();
    loop {
        let watch = Watch::new(Instant::now());
        let (done, result) = std::sync::mpsc::channel();
        let mut round = Round::new(
            source.clone(),
            rhythm,
            SeriesTable::default(),
            (watch.clone(), stuck.clone()),
        );
        thread::Builder::new()
            .name("sampler".into())
            .spawn(move || {
                let mut sample = Sample {
                    time_ms,
                    readings: Vec::new(),
                };
                if round.run(0, &mut sample) {
                    let _ = done.send((round.table, sample));
                }
            })
            .context("start the sampler's thread")?;
        loop {
            if let Ok(done) = result.recv_timeout(Duration::from_millis(50)) {
                return Ok(done);
            }
            if let Some((probe, ran)) = watch.running()
                && ran >= deadline(probe)
            {
                watch.abandon();
                stuck.insert(probe, watch);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
