//! What services read from and write to disks: the counters of control groups, version 2. Any user
//! may read them, where the kernel shows `/proc/PID/io` of one's own processes only.

use std::collections::{HashMap, HashSet};

use crate::source::Source;

const ROOT: &str = "sys/fs/cgroup";
/// Groups lie no deeper than this below the root: a slice, a slice in it, a container's group.
const DEPTH_MAX: usize = 5;
/// Most groups looked at.
const GROUPS_MAX: usize = 512;
/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 128;

/// Bytes read and written since the group was made.
type Counters = (u64, u64);

/// What a service did between two readings, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) name: String,
    pub(super) read: u64,
    pub(super) written: u64,
}

/// The counters as they were last.
#[derive(Debug, Default)]
pub(super) struct Services {
    before: HashMap<String, Counters>,
    /// Devices on top of others, by whether they are: what passes them is counted below.
    layered: HashMap<String, bool>,
}

impl Services {
    /// What services did since the last call; `None` where the kernel does not tell.
    pub(super) fn read(&mut self, source: &Source) -> Option<Vec<Used>> {
        if !source.path(&format!("{ROOT}/cgroup.controllers")).exists() {
            return None;
        }
        let mut groups = Vec::new();
        gather(source, ROOT, 0, &mut groups);
        let mut now = HashMap::new();
        for path in &groups {
            if let Ok(text) = source.text(&format!("{path}/io.stat")) {
                now.insert(path.clone(), self.counters(source, &text));
            }
        }
        if now.is_empty() {
            return None;
        }
        let used = now.iter().filter_map(|(path, (read, written))| {
            let before = self.before.get(path)?;
            let name = path.rsplit('/').next().unwrap_or(path);
            Some(Used {
                name: super::scan::cut(name, NAME_BYTES_MAX),
                read: read.saturating_sub(before.0),
                written: written.saturating_sub(before.1),
            })
        });
        let used = used.collect();
        self.before = now;
        Some(used)
    }

    fn counters(&mut self, source: &Source, text: &str) -> Counters {
        let mut sum = (0u64, 0u64);
        let mut devices = HashSet::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let Some(device) = words.next().filter(|device| devices.insert(*device)) else {
                continue;
            };
            if self.is_layered(source, device) {
                continue;
            }
            for word in words {
                match word.split_once('=') {
                    Some(("rbytes", n)) => sum.0 = sum.0.saturating_add(n.parse().unwrap_or(0)),
                    Some(("wbytes", n)) => sum.1 = sum.1.saturating_add(n.parse().unwrap_or(0)),
                    _ => {}
                }
            }
        }
        sum
    }

    fn is_layered(&mut self, source: &Source, device: &str) -> bool {
        if let Some(known) = self.layered.get(device) {
            return *known;
        }
        let layered = ["dm", "md", "loop"].iter().any(|kind| {
            let path = format!("sys/dev/block/{device}/{kind}");
            source.path(&path).exists()
        });
        self.layered.insert(device.to_owned(), layered);
        layered
    }
}

/// The groups that are a service, a container or a session, and those that hold no others.
fn gather(source: &Source, path: &str, depth: usize, groups: &mut Vec<String>) {
    let is_unit = path.ends_with(".service") || path.ends_with(".scope");
    let inner = match is_unit || depth >= DEPTH_MAX {
        true => Vec::new(),
        false => folders(source, path),
    };
    if inner.is_empty() && depth > 0 && groups.len() < GROUPS_MAX {
        groups.push(path.to_owned());
    }
    for name in inner {
        if groups.len() < GROUPS_MAX {
            gather(source, &format!("{path}/{name}"), depth + 1, groups);
        }
    }
}

fn folders(source: &Source, path: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(source.path(path)) else {
        return Vec::new();
    };
    let folder = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        entry.file_name().into_string().ok().filter(|_| is_folder)
    };
    entries.filter_map(folder).take(GROUPS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(source: &Source, path: &str, text: &str) {
        let path = source.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn services_are_told_by_their_counters_and_layers_are_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::fixture(dir.path()).unwrap();
        let mut services = Services::default();
        assert_eq!(services.read(&source), None, "no control groups");
        write(&source, "sys/fs/cgroup/cgroup.controllers", "cpu io memory");
        assert_eq!(services.read(&source), None, "no account of disks");
        write(&source, "sys/dev/block/253:0/dm/name", "vg-root");
        let db = "sys/fs/cgroup/system.slice/db.service/io.stat";
        write(
            &source,
            db,
            "8:0 rbytes=10 wbytes=20 rios=1\n253:0 rbytes=9 wbytes=9",
        );
        // Inside a service is its own affair.
        write(
            &source,
            "sys/fs/cgroup/system.slice/db.service/worker/io.stat",
            "8:0 rbytes=1",
        );
        write(&source, "sys/fs/cgroup/init.scope/io.stat", "");
        assert_eq!(
            services.read(&source),
            Some(Vec::new()),
            "nothing to compare with"
        );
        write(
            &source,
            db,
            "8:0 rbytes=110 wbytes=25 rios=3\n253:0 rbytes=99 wbytes=99",
        );
        let mut used = services.read(&source).unwrap();
        used.sort_by_key(|one| one.name.clone());
        let of = |name: &str, read, written| Used {
            name: name.into(),
            read,
            written,
        };
        assert_eq!(used, [of("db.service", 100, 5), of("init.scope", 0, 0)]);
    }
}
