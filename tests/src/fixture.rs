//! Roots of invented machines whose numbers move while an agent samples them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the numbers move: faster than any sampling interval.
const STEP: Duration = Duration::from_millis(100);

/// A root with `proc`, `sys`, `etc` and `syscalls.toml`, moved by a thread until dropped.
pub struct MovingRoot {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    mover: Option<JoinHandle<()>>,
}

impl MovingRoot {
    /// Makes a machine called `name` in `folder` and starts to move its numbers. Machines with
    /// different `speed` have different numbers.
    pub fn new(folder: &Path, name: &str, speed: u64) -> MovingRoot {
        for inner in ["proc/net", "proc/sys/kernel", "sys", "etc"] {
            std::fs::create_dir_all(folder.join(inner)).unwrap();
        }
        write_still(folder, name);
        write_moving(folder, 0, speed);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, root) = (Arc::clone(&stop), folder.to_owned());
        let mover = std::thread::spawn(move || {
            let mut step = 0;
            while !stopped.load(Ordering::Acquire) {
                step += 1;
                write_moving(&root, step, speed);
                std::thread::sleep(STEP);
            }
        });
        MovingRoot {
            folder: folder.to_owned(),
            stop,
            mover: Some(mover),
        }
    }

    /// Sets the machine's clock: so many milliseconds ahead of the real one, or behind.
    pub fn set_clock_ahead_ms(&self, ahead_ms: i64) {
        replace(self.folder.join("clock_ahead_ms"), &ahead_ms.to_string());
    }

    /// What `--fixture` wants.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for MovingRoot {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(mover) = self.mover.take() {
            drop(mover.join());
        }
    }
}

/// Replaces a file in one step, so that no reader sees half of it.
fn replace(path: PathBuf, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn write_still(folder: &Path, name: &str) {
    let write = |path: &str, content: &str| std::fs::write(folder.join(path), content).unwrap();
    write(
        "syscalls.toml",
        &format!(
            "[uname]\nsysname = \"Linux\"\nnodename = \"{name}\"\nrelease = \"6.1.0\"\n\
             version = \"#1\"\nmachine = \"x86_64\"\n\
             [statvfs.\"/\"]\nblock_bytes = 4096\nblocks = 1000000\nblocks_free = 600000\n\
             blocks_available = 550000\nfiles = 100000\nfiles_free = 90000\n"
        ),
    );
    write("etc/os-release", "PRETTY_NAME=\"An invented machine\"\n");
    std::fs::create_dir_all(folder.join("proc/1")).unwrap();
    std::fs::create_dir_all(folder.join("proc/self")).unwrap();
    let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";
    write("proc/1/mountinfo", mounts);
    write("proc/self/mountinfo", mounts);
}

/// Writes the state after `step` steps: counters that only grow, gauges that wander.
fn write_moving(folder: &Path, step: u64, speed: u64) {
    let ticks = step * speed;
    let load = (step % 400) as f64 / 100.0;
    replace(
        folder.join("proc/loadavg"),
        &format!("{load:.2} 0.50 0.25 1/200 {}\n", 1000 + step),
    );
    let cpu = |share: u64| {
        let busy = 10_000 + ticks * share;
        let idle = 90_000 + step * (100 - share.min(100));
        format!("{busy} 0 {} {idle} 50 0 7 0 0 0", busy / 3)
    };
    replace(
        folder.join("proc/stat"),
        &format!(
            "cpu  {}\ncpu0 {}\ncpu1 {}\nintr {} 0 0\nctxt {}\nbtime 1700000000\nprocesses {}\n\
             procs_running 2\nprocs_blocked 0\nsoftirq 9 1 2 3 3 0 0 0 0 0 0\n",
            cpu(5),
            cpu(3),
            cpu(2),
            50_000 + ticks * 9,
            70_000 + ticks * 11,
            4_000 + step,
        ),
    );
    let free = 4_000_000 - (step % 1000) * 1024;
    replace(
        folder.join("proc/meminfo"),
        &format!(
            "MemTotal:        8000000 kB\nMemFree:         {free} kB\nMemAvailable:    {} kB\n\
             Buffers:          100000 kB\nCached:          2000000 kB\nSwapTotal:             0 kB\n\
             SwapFree:              0 kB\n",
            free + 1_500_000,
        ),
    );
    replace(
        folder.join("proc/net/dev"),
        &format!(
            "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets \
             errs drop fifo colls carrier compressed\n  eth0: {} {} 0 0 0 0 0 0 {} {} 0 0 0 0 0 0\n",
            1_000_000 + ticks * 1500,
            1_000 + ticks,
            500_000 + ticks * 700,
            900 + ticks,
        ),
    );
    replace(
        folder.join("proc/diskstats"),
        &format!(
            "   8       0 sda {} 10 {} 300 {} 20 {} 400 0 {} 700\n",
            2_000 + ticks,
            80_000 + ticks * 8,
            3_000 + ticks * 2,
            90_000 + ticks * 16,
            5_000 + step,
        ),
    );
}
