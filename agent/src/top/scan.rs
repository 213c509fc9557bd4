//! One look at all processes, held against the one before.

use std::os::fd::OwnedFd;

use hostwell_proto::wire::{BusyProcess, BusyService, DiskSource, ProcessNote};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::Options;
use super::services::{Services, Used};
use super::stat::{self, NAME_BYTES, Stat};
use super::users::Users;
use crate::source::Source;

/// How many of each kind are told.
const TOP: usize = 5;
/// Most processes looked at.
const PROCESSES_MAX: usize = 32_768;
/// Most bytes of a command line.
const COMMAND_BYTES_MAX: usize = 256;
/// The kernel counts CPU time in hundredths of a second, for programs, everywhere.
const TICK_MS: u64 = 10;
/// From a process to the one that waited for it: no more steps.
const ANCESTORS_MAX: usize = 32;
/// Boot times that differ by less are the same: both clocks are read one after the other.
const BOOT_SLACK_MS: i64 = 2_000;

/// A moment by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Runs evenly.
    pub(super) mono_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub(super) wall_ms: i64,
}

/// Whether the kernel shows what a process does to disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Shown,
    Denied,
    /// It has no such account.
    Hollow,
}

/// What is kept of a process until the next scan. Numbers wrap: only their differences count.
#[derive(Clone, Copy, Debug)]
struct Seen {
    pid: u32,
    started: u32,
    parent: u32,
    cpu: u32,
    children: u32,
    read_kib: u32,
    written_kib: u32,
    disk: Disk,
}

/// A process in this scan, and what it used since the one before.
#[derive(Clone, Copy, Debug)]
struct Row {
    seen: Seen,
    started: u64,
    name: [u8; NAME_BYTES],
    resident_pages: u64,
    cpu: u32,
    children: u32,
    read_kib: u32,
    written_kib: u32,
}

impl Row {
    fn all_cpu(&self) -> u64 {
        u64::from(self.cpu) + u64::from(self.children)
    }

    fn traffic(&self) -> u64 {
        u64::from(self.read_kib) + u64::from(self.written_kib)
    }
}

/// When the scan before was.
#[derive(Clone, Copy, Debug)]
struct Before {
    mono_ms: i64,
    /// Time since boot then, in the kernel's hundredths of a second.
    uptime: u64,
}

/// Looks at all processes, again and again.
#[derive(Debug)]
pub(super) struct Scanner {
    options: Options,
    /// By number.
    seen: Vec<Seen>,
    before: Option<Before>,
    users: Users,
    services: Services,
    boot_ms: i64,
    cpus: Option<u64>,
}

impl Scanner {
    pub(super) fn new(options: Options) -> Scanner {
        Scanner {
            options,
            seen: Vec::new(),
            before: None,
            users: Users::default(),
            services: Services::default(),
            boot_ms: 0,
            cpus: None,
        }
    }

    /// Looks at all processes. Nothing to tell the first time.
    ///
    /// # Errors
    /// `NotFound` where there are none: a recorded machine, a system without them.
    pub(super) fn scan(
        &mut self,
        source: &Source,
        now: Moment,
    ) -> std::io::Result<Option<ProcessNote>> {
        self.users.begin();
        let uptime = uptime(source)?;
        let boot_ms = now.wall_ms - (uptime * TICK_MS) as i64;
        if self.boot_ms.abs_diff(boot_ms) > BOOT_SLACK_MS as u64 {
            self.boot_ms = boot_ms;
        }
        let folder = open_folder(source)?;
        let (mut rows, passed_over) = self.rows(source, &folder)?;
        if rows.is_empty() {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        let before = self.before.replace(Before {
            mono_ms: now.mono_ms,
            uptime,
        });
        let gone = self.compare(&mut rows, before.map_or(u64::MAX, |b| b.uptime));
        let span_ms = before.map_or(0, |b| now.mono_ms - b.mono_ms);
        let possible = self.possible(source, span_ms);
        credit(&self.seen, &gone, &mut rows, possible);
        let denied = rows.iter().any(|row| row.seen.disk == Disk::Denied);
        let services = denied.then(|| self.services.read(source)).flatten();
        self.seen = rows.iter().map(|row| row.seen).collect();
        if before.is_none() || span_ms <= 0 {
            return Ok(None);
        }
        let source_of_disk = match (denied, &services) {
            (false, _) => DiskSource::Process,
            (true, Some(_)) => DiskSource::Service,
            (true, None) => DiskSource::None,
        };
        let chosen = chosen(&rows, source_of_disk == DiskSource::Process);
        let processes = chosen
            .iter()
            .map(|row| self.told(source, &folder, row, span_ms));
        Ok(Some(ProcessNote {
            time_ms: now.wall_ms,
            span_ms: u32::try_from(span_ms).unwrap_or(u32::MAX),
            looked_at: rows.len() as u32,
            passed_over: u32::try_from(passed_over).unwrap_or(u32::MAX),
            lost: 0,
            disk_source: source_of_disk.into(),
            processes: processes.collect(),
            services: busiest(services.unwrap_or_default(), span_ms),
        }))
    }

    /// Every process, by number; how many there are beyond those looked at.
    fn rows(&self, source: &Source, folder: &OwnedFd) -> std::io::Result<(Vec<Row>, usize)> {
        let mut rows = Vec::with_capacity(self.seen.len() + 16);
        let mut passed_over = 0;
        let mut path = String::new();
        for entry in std::fs::read_dir(source.path("proc"))? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            let Some(pid) = pid else { continue };
            if rows.len() >= PROCESSES_MAX {
                passed_over += 1;
                continue;
            }
            path.clear();
            path.push_str(&pid.to_string());
            let digits = path.len();
            path.push_str("/stat");
            let mut line = [0u8; 1024];
            // It may have ended meanwhile.
            let Some(stat) = read(folder, &path, &mut line).and_then(stat::parse) else {
                continue;
            };
            path.truncate(digits);
            rows.push(self.row(folder, &mut path, pid, &stat));
        }
        rows.sort_unstable_by_key(|row| row.seen.pid);
        Ok((rows, passed_over))
    }

