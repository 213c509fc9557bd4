//! Whose a process is: a number, and its name in `/etc/passwd` under the root prefix.

use std::collections::HashMap;
use std::io::{BufRead as _, Read as _};

use crate::source::Source;

const PATH: &str = "etc/passwd";
/// No more of it is read.
const BYTES_MAX: u64 = 4 << 20;
/// Most names remembered.
const KNOWN_MAX: usize = 256;
/// A name that was not there is looked for again after so many scans.
const FORGET_SCANS: u32 = 60;
/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 64;

/// Names that were looked up.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: HashMap<u32, String>,
    scans: u32,
}

impl Users {
    /// A scan begins.
    pub(super) fn begin(&mut self) {
        self.scans += 1;
        if self.scans >= FORGET_SCANS || self.known.len() >= KNOWN_MAX {
            self.scans = 0;
            self.known.clear();
        }
    }

    /// The user's name, or their number.
    pub(super) fn name(&mut self, source: &Source, uid: u32) -> String {
        let known = self.known.entry(uid);
        let name = known.or_insert_with(|| look(source, uid).unwrap_or_else(|| uid.to_string()));
        name.clone()
    }
}

fn look(source: &Source, uid: u32) -> Option<String> {
    let file = std::fs::File::open(source.path(PATH)).ok()?;
    let mut lines = std::io::BufReader::with_capacity(4096, file.take(BYTES_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let mut fields = line.split(|b| *b == b':');
        let (name, number) = (fields.next()?, fields.nth(1));
        let number = number.and_then(|n| std::str::from_utf8(n).ok()?.parse::<u32>().ok());
        if number == Some(uid) && !name.is_empty() && name.len() <= NAME_BYTES_MAX {
            return Some(super::scan::text(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_where_the_file_knows_one_and_else_a_number() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n\nann:x:1000:1000::/:/bin/sh";
        std::fs::write(dir.path().join(PATH), passwd).unwrap();
        let source = Source::fixture(dir.path()).unwrap();
        let mut users = Users::default();
        users.begin();
        for (uid, name) in [(0, "root"), (1000, "ann"), (7, "7")] {
            assert_eq!(users.name(&source, uid), name);
        }
        std::fs::remove_file(dir.path().join(PATH)).unwrap();
        assert_eq!(users.name(&source, 1000), "ann", "looked up once");
        (0..FORGET_SCANS).for_each(|_| users.begin());
        assert_eq!(users.name(&source, 1000), "1000", "and again after a while");
    }
}
