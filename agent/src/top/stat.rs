//! What the kernel says of one process: `/proc/PID/stat` and `/proc/PID/io`.

/// Bytes of a name that are kept; the kernel's are 15, those of its own threads longer.
pub(super) const NAME_BYTES: usize = 16;
/// `flags` of a thread of the kernel.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A line of `/proc/PID/stat`. Times are in hundredths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) parent: u32,
    pub(super) name: [u8; NAME_BYTES],
    /// Its own CPU time.
    pub(super) cpu: u64,
    /// That of its children that have ended and were waited for, and of theirs.
    pub(super) children: u64,
    /// Since boot.
    pub(super) started: u64,
    pub(super) resident_pages: u64,
    /// Has no account of disks: a thread of the kernel, or ended and not waited for.
    pub(super) hollow: bool,
}

/// Reads a line; `None` when it is not what the kernel writes.
pub(super) fn parse(line: &[u8]) -> Option<Stat> {
    // The name may hold anything, parentheses and blanks too.
    let open = line.iter().position(|b| *b == b'(')?;
    let close = line.iter().rposition(|b| *b == b')')?;
    let told = line.get(open + 1..close)?;
    let mut name = [0; NAME_BYTES];
    let length = told.len().min(NAME_BYTES);
    name[..length].copy_from_slice(&told[..length]);
    let rest = line.get(close + 1..)?;
    let mut fields = rest
        .split(|b| *b == b' ' || *b == b'\n')
        .filter(|field| !field.is_empty());
    let state = fields.next()?;
    let mut number = |skip: usize| number(fields.nth(skip)?);
    // Field 4 of the manual; then 9, 14 to 17, 22 and 24.
    let parent = number(0)?;
    let flags = number(4)?;
    let (user, system) = (number(4)?, number(0)?);
    let (children_user, children_system) = (number(0)?, number(0)?);
    let started = number(4)?;
    let resident_pages = number(1)?;
    Some(Stat {
        parent: u32::try_from(parent).ok()?,
        name,
        cpu: user.checked_add(system)?,
        children: children_user.checked_add(children_system)?,
        started,
        resident_pages,
        hollow: flags & KERNEL_THREAD != 0 || state == b"Z",
    })
}

/// Bytes read from and written to disks, of `/proc/PID/io`.
pub(super) fn parse_io(text: &[u8]) -> Option<(u64, u64)> {
    let of = |word: &[u8]| {
        let mut lines = text.split(|b| *b == b'\n');
        number(lines.find_map(|line| line.strip_prefix(word))?)
    };
    Some((of(b"read_bytes: ")?, of(b"write_bytes: ")?))
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "4242 (a) (b c) R 17 4242 4242 0 -1 4194304 1 2 3 4 500 60 7 8 20 0 3 0 \
                        98765 1000000 250 18446744073709551615 0 0 0 0 0\n";

    #[test]
    fn a_name_with_blanks_and_parentheses_hides_nothing() {
        let stat = parse(LINE.as_bytes()).unwrap();
        assert_eq!(&stat.name[..8], b"a) (b c\0");
        assert_eq!(
            (stat.parent, stat.cpu, stat.children, stat.started),
            (17, 560, 15, 98765)
        );
        assert_eq!((stat.resident_pages, stat.hollow), (250, false));
    }

    #[test]
    fn kernel_threads_and_the_dead_have_no_account_of_disks() {
        let zombie = LINE.replace(") R ", ") Z ");
        assert!(parse(zombie.as_bytes()).unwrap().hollow);
        let kernel = LINE.replace(" 4194304 ", " 2129984 ");
        assert!(parse(kernel.as_bytes()).unwrap().hollow);
    }

    #[test]
    fn the_account_of_disks_is_what_reached_them() {
        let text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\n\
                     write_bytes: 8192\ncancelled_write_bytes: 0\n";
        assert_eq!(parse_io(text), Some((4096, 8192)));
        assert_eq!(parse_io(b"rchar: 1\n"), None);
    }

    #[test]
    fn this_kernel_writes_such_lines() {
        let line = std::fs::read("/proc/self/stat").unwrap();
        let stat = parse(&line).unwrap();
        assert!(stat.resident_pages > 0 && stat.started > 0 && !stat.hollow);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = (parse(&bytes), parse_io(&bytes));
            let mut line = LINE.as_bytes().to_vec();
            let at = at.index(line.len());
            line[at] = byte;
            let _ = parse(&line);
            let _ = parse(&line[..at]);
        }
    }
}