    fn row(&self, folder: &OwnedFd, path: &mut String, pid: u32, stat: &Stat) -> Row {
        let known = find(&self.seen, pid).filter(|seen| seen.started == stat.started as u32);
        // What was denied once is not asked again: it costs as much as an answer.
        let (disk, (read_kib, written_kib)) = match known.map(|seen| seen.disk) {
            _ if stat.hollow => (Disk::Hollow, (0, 0)),
            Some(Disk::Denied) => (Disk::Denied, (0, 0)),
            _ => {
                path.push_str("/io");
                let mut text = [0u8; 512];
                let io = read(folder, path, &mut text).and_then(stat::parse_io);
                io.map_or((Disk::Denied, (0, 0)), |(read, written)| {
                    (Disk::Shown, ((read >> 10) as u32, (written >> 10) as u32))
                })
            }
        };
        Row {
            seen: Seen {
                pid,
                started: stat.started as u32,
                parent: stat.parent,
                cpu: stat.cpu as u32,
                children: stat.children as u32,
                read_kib,
                written_kib,
                disk,
            },
            started: stat.started,
            name: stat.name,
            resident_pages: stat.resident_pages,
            cpu: 0,
            children: 0,
            read_kib: 0,
            written_kib: 0,
        }
    }

    /// Fills in what processes used since the scan before. What began since then used all of it since
    /// then. Answers who has gone.
    fn compare(&self, rows: &mut [Row], before: u64) -> Vec<Seen> {
        for row in rows.iter_mut() {
            let now = row.seen;
            let known = find(&self.seen, now.pid).filter(|seen| seen.started == now.started);
            let since = match known {
                Some(known) => *known,
                None if row.started >= before => Seen {
                    cpu: 0,
                    children: 0,
                    read_kib: 0,
                    written_kib: 0,
                    ..now
                },
                None => now,
            };
            row.cpu = now.cpu.wrapping_sub(since.cpu);
            row.children = now.children.wrapping_sub(since.children);
            if since.disk == now.disk {
                row.read_kib = now.read_kib.wrapping_sub(since.read_kib);
                row.written_kib = now.written_kib.wrapping_sub(since.written_kib);
            }
        }
        let stays = |seen: &&Seen| {
            let at = rows.binary_search_by_key(&seen.pid, |row| row.seen.pid);
            at.is_ok_and(|at| rows[at].seen.started == seen.started)
        };
        self.seen
            .iter()
            .filter(|seen| !stays(seen))
            .copied()
            .collect()
    }

