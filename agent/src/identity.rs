//! Who this host is: 128 random bits, made once, kept in the state folder.
//!
//! Never the machine id: clones of a machine share it, and two hosts would become one. A clone that
//! copies the state folder too is noticed by the collector (one identity, two boot ids at a time).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use hostwell_proto::id::HostId;

const FILE: &str = "host_id";
const LOCK: &str = "lock";

/// The state folder, held by this process alone.
#[derive(Debug)]
pub struct State {
    /// Who this host is.
    pub host_id: HostId,
    _lock: File,
}

/// Takes the state folder, makes it on the first start.
///
/// # Errors
/// When it cannot be made or read, another agent holds it, or the identity is damaged.
pub fn open(dir: &Path) -> anyhow::Result<State> {
    std::fs::create_dir_all(dir).with_context(|| {
        format!(
            "create state folder {} (choose another with --state-dir)",
            dir.display()
        )
    })?;
    let lock_path = dir.join(LOCK);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .with_context(|| format!("open {}", lock_path.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "state folder {} is in use by another agent; stop it or give this one its own \
             --state-dir",
            dir.display()
        );
    }
    let host_id = host_id(dir)?;
    Ok(State {
        host_id,
        _lock: lock,
    })
}

/// 16 bytes from the kernel's generator.
///
/// # Errors
/// When the kernel has none to give.
fn random_id() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("draw a random identity: {e}"))?;
    Ok(bytes)
}

fn host_id(dir: &Path) -> anyhow::Result<HostId> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| {
            format!(
                "read the host's identity from {}; restore the file, or delete it to make this a \
                 new host to the collector",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let host_id = HostId(random_id()?);
            write_once(dir, &path, &format!("{host_id}\n"))
                .with_context(|| format!("write the host's identity to {}", path.display()))?;
            Ok(host_id)
        }
        Err(error) => {
            Err(error).with_context(|| format!("read the host's identity from {}", path.display()))
        }
    }
}

/// Durable before it is used: a host that forgets its name after a power cut would be two hosts.
fn write_once(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = open(&path).unwrap().host_id;
        assert_eq!(open(&path).unwrap().host_id, first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(open(other.path()).unwrap().host_id, first);
    }

    #[test]
    fn a_second_agent_is_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(dir.path()).unwrap();
        let got = format!("{:#}", open(dir.path()).unwrap_err());
        assert!(got.contains("in use by another agent"), "{got}");
        drop(held);
        open(dir.path()).unwrap();
    }

    #[test]
    fn a_damaged_identity_is_never_replaced_silently() {
        let dir = tempfile::tempdir().unwrap();
        for damage in ["", "not an id", "ABCD"] {
            std::fs::write(dir.path().join(FILE), damage).unwrap();
            let got = format!("{:#}", open(dir.path()).unwrap_err());
            assert!(got.contains("delete it to make this a new host"), "{got}");
        }
    }
}
