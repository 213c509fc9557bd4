//! What a host is: kernel, operating system, CPUs, memory, boot. Facts describe, they never
//! identify.

use hostwell_proto::wire::HostFacts;

use crate::source::Source;

/// Longest text taken from the host.
const TEXT_CHARS_MAX: usize = 256;

/// What is known of the host now; empty or 0 where it is not. The labels are the caller's.
pub fn read(source: &Source) -> HostFacts {
    HostFacts {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..platform(source)
    }
}

/// The host's own name for itself; empty where it has none.
pub fn host_name(source: &Source) -> String {
    clean(&platform_host_name(source))
}

/// Host-supplied text, safe to show: bounded, without control characters.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

#[cfg(target_os = "linux")]
fn platform_host_name(source: &Source) -> String {
    source.uname().nodename
}

#[cfg(target_os = "linux")]
fn platform(source: &Source) -> HostFacts {
    let uname = source.uname();
    let stat = source.text("proc/stat").unwrap_or_default();
    let word = |text: &str, word: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(word))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    let is_cpu = |line: &&str| {
        let number = line.strip_prefix("cpu").unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
    };
    let kib = source
        .text("proc/meminfo")
        .ok()
        .and_then(|text| word(&text, "MemTotal:"));
    HostFacts {
        kernel: clean(&uname.release),
        os: os_word(&os_release(source), "PRETTY_NAME"),
        arch: clean(&uname.machine),
        cpus: stat.lines().filter(is_cpu).count() as u32,
        memory_bytes: kib.unwrap_or(0).saturating_mul(1024),
        boot_id: clean(
            &source
                .text("proc/sys/kernel/random/boot_id")
                .unwrap_or_default(),
        ),
        boot_time_ms: word(&stat, "btime").map_or(0, |s| (s as i64).saturating_mul(1000)),
        virtualisation: virtualisation(source).to_owned(),
        ..HostFacts::default()
    }
}

/// The text of /etc/os-release, or of its vendor's copy; empty where there is neither.
#[cfg(target_os = "linux")]
pub(crate) fn os_release(source: &Source) -> String {
    let text = source.text("etc/os-release");
    text.or_else(|_| source.text("usr/lib/os-release"))
        .unwrap_or_default()
}

/// One value of os-release, without quotes; empty where it is not said.
#[cfg(target_os = "linux")]
pub(crate) fn os_word(text: &str, key: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let value = line.unwrap_or_default().trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    clean(&unquoted.unwrap_or(value).replace('\\', ""))
}

#[cfg(target_os = "linux")]
fn virtualisation(source: &Source) -> &'static str {
    let marked = [".dockerenv", "run/.containerenv"]
        .iter()
        .any(|mark| source.path(mark).exists());
    let groups = source.text("proc/1/cgroup").unwrap_or_default();
    let grouped = ["docker", "kubepods", "/lxc", "libpod", "containerd"]
        .iter()
        .any(|mark| groups.contains(mark));
    if marked || grouped {
        return "container";
    }
    let cpuinfo = source.text("proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    let vendor = source
        .text("sys/class/dmi/id/sys_vendor")
        .unwrap_or_default();
    let virtual_vendor = ["QEMU", "VMware", "Xen", "innotek", "Amazon EC2", "Google"]
        .iter()
        .any(|name| vendor.starts_with(name));
    let hypervisor = flags.is_some_and(|f| f.split(' ').any(|flag| flag == "hypervisor"));
    match hypervisor || virtual_vendor {
        true => "vm",
        false => "none",
    }
}

#[cfg(not(target_os = "linux"))]
fn platform_host_name(_: &Source) -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn platform(_: &Source) -> HostFacts {
    let (mut cpus, mut memory_bytes) = (0, 0);
    if let Ok(mut system) = sysinfo::System::new() {
        system.refresh_memory();
        system.refresh_cpu_usage();
        (cpus, memory_bytes) = (system.cpus().len() as u32, system.total_memory());
    }
    HostFacts {
        kernel: clean(&sysinfo::System::kernel_version().unwrap_or_default()),
        os: clean(&sysinfo::System::long_os_version().unwrap_or_default()),
        arch: clean(&sysinfo::System::cpu_arch()),
        cpus,
        memory_bytes,
        boot_time_ms: (sysinfo::System::boot_time().unwrap_or(0) as i64).saturating_mul(1000),
        ..HostFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fixture(files: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = Source::fixture(dir.path()).unwrap();
        (dir, source)
    }

    #[test]
    fn facts_come_from_the_files_that_are_there() {
        let (_dir, source) = fixture(&[
            (
                "proc/stat",
                "cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nbtime 1700000000\n",
            ),
            ("proc/meminfo", "MemTotal:    2048 kB\n"),
            ("proc/sys/kernel/random/boot_id", "0f-1\n"),
            ("proc/cpuinfo", "flags\t\t: fpu hypervisor\n"),
            (
                "etc/os-release",
                "NAME=x\nPRETTY_NAME=\"Some \\\"Linux\\\" 1\"\n",
            ),
            (
                "syscalls.toml",
                "[uname]\nnodename = \"a\\u001bb\"\nrelease = \"6.1\"\nmachine = \"x86_64\"\n",
            ),
        ]);
        let facts = read(&source);
        assert_eq!((facts.cpus, facts.memory_bytes), (2, 2 << 20));
        assert_eq!(facts.boot_time_ms, 1_700_000_000_000);
        assert_eq!(facts.os, "Some \"Linux\" 1");
        assert_eq!(facts.virtualisation, "vm");
        assert_eq!(
            (facts.kernel.as_str(), facts.boot_id.as_str()),
            ("6.1", "0f-1")
        );
        assert_eq!(host_name(&source), "ab");
    }

    #[test]
    fn a_container_is_told_by_its_marks() {
        for (path, text) in [
            (".dockerenv", ""),
            ("proc/1/cgroup", "1:cpu:/docker/0123\n"),
        ] {
            let (_dir, source) = fixture(&[(path, text)]);
            assert_eq!(read(&source).virtualisation, "container");
        }
    }

    #[test]
    fn an_empty_tree_has_no_facts_and_no_failure() {
        let (_dir, source) = fixture(&[]);
        let facts = read(&source);
        assert_eq!((facts.cpus, facts.os.as_str()), (0, ""));
        assert_eq!(facts.agent_version, env!("CARGO_PKG_VERSION"));
    }
}