    /// Most CPU time that all CPUs together can have given in so long.
    fn possible(&mut self, source: &Source, span_ms: i64) -> u64 {
        let cpus = *self.cpus.get_or_insert_with(|| {
            let stat = source.text("proc/stat").unwrap_or_default();
            let is_cpu = |line: &&str| {
                line.strip_prefix("cpu")
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            stat.lines().filter(is_cpu).count().max(1) as u64
        });
        // A tenth more: both are counted in steps.
        (span_ms.max(0) as u64 * cpus * 11 / 10 / TICK_MS).saturating_add(2)
    }

    fn told(&mut self, source: &Source, folder: &OwnedFd, row: &Row, span_ms: i64) -> BusyProcess {
        let pid = row.seen.pid;
        let milli = |ticks: u32| {
            let milli = u64::from(ticks) * TICK_MS * 1000 / span_ms.max(1) as u64;
            u32::try_from(milli).unwrap_or(u32::MAX)
        };
        let each_second = |kib: u32| u64::from(kib) * 1024 * 1000 / span_ms.max(1) as u64;
        let owner = rustix::fs::statat(folder, pid.to_string(), AtFlags::empty());
        let length = row.name.iter().position(|b| *b == 0).unwrap_or(NAME_BYTES);
        BusyProcess {
            pid,
            name: text(&row.name[..length]),
            user: owner.map_or_else(|_| String::new(), |o| self.users.name(source, o.st_uid)),
            started_ms: self.boot_ms + (row.started * TICK_MS) as i64,
            cpu_milli: milli(row.cpu),
            children_milli: milli(row.children),
            resident_bytes: rounded(row.resident_pages * source.page_bytes()),
            read_bytes_per_second: each_second(row.read_kib),
            write_bytes_per_second: each_second(row.written_kib),
            command: match self.options.command_line {
                true => command(folder, pid),
                false => String::new(),
            },
        }
    }
}

/// Gives the CPU time of children that have ended to whoever waited for them.
///
/// The kernel adds all that a child ever used when its parent has waited for it. What the scan before
/// saw it use was told then; so it is taken off whoever of its ancestors is still there. What is left
/// is what ended children used since: also of those that no scan ever saw. More than `possible`
/// cannot have been used: then a parent ended before its child, and somebody else waited for it.
fn credit(before: &[Seen], gone: &[Seen], rows: &mut [Row], possible: u64) {
    for one in gone {
        let mut parent = one.parent;
        for _ in 0..ANCESTORS_MAX {
            let Some(known) = find(before, parent) else {
                break;
            };
            let at = rows.binary_search_by_key(&parent, |row| row.seen.pid);
            if let Ok(at) = at
                && rows[at].seen.started == known.started
            {
                let told = one.cpu.wrapping_add(one.children);
                rows[at].children = rows[at].children.saturating_sub(told);
                break;
            }
            parent = known.parent;
        }
    }
    for row in rows {
        if u64::from(row.children) > possible {
            row.children = 0;
        }
        // A process whose number was taken by another one within the second, or a clock gone wrong.
        if u64::from(row.cpu) > possible {
            row.cpu = 0;
        }
    }
}

/// The busiest of each kind, each once.
fn chosen(rows: &[Row], by_disk: bool) -> Vec<&Row> {
    let mut chosen: Vec<&Row> = Vec::new();
    let mut choose = |uses: &dyn Fn(&Row) -> u64| {
        let mut most: Vec<&Row> = Vec::with_capacity(TOP + 1);
        for row in rows.iter().filter(|row| uses(row) > 0) {
            if most.len() == TOP && most.last().is_some_and(|last| uses(last) >= uses(row)) {
                continue;
            }
            let at = most.partition_point(|other| uses(other) >= uses(row));
            most.insert(at, row);
            most.truncate(TOP);
        }
        for row in most {
            if chosen.iter().all(|other| other.seen.pid != row.seen.pid) {
                chosen.push(row);
            }
        }
    };
    choose(&|row| row.all_cpu());
    choose(&|row| row.resident_pages);
    if by_disk {
        choose(&|row| row.traffic());
    }
    chosen
}

/// The services with the most traffic.
fn busiest(mut services: Vec<Used>, span_ms: i64) -> Vec<BusyService> {
    let traffic = |one: &Used| one.read.saturating_add(one.written);
    services.retain(|one| traffic(one) > 0);
    services.sort_by(|a, b| (traffic(b), &a.name).cmp(&(traffic(a), &b.name)));
    services.truncate(TOP);
    let each_second = |bytes: u64| (u128::from(bytes) * 1000 / span_ms.max(1) as u128) as u64;
    let told = |one: Used| BusyService {
        read_bytes_per_second: each_second(one.read),
        write_bytes_per_second: each_second(one.written),
        name: one.name,
    };
    services.into_iter().map(told).collect()
}

fn find(seen: &[Seen], pid: u32) -> Option<&Seen> {
    let at = seen.binary_search_by_key(&pid, |seen| seen.pid).ok()?;
    seen.get(at)
}

fn open_folder(source: &Source) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(source.path("proc"), flags, Mode::empty())?)
}

/// A file of a process, as far as it fits: three system calls.
fn read<'a>(folder: &OwnedFd, path: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, path, flags, Mode::empty()).ok()?;
    let length = rustix::io::read(&file, &mut *buffer).ok()?;
    buffer.get(..length)
}

/// Hundredths of a second since boot.
fn uptime(source: &Source) -> std::io::Result<u64> {
    let text = source.text("proc/uptime")?;
    let seconds = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    let seconds = seconds.filter(|s| (0.0..1e12).contains(s));
    seconds.map_or_else(
        || Err(std::io::ErrorKind::InvalidData.into()),
        |seconds| Ok((seconds * 100.0) as u64),
    )
}

/// How a process was started, words apart by a blank.
fn command(folder: &OwnedFd, pid: u32) -> String {
    let mut buffer = [0u8; COMMAND_BYTES_MAX];
    let line = read(folder, &format!("{pid}/cmdline"), &mut buffer).unwrap_or_default();
    let words = line.split(|b| *b == 0).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(text).collect();
    cut(&words.join(" "), COMMAND_BYTES_MAX)
}

/// Bytes as text; what is not UTF-8 is replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The beginning of a text that fits into so many bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Eight binary digits of it: memory that hardly changes stays the same number, which packs well.
fn rounded(bytes: u64) -> u64 {
    let shift = (u64::BITS - bytes.leading_zeros()).saturating_sub(8);
    bytes >> shift << shift
}

#[cfg(test)]
mod tests;
