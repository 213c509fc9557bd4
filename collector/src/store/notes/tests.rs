use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;

use super::codec::{decode, encode};
use crate::processes::{DiskSource, Process, ProcessNote, Service};

/// A note as a host of `pids` processes sends them, minute after minute.
fn typical(minute: i64) -> ProcessNote {
    // Numbers that nothing foretells.
    let jitter = |pid: i64| {
        let mut hash = DefaultHasher::new();
        (minute, pid).hash(&mut hash);
        (hash.finish() % 97) as u32
    };
    ProcessNote {
        at_ms: 1_800_000_000_000 + minute * 60_000,
        span_ms: 60_000,
        looked_at: 200 + jitter(0) / 20,
        disk_source: DiskSource::None,
        processes: (1..=10)
            .map(|pid| Process {
                pid: 1000 + pid as u32,
                name: format!("process-{pid}"),
                user: ["root", "postgres"][pid as usize % 2].into(),
                started_ms: 1_799_000_000_000 + pid * 1_000,
                cpu_milli: jitter(pid),
                resident_kib: 100_000 * pid as u64 + u64::from(jitter(pid)) / 30 * 512,
                ..Process::default()
            })
            .collect(),
        ..ProcessNote::default()
    }
}

#[test]
fn many_notes_together_are_a_fraction_of_each_alone() {
    let notes: Vec<ProcessNote> = (0..120).map(typical).collect();
    let alone = encode(&notes[..1]).unwrap().len();
    let together = encode(&notes).unwrap().len() / notes.len();
    assert!(together * 4 < alone, "{together} bytes each, alone {alone}");
}

#[test]
fn the_example_of_the_document_is_what_we_write() {
    let document = include_str!("../../../../docs/format/processes.md");
    let example = document.split("```text").last().unwrap();
    let example = example.split("```").next().unwrap();
    let hex = |word: &&str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let bytes: Vec<u8> = example
        .lines()
        .flat_map(|line| line.split_whitespace().take_while(hex).collect::<Vec<_>>())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let one = ProcessNote {
        at_ms: 90_000,
        span_ms: 60_000,
        looked_at: 3,
        disk_source: DiskSource::Service,
        processes: vec![Process {
            pid: 17,
            name: "sh".into(),
            user: "ann".into(),
            started_ms: 2_000,
            cpu_milli: 950,
            resident_kib: 64,
            ..Process::default()
        }],
        services: vec![Service {
            name: "sql".into(),
            write_bytes_per_second: 5,
            ..Service::default()
        }],
        ..ProcessNote::default()
    };
    let written = encode(std::slice::from_ref(&one)).unwrap();
    let spelled: Vec<String> = written.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(bytes, written, "{}", spelled.join(" "));
    assert_eq!(decode(&written).unwrap(), [one]);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,15}", "\\PC{0,20}"]
}

fn process() -> impl Strategy<Value = Process> {
    let who = (any::<u32>(), text(), text(), text(), any::<i64>());
    let used = (any::<u32>(), 0u32..3, any::<u64>(), any::<u64>(), 0u64..2);
    (who, used).prop_map(|((pid, name, user, command, started_ms), used)| Process {
        pid,
        name,
        user,
        command,
        started_ms,
        cpu_milli: used.0,
        children_milli: used.1,
        resident_kib: used.2,
        read_bytes_per_second: used.3,
        write_bytes_per_second: used.4,
    })
}

fn note() -> impl Strategy<Value = ProcessNote> {
    let numbers = (any::<i64>(), any::<u32>(), any::<u32>(), 0u32..3, 0u32..3);
    let source = prop::sample::select(vec![
        DiskSource::Process,
        DiskSource::Service,
        DiskSource::None,
    ]);
    let services = prop::collection::vec((text(), any::<u64>(), 0u64..2), 0..4);
    let processes = prop::collection::vec(process(), 0..8);
    (numbers, source, processes, services).prop_map(|(numbers, source, processes, services)| {
        ProcessNote {
            at_ms: numbers.0,
            span_ms: numbers.1,
            looked_at: numbers.2,
            passed_over: numbers.3,
            lost: numbers.4,
            disk_source: source,
            processes,
            services: services
                .into_iter()
                .map(|(name, read, write)| Service {
                    name,
                    read_bytes_per_second: read,
                    write_bytes_per_second: write,
                })
                .collect(),
        }
    })
}

proptest! {
    #[test]
    fn every_note_comes_back(notes in prop::collection::vec(note(), 0..12)) {
        // The same processes again: they are named once.
        let again: Vec<ProcessNote> = notes.iter().chain(&notes).cloned().collect();
        prop_assert_eq!(decode(&encode(&again).unwrap()).unwrap(), again);
    }

    #[test]
    fn any_bytes_are_read_or_are_damage(version in 0u8..4, rest: Vec<u8>) {
        let _ = decode(&[&[version], &rest[..]].concat());
    }

    #[test]
    fn a_changed_or_cut_row_is_read_or_is_damage(
        notes in prop::collection::vec(note(), 1..6), at: prop::sample::Index, byte: u8, cut: bool,
    ) {
        let mut bytes = encode(&notes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let _ = decode(&bytes);
    }
}
