//! File systems: size, free space, inodes, read-only, stuck.
//!
//! `mountinfo` says what is mounted; a file system counts once, however often it is mounted. Its
//! size comes from `statvfs`, which never returns on a dead network file system, so a thread of
//! its own asks (see [`asker`]) and the tick waits for it only briefly.

use std::collections::HashMap;

use hostwell_proto::metric::Metric;

use super::kept::KeptFile;
use super::rows::Rows;
use super::scan::{self, Malformed};
use super::select::Selection;
use super::{Probe, ProbeError, ProbeOptions};
use crate::sample::Readings;
use crate::source::{FilesystemStat, Source};

mod asker;

use asker::{Answer, Asker};

/// More file systems than this are counted, not asked.
const FILESYSTEMS_MAX: usize = 256;

/// File systems without a disk behind them, and images that are full by design.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "usbfs",
];

/// File systems whose answer comes over a network or from a program.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// Mount points of the system's own and of containers' layers.
const SYSTEM_MOUNTS: &[&str] = &["/dev", "/proc", "/run", "/sys"];
const LAYER_MOUNTS: &[&str] = &[
    "/var/lib/docker",
    "/var/lib/containers/storage",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/snap",
];

/// One line of `mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mount {
    /// Major and minor number, as written.
    number: Box<str>,
    /// The part of the file system that is mounted; `/` is all of it.
    root: Box<str>,
    mountpoint: Box<str>,
    fstype: Box<str>,
    device: Box<str>,
    /// By the mount's or the file system's own options. `statvfs` would tell what this process may
    /// do, and a hardened service may write nowhere.
    readonly: bool,
}

fn parse(text: &[u8]) -> Result<Vec<Mount>, Malformed> {
    let mut mounts = Vec::new();
    for line in scan::lines(text) {
        let wrong = || {
            line.malformed("expected a mount: id parent device root point options - type source")
        };
        let mut fields = line.fields();
        let number = fields.nth(2).ok_or_else(wrong)?;
        if !number.contains(&b':') {
            return Err(wrong());
        }
        let root = fields.next().ok_or_else(wrong)?;
        let mountpoint = fields.next().ok_or_else(wrong)?;
        let options = fields.next().ok_or_else(wrong)?;
        // Any number of optional fields, ended by a dash.
        fields.find(|field| *field == b"-").ok_or_else(wrong)?;
        let fstype = fields.next().ok_or_else(wrong)?;
        let device = fields.next().unwrap_or_default();
        let of_all = fields.next().unwrap_or_default();
        let mut flags = options
            .split(|b| *b == b',')
            .chain(of_all.split(|b| *b == b','));
        mounts.push(Mount {
            number: scan::label(number).into(),
            root: unescaped(root),
            mountpoint: unescaped(mountpoint),
            fstype: unescaped(fstype),
            device: unescaped(device),
            readonly: flags.any(|flag| flag == b"ro"),
        });
    }
    Ok(mounts)
}

/// The kernel writes space, tab, newline and backslash as `\040` and the like.
fn unescaped(field: &[u8]) -> Box<str> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    scan::label(&bytes).into()
}

/// What is asked: every file system once, under the mount that shows most of it.
fn chosen(mounts: Vec<Mount>, network: bool, points: &Selection) -> Vec<Mount> {
    // A mount hides what was mounted at the same place before.
    let mut top: HashMap<Box<str>, usize> = HashMap::new();
    for (i, mount) in mounts.iter().enumerate() {
        top.insert(mount.mountpoint.clone(), i);
    }
    let mut by_number: HashMap<Box<str>, usize> = HashMap::new();
    let mut found: Vec<Mount> = Vec::new();
    for (i, mount) in mounts.into_iter().enumerate() {
        let visible = top.get(&mount.mountpoint) == Some(&i);
        if !visible || !counts(&mount, network) || !points.takes(&mount.mountpoint) {
            continue;
        }
        match by_number.get(&mount.number) {
            Some(at) if rank(&mount) < rank(&found[*at]) => found[*at] = mount,
            Some(_) => {}
            None => {
                by_number.insert(mount.number.clone(), found.len());
                found.push(mount);
            }
        }
    }
    found
}

/// Smaller is better: the whole file system before a part (a bind mount, a subvolume), then the
/// shortest path.
fn rank(mount: &Mount) -> (bool, usize) {
    (&*mount.root != "/", mount.mountpoint.len())
}

