//! A fleet on which nothing is wrong: what nobody may be told of.
//!
//! Each host works by day and rests by night, is backed up at one, fills its disk by some megabytes a
//! day and frees them when logs are rotated. Its level, its noise and its minutes are its own.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use crate::load::derive::Random;

/// Hosts of the fleet.
pub const HOSTS: u64 = 12;
/// When it begins, Unix milliseconds: a Monday.
pub const BEGIN_MS: u64 = 1_788_739_200_000;
/// Between two samples.
pub const STEP_MS: u64 = 60_000;

const DAY_S: f64 = 86_400.0;
const CPUS: f64 = 4.0;
const GIB: f64 = 1_073_741_824.0;

const HEADER: &str = "unix_ms,\
    \"node_cpu_seconds_total{cpu=\"\"0\"\",mode=\"\"user\"\"}\",\
    \"node_cpu_seconds_total{cpu=\"\"0\"\",mode=\"\"iowait\"\"}\",\
    \"node_cpu_seconds_total{cpu=\"\"0\"\",mode=\"\"idle\"\"}\",\
    node_load1,node_memory_MemTotal_bytes,node_memory_MemAvailable_bytes,\
    node_memory_SwapTotal_bytes,node_memory_SwapFree_bytes,\
    \"node_filesystem_size_bytes{device=\"\"/dev/sda1\"\",fstype=\"\"ext4\"\",mountpoint=\"\"/\"\"}\",\
    \"node_filesystem_avail_bytes{device=\"\"/dev/sda1\"\",fstype=\"\"ext4\"\",mountpoint=\"\"/\"\"}\",\
    \"node_disk_io_time_seconds_total{device=\"\"sda\"\"}\",\
    \"node_disk_reads_completed_total{device=\"\"sda\"\"}\",\
    \"node_disk_writes_completed_total{device=\"\"sda\"\"}\",\
    \"node_network_receive_bytes_total{device=\"\"eth0\"\"}\",\
    \"node_network_transmit_bytes_total{device=\"\"eth0\"\"}\",\
    hostwell_uptime_seconds\n";

/// One host's past, as a wide CSV table: `hostwell import csv`.
pub fn table(host: u64, days: u64) -> String {
    let mut random = Random::new(0x5eed_0f0a_0113_7b1e ^ host.wrapping_mul(0xd134_2543_de82_ef95));
    let mut one = Host::new(&mut random);
    let mut text = String::from(HEADER);
    for minute in 0..days * 1440 {
        one.step(minute as f64 * 60.0, &mut random);
        let _ = write!(text, "{}", BEGIN_MS + minute * STEP_MS);
        for value in one.values() {
            let _ = write!(text, ",{value}");
        }
        text.push('\n');
    }
    text
}

/// About a normal distribution, of standard deviation one.
fn noise(random: &mut Random) -> f64 {
    (0..12).map(|_| random.part()).sum::<f64>() - 6.0
}

struct Host {
    level: f64,
    course: f64,
    busiest_s: f64,
    grows: f64,
    /// User, waiting, idle, seconds.
    cpu: [f64; 3],
    load: f64,
    available: f64,
    free: f64,
    /// Seconds, reads, writes.
    disk: [f64; 3],
    network: [f64; 2],
    up_s: f64,
}

impl Host {
    fn new(random: &mut Random) -> Host {
        Host {
            level: 0.06 + 0.1 * random.part(),
            course: 0.1 + 0.15 * random.part(),
            busiest_s: (12.0 + 4.0 * random.part()) * 3600.0,
            grows: (20.0 + 60.0 * random.part()) * 1e6,
            cpu: [4e5, 1e3, 4e6],
            load: 0.5,
            available: (8.0 + 4.0 * random.part()) * GIB,
            free: (45.0 + 30.0 * random.part()) * GIB,
            disk: [1e4, 1e6, 4e6],
            network: [1e11, 8e10],
            up_s: 1e6 * (1.0 + random.part()),
        }
    }

    fn step(&mut self, now_s: f64, random: &mut Random) {
        let of_day_s = now_s % DAY_S;
        let weekend = (now_s / DAY_S) as u64 % 7 >= 5;
        let work = (0.5 + 0.5 * ((of_day_s - self.busiest_s) / DAY_S * TAU).cos()).powi(2);
        let work = if weekend { 0.4 * work } else { work };
        let backup = (3600.0..4800.0).contains(&of_day_s);
        let busy = self.level + self.course * work + if backup { 0.2 } else { 0.0 };
        let busy = (busy * (1.0 + 0.1 * noise(random))).clamp(0.01, 0.7);
        let waits = if backup { 0.03 } else { 0.002 };
        for (sum, part) in self.cpu.iter_mut().zip([busy, waits, 1.0 - busy - waits]) {
            *sum += part * 60.0;
        }
        self.load += (busy * CPUS - self.load) * 0.63;
        let target = (9.0 - 2.0 * busy) * GIB;
        self.available += (target - self.available) * 0.02 + 0.01 * GIB * noise(random);
        let rotated = (now_s + 60.0) % (7.0 * DAY_S) < 60.0;
        self.free -= self.grows / 1440.0;
        self.free += if rotated { self.grows * 6.0 } else { 0.0 };
        let asked = (20.0 + 400.0 * busy) * (1.0 + 0.2 * noise(random)).max(0.1);
        let disk = [asked * 60.0 * 0.0004, asked * 20.0, asked * 40.0];
        for (sum, more) in self.disk.iter_mut().zip(disk) {
            *sum += more;
        }
        let bytes = 2e6 * busy * (1.0 + 0.2 * noise(random)).max(0.1) * 60.0;
        self.network[0] += bytes;
        self.network[1] += bytes * 0.7;
        self.up_s += 60.0;
    }

    fn values(&self) -> [f64; 16] {
        let hundredths = |seconds: f64| (seconds * 100.0).round() / 100.0;
        let pages = |bytes: f64| (bytes / 4096.0).round() * 4096.0;
        let [user, waits, idle] = self.cpu.map(hundredths);
        let [busy, reads, writes] = self.disk;
        let [received, sent] = self.network.map(f64::round);
        [
            user,
            waits,
            idle,
            hundredths(self.load),
            16.0 * GIB,
            pages(self.available),
            2.0 * GIB,
            2.0 * GIB,
            100.0 * GIB,
            pages(self.free),
            hundredths(busy),
            reads.round(),
            writes.round(),
            received,
            sent,
            self.up_s.round(),
        ]
    }
}
