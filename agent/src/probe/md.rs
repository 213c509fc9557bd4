//! `/proc/mdstat`: software RAID arrays.

use hostwell_proto::metric::Metric;

use super::scan::Malformed;
use super::{Probe, ProbeError};
use crate::sample::Readings;
use crate::source::Source;

const PATH: &str = "proc/mdstat";
const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

/// One array.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Array {
    name: String,
    /// One of [`STATES`].
    state: &'static str,
    active: u64,
    failed: u64,
    spare: u64,
    required: u64,
    blocks: u64,
    blocks_synced: u64,
}

fn parse(text: &str) -> Result<Vec<Array>, Malformed> {
    let mut arrays: Vec<Array> = Vec::new();
    for (line, number) in text.lines().zip(1u32..) {
        let wrong = |what| Malformed { line: number, what };
        let indented = line.starts_with([' ', '\t']);
        if indented {
            if let Some(array) = arrays.last_mut() {
                detail(array, line.trim()).map_err(wrong)?;
            }
        } else if let Some((name, rest)) = line.split_once(" : ")
            && name.trim() != "Personalities"
        {
            arrays.push(head(name.trim(), rest).map_err(wrong)?);
        }
    }
    Ok(arrays)
}

/// `active raid1 sda1[0] sdb1[1](F)`.
fn head(name: &str, rest: &str) -> Result<Array, &'static str> {
    let state = match rest.split_ascii_whitespace().next() {
        Some("active") => "active",
        Some("inactive") => "inactive",
        _ => return Err("expected an array that is active or inactive"),
    };
    let marked = |mark| rest.matches(mark).count() as u64;
    let members = rest.split_ascii_whitespace().filter(|w| w.contains('['));
    let members = members.count() as u64;
    let (failed, spare) = (marked("(F)"), marked("(S)"));
    // Arrays without redundancy do not say how many members they want: all they have.
    let working = members.saturating_sub(failed + spare);
    Ok(Array {
        name: name.to_owned(),
        state,
        active: working,
        failed,
        spare,
        required: working,
        blocks: 0,
        blocks_synced: 0,
    })
}

/// The lines below: size and members, then what is going on.
fn detail(array: &mut Array, line: &str) -> Result<(), &'static str> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.get(1).is_some_and(|word| word.starts_with("blocks")) {
        array.blocks = words[0]
            .parse()
            .map_err(|_| "expected a number of blocks")?;
        array.blocks_synced = array.blocks;
        let members = words.iter().find_map(|word| {
            let (required, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
            Some((required.parse().ok()?, active.parse().ok()?))
        });
        if let Some((required, active)) = members {
            (array.required, array.active) = (required, active);
        }
        return Ok(());
    }
    let doing = [
        ("recovery", "recovering"),
        ("reshape", "recovering"),
        ("resync", "resync"),
        ("check", "check"),
    ];
    if let Some((_, state)) = doing.iter().find(|(word, _)| line.contains(word)) {
        array.state = state;
        let done = words.iter().find_map(|word| {
            let (synced, _) = word.strip_prefix('(')?.strip_suffix(')')?.split_once('/')?;
            synced.parse().ok()
        });
        // Waiting for its turn (`resync=DELAYED`): nothing done yet.
        array.blocks_synced = done.unwrap_or(0);
    }
    Ok(())
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Md;

impl Probe for Md {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let text = source.text(PATH).map_err(|e| ProbeError::io(PATH, e))?;
        for array in parse(&text).map_err(|m| m.at(PATH))? {
            let name = array.name.as_str();
            for state in STATES {
                let here = f64::from(u8::from(state == array.state));
                out.add(Metric::MdState, &[name, state], here);
            }
            for (state, disks) in [
                ("active", array.active),
                ("failed", array.failed),
                ("spare", array.spare),
            ] {
                out.add(Metric::MdDisks, &[name, state], disks as f64);
            }
            out.add(Metric::MdDisksRequired, &[name], array.required as f64);
            out.add(Metric::MdBlocks, &[name], array.blocks as f64);
            let synced = array.blocks_synced as f64;
            out.add(Metric::MdBlocksSynced, &[name], synced);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
Personalities : [raid1] [raid6] [raid5] [raid4]
md0 : active raid1 sda1[0] sdb1[1](F) sdc1[2](S)
      976630464 blocks super 1.2 [2/1] [U_]
      bitmap: 1/8 pages [4KB], 65536KB chunk
      [==>..................]  recovery = 12.6% (123456/976630464) finish=127.5min speed=1K/sec
md1 : active raid0 sdd1[0] sde1[1]
      100 blocks 64k chunks
md2 : inactive sdf1[0](S)
      50 blocks
md3 : active raid5 a[0] b[1] c[2]
      40 blocks level 5, 64k chunk, algorithm 2 [3/3] [UUU]
        resync=DELAYED
unused devices: <none>
";

    #[test]
    fn arrays_are_read_with_their_state_and_members() {
        let arrays = parse(TEXT).unwrap();
        let short: Vec<_> = arrays
            .iter()
            .map(|a| {
                let members = (a.active, a.failed, a.spare, a.required);
                (
                    a.name.as_str(),
                    a.state,
                    members,
                    (a.blocks_synced, a.blocks),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                ("md0", "recovering", (1, 1, 1, 2), (123_456, 976_630_464)),
                ("md1", "active", (2, 0, 0, 2), (100, 100)),
                ("md2", "inactive", (0, 0, 1, 0), (50, 50)),
                ("md3", "resync", (3, 0, 0, 3), (0, 40)),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(parse("md0 : sleeping\n").unwrap_err().line, 1);
        let blocks = "md0 : active raid1 a[0]\n      many blocks\n";
        assert_eq!(parse(blocks).unwrap_err().line, 2);
        assert_eq!(
            parse("Personalities : \nunused devices: <none>\n"),
            Ok(vec![])
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn sizes_come_back(blocks: u64, required in 0u64..99, active in 0u64..99) {
            let text = format!("md9 : active raid1 a[0]\n  {blocks} blocks [{required}/{active}] [U]\n");
            let array = &parse(&text).unwrap()[0];
            let got = (array.blocks, array.required, array.active);
            prop_assert_eq!(got, (blocks, required, active));
        }
    }
}