fn counts(mount: &Mount, network: bool) -> bool {
    let fstype = &*mount.fstype;
    let below = |dir: &&str| {
        let rest = mount.mountpoint.strip_prefix(*dir);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let layer = |dir: &&str| below(dir) && mount.mountpoint.len() > dir.len();
    if PSEUDO.contains(&fstype)
        || SYSTEM_MOUNTS.iter().any(below)
        || LAYER_MOUNTS.iter().any(layer)
        || (fstype == "tmpfs" && mount.readonly)
    {
        return false;
    }
    let asks_others = NETWORK.contains(&fstype) || fstype.starts_with("fuse.");
    network || !asks_others
}

/// The probe.
#[derive(Debug)]
pub(super) struct Filesystem {
    /// The first process' view where it may be read, else our own: a hardened service has a mount
    /// name space of its own.
    files: [KeptFile; 2],
    points: Selection,
    network: bool,
    known: Known,
    rows: Rows,
    asker: Asker,
}

/// What the mount table said last time.
#[derive(Debug, Default)]
struct Known {
    text: Vec<u8>,
    mounts: Vec<Mount>,
}

impl Filesystem {
    /// Reads the file systems that the options ask for.
    pub(super) fn new(options: &ProbeOptions) -> Filesystem {
        Filesystem {
            files: [
                // The options of a mount (the layers of a container) have no limit.
                KeptFile::rows("proc/1/mountinfo", usize::MAX),
                KeptFile::rows("proc/self/mountinfo", usize::MAX),
            ],
            points: Selection::new(&[], &options.mountpoints_exclude),
            network: options.network_filesystems,
            known: Known::default(),
            rows: Rows::default(),
            asker: Asker::default(),
        }
    }

    /// Brings the list of file systems up to date.
    fn look(&mut self, source: &Source) -> Result<(), ProbeError> {
        let [first, own] = &mut self.files;
        let (path, own_path) = (first.path(), own.path());
        let (path, text) = match first.read(source) {
            Ok(text) if !text.is_empty() => (path, text),
            _ => (own_path, own.read(source)?),
        };
        if text != self.known.text {
            let mounts = parse(text).map_err(|m| m.at(path))?;
            self.known.mounts = chosen(mounts, self.network, &self.points);
            self.known.text = text.to_vec();
        }
        Ok(())
    }
}

impl Probe for Filesystem {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        self.look(source)?;
        self.rows.start();
        let asked = self.known.mounts.len().min(FILESYSTEMS_MAX);
        let mounts = &self.known.mounts[..asked];
        let points: Vec<&str> = mounts.iter().map(|m| &*m.mountpoint).collect();
        let answers = self.asker.ask(source, &points)?;
        let mut unasked = self.known.mounts.len() - asked;
        for (mount, answer) in mounts.iter().zip(answers) {
            let answer = match answer {
                Answer::Unasked => {
                    unasked += 1;
                    continue;
                }
                // A fixture without an answer: the system call is absent.
                Answer::Failed(std::io::ErrorKind::Unsupported) => continue,
                answer => answer,
            };
            put(mount, &answer, &mut self.rows, out);
        }
        let over = Metric::FilesystemsOverLimit;
        self.rows.put_metric(over, unasked as f64, out);
        Ok(())
    }
}

const METRICS: [Metric; 8] = [
    Metric::FilesystemStuck,
    Metric::FilesystemDeviceError,
    Metric::FilesystemReadonly,
    Metric::FilesystemSize,
    Metric::FilesystemFree,
    Metric::FilesystemAvail,
    Metric::FilesystemFiles,
    Metric::FilesystemFilesFree,
];

fn put(mount: &Mount, answer: &Answer, rows: &mut Rows, out: &mut Readings<'_>) {
    let labels: [&str; 3] = [&mount.device, &mount.fstype, &mount.mountpoint];
    let numbers = rows.numbers(labels.join("\0").as_bytes(), || {
        METRICS.map(|m| out.table.number(m, &labels)).to_vec()
    });
    let flag = |yes: bool| f64::from(u8::from(yes));
    let stuck = matches!(answer, Answer::Stuck);
    let mut values = vec![flag(stuck), flag(!matches!(answer, Answer::Stat(_)))];
    if let Answer::Stat(stat) = answer {
        values.extend(figures(mount.readonly, stat));
    }
    out.readings
        .extend(numbers.iter().copied().zip(values.iter().copied()));
}

/// In the order of [`METRICS`], without the first two.
fn figures(readonly: bool, stat: &FilesystemStat) -> [f64; 6] {
    let bytes = |blocks: u64| blocks as f64 * stat.block_bytes as f64;
    [
        f64::from(u8::from(readonly)),
        bytes(stat.blocks),
        bytes(stat.blocks_free),
        bytes(stat.blocks_available),
        stat.files as f64,
        stat.files_free as f64,
    ]
}

#[cfg(test)]
mod tests;
