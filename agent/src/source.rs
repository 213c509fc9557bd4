//! Where readings come from: kernel files under a root prefix, and the few system calls beside
//! them. `live` really asks the kernel; `fixture` answers from a folder, so that the whole agent
//! runs on the trees in tests/fixtures.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;

#[cfg(target_os = "linux")]
mod live;

/// Most small files fit.
const TEXT_BYTES: usize = 1024;
/// No file that is read in one piece as text is longer.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// A root prefix and the system calls beside it.
#[derive(Clone, Debug)]
pub struct Source {
    root: PathBuf,
    fixture: Option<Arc<SystemCalls>>,
}

/// What `statvfs` says of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesystemStat {
    /// Bytes in a block of the three counts below.
    pub block_bytes: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks free.
    pub blocks_free: u64,
    /// Blocks free for those who are not root.
    pub blocks_available: u64,
    /// Inodes in all; 0 where the file system has no such limit.
    pub files: u64,
    /// Inodes free.
    pub files_free: u64,
    /// Whether it is mounted read-only.
    pub readonly: bool,
}

/// What `adjtimex` says of the clock, in the kernel's own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockState {
    /// The call's result: 5 (`TIME_ERROR`) means not synchronised.
    pub state: i64,
    /// Status bits; 0x2000 says that `offset` is in nanoseconds, else microseconds.
    pub status: i64,
    /// Difference to the reference clock.
    pub offset: i64,
    /// Frequency correction in units of 2^-16 parts per million.
    pub frequency: i64,
    /// Upper bound of the error, microseconds.
    pub maxerror: i64,
    /// Estimated error, microseconds.
    pub esterror: i64,
    /// Time constant of the phase-locked loop.
    pub constant: i64,
    /// Microseconds between clock ticks.
    pub tick: i64,
    /// Seconds between international atomic time and universal time.
    pub tai: i64,
}

/// What `uname` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelName {
    /// "Linux".
    pub sysname: String,
    /// The host's own name.
    pub nodename: String,
    /// Kernel release.
    pub release: String,
    /// Kernel build.
    pub version: String,
    /// Hardware.
    pub machine: String,
    /// NIS domain, usually "(none)".
    pub domainname: String,
}

/// A fixture's answers: `DIR/syscalls.toml`. What is not in the file counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SystemCalls {
    /// The wall clock stands still here, milliseconds since the Unix epoch, for all but the ticks.
    now_ms: Option<i64>,
    /// Bytes in a memory page.
    page_bytes: Option<u64>,
    uname: Option<KernelName>,
    adjtimex: Option<ClockState>,
    /// By mount point.
    statvfs: BTreeMap<String, FilesystemAnswer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux asks statvfs")
)]
struct FilesystemAnswer {
    #[serde(flatten)]
    stat: FilesystemStat,
    /// Never answers, like a dead network file system.
    hangs: bool,
    /// Fails with this error number.
    errno: Option<i32>,
}

impl Source {
    /// The kernel of this machine, with its files under `root` (`/`, or `/host` in a container).
    pub fn live(root: &Path) -> Source {
        Source {
            root: root.to_path_buf(),
            fixture: None,
        }
    }

    /// A folder with `proc`, `sys`, `etc` and, beside them, `syscalls.toml`. Without that file
    /// every system call counts as absent.
    ///
    /// # Errors
    /// The folder is not there, or `syscalls.toml` does not parse.
    pub fn fixture(dir: &Path) -> anyhow::Result<Source> {
        anyhow::ensure!(
            dir.is_dir(),
            "open fixture {}: no such folder",
            dir.display()
        );
        let path = dir.join("syscalls.toml");
        let calls = match std::fs::read_to_string(&path) {
            Ok(text) => {
                toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => SystemCalls::default(),
            Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
        };
        Ok(Source {
            root: dir.to_path_buf(),
            fixture: Some(Arc::new(calls)),
        })
    }

    /// Whether the answers come from a folder. Files of a fixture are opened anew at every read,
    /// because a test replaces them; those of the kernel are kept open.
    pub fn is_fixture(&self) -> bool {
        self.fixture.is_some()
    }

    /// Where `relative` (such as `proc/stat`) lies under the root prefix.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative.trim_start_matches('/'))
    }

    /// A small text file under the root prefix, without the white space around it.
    ///
    /// # Errors
    /// As the operating system reports them.
    pub fn text(&self, relative: &str) -> io::Result<String> {
        let mut file = std::fs::File::open(self.path(relative))?;
        // Three system calls, where `fs::read` makes five: a read that leaves room was the last.
        let mut text = vec![0; TEXT_BYTES];
        let mut filled = 0;
        loop {
            let got = io::Read::read(&mut file, &mut text[filled..])?;
            filled += got;
            if got == 0 || filled < text.len() {
                break;
            }
            if filled >= TEXT_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            text.resize(filled * 2, 0);
        }
        Ok(String::from_utf8_lossy(&text[..filled]).trim().to_owned())
    }

    /// The wall clock, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        let stopped_ms = self.fixture.as_ref().and_then(|f| f.now_ms);
        stopped_ms.unwrap_or_else(|| self.wall_ns() / 1_000_000)
    }

    /// The wall clock that ticks are aligned to, nanoseconds since the Unix epoch. A fixture's runs
    /// too, ahead of this machine's by what its file `clock_ahead_ms` says at this moment.
    pub fn wall_ns(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let wall_ns = since.map_or(0, |d| d.as_nanos() as i64);
        if self.fixture.is_none() {
            return wall_ns;
        }
        let ahead_ms = self
            .text("clock_ahead_ms")
            .ok()
            .and_then(|t| t.parse().ok());
        wall_ns.saturating_add(ahead_ms.unwrap_or(0i64).saturating_mul(1_000_000))
    }

    /// Bytes in a memory page.
    pub fn page_bytes(&self) -> u64 {
        match &self.fixture {
            Some(fixture) => fixture.page_bytes.unwrap_or(4096),
            None => live_page_bytes(),
        }
    }
}

#[cfg(target_os = "linux")]
fn live_page_bytes() -> u64 {
    live::page_bytes()
}

#[cfg(not(target_os = "linux"))]
fn live_page_bytes() -> u64 {
    4096
}

#[cfg(target_os = "linux")]
impl Source {
    /// `statvfs` of a mount point under the root prefix. May never return: a dead network file
    /// system keeps its caller for ever, so only a thread that can be left behind calls this.
    ///
    /// # Errors
    /// As the kernel reports them; [`io::ErrorKind::Unsupported`] where a fixture has no answer.
    pub fn statvfs(&self, mountpoint: &str) -> io::Result<FilesystemStat> {
        let Some(fixture) = &self.fixture else {
            return live::statvfs(&self.path(mountpoint));
        };
        let Some(answer) = fixture.statvfs.get(mountpoint) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if answer.hangs {
            loop {
                std::thread::park();
            }
        }
        match answer.errno {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(answer.stat),
        }
    }

    /// The state of the clock.
    ///
    /// # Errors
    /// As the kernel reports them (a seccomp filter may forbid it);
    /// [`io::ErrorKind::Unsupported`] where a fixture has no answer.
    pub fn adjtimex(&self) -> io::Result<ClockState> {
        match &self.fixture {
            None => live::adjtimex(),
            Some(fixture) => fixture
                .adjtimex
                .ok_or_else(|| io::ErrorKind::Unsupported.into()),
        }
    }

    /// The kernel's name for itself; empty strings where a fixture has no answer.
    pub fn uname(&self) -> KernelName {
        match &self.fixture {
            None => live::uname(),
            Some(fixture) => fixture.uname.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
