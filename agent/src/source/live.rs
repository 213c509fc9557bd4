//! The system calls themselves, on Linux.

use std::io;
use std::path::Path;

use super::{ClockState, FilesystemStat, KernelName};

pub(super) fn page_bytes() -> u64 {
    // SAFETY: sysconf takes no pointer and _SC_PAGESIZE is always known.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

pub(super) fn statvfs(path: &Path) -> io::Result<FilesystemStat> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(FilesystemStat {
        block_bytes: stat.f_frsize,
        blocks: stat.f_blocks,
        blocks_free: stat.f_bfree,
        blocks_available: stat.f_bavail,
        files: stat.f_files,
        files_free: stat.f_ffree,
        readonly: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the fields are 32 bits wide on some targets and 64 on others"
)]
pub(super) fn adjtimex() -> io::Result<ClockState> {
    // SAFETY: timex is plain integers, for which zero is valid; modes 0 only reads.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed timex.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ClockState {
        state: i64::from(state),
        status: i64::from(timex.status),
        offset: timex.offset as i64,
        frequency: timex.freq as i64,
        maxerror: timex.maxerror as i64,
        esterror: timex.esterror as i64,
        constant: timex.constant as i64,
        tick: timex.tick as i64,
        tai: i64::from(timex.tai),
    })
}

pub(super) fn uname() -> KernelName {
    let name = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    KernelName {
        sysname: text(name.sysname()),
        nodename: text(name.nodename()),
        release: text(name.release()),
        version: text(name.version()),
        machine: text(name.machine()),
        domainname: text(name.domainname()),
    }
}
