//! The payload of a row of process notes: docs/format/processes.md.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::error::{Fault, Trouble};
use super::super::history::varint::{self, Cursor};
use super::super::unzip::unzip;
use crate::processes::{DiskSource, Process, ProcessNote, Service};

/// Plain; under zstd.
const PLAIN: u8 = 1;
const PACKED: u8 = 2;
const ZSTD_LEVEL: i32 = 9;
/// Shorter than this zstd gains nothing.
const PACK_BYTES_MIN: usize = 1024;
/// No row is longer, unpacked.
const BYTES_MAX: usize = 16 << 20;
/// Most notes in a row.
pub(super) const NOTES_MAX: usize = 1024;
/// Most processes or services in a note.
pub(super) const ENTRIES_MAX: usize = 64;
/// Most bytes of a name or a command line.
const TEXT_BYTES_MAX: usize = 4096;

const CPU: u8 = 1;
const CHILDREN: u8 = 2;
const RESIDENT: u8 = 4;
const READ: u8 = 8;
const WRITTEN: u8 = 16;

/// Things in the order in which they were first met.
struct Met<T> {
    all: Vec<T>,
    places: HashMap<T, u64>,
}

impl<T: Clone + Eq + Hash> Met<T> {
    fn new() -> Met<T> {
        Met {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn place(&mut self, one: T) -> u64 {
        if let Some(place) = self.places.get(&one) {
            return *place;
        }
        let place = self.all.len() as u64;
        self.all.push(one.clone());
        self.places.insert(one, place);
        place
    }
}

/// Who a process is: pid, name, user, command line as places of texts, and its start.
type Identity = (u32, u64, u64, u64, i64);

/// Packs notes, the oldest first.
pub(super) fn encode(notes: &[ProcessNote]) -> Result<Vec<u8>, Fault> {
    let (mut texts, mut known) = (Met::new(), Met::new());
    let (mut body, mut resident) = (Vec::new(), HashMap::new());
    varint::put(&mut body, notes.len() as u64);
    let mut before = ProcessNote::default();
    for note in notes {
        varint::put_signed(&mut body, note.at_ms.wrapping_sub(before.at_ms));
        let looked_at = i64::from(note.looked_at) - i64::from(before.looked_at);
        varint::put_signed(&mut body, looked_at);
        for number in [note.span_ms, note.passed_over, note.lost] {
            varint::put(&mut body, u64::from(number));
        }
        body.push(note.disk_source as u8);
        varint::put(&mut body, note.processes.len() as u64);
        for one in &note.processes {
            let [name, user, command] =
                [&one.name, &one.user, &one.command].map(|text| texts.place(text.clone()));
            let place = known.place((one.pid, name, user, command, one.started_ms));
            varint::put(&mut body, place);
            put_process(&mut body, one, resident.entry(place).or_default());
        }
        varint::put(&mut body, note.services.len() as u64);
        for one in &note.services {
            varint::put(&mut body, texts.place(one.name.clone()));
            varint::put(&mut body, one.read_bytes_per_second);
            varint::put(&mut body, one.write_bytes_per_second);
        }
        before = ProcessNote {
            at_ms: note.at_ms,
            looked_at: note.looked_at,
            ..ProcessNote::default()
        };
    }
    framed(&texts.all, &known.all, &body)
}

/// What differs from note to note; memory as a step from what the process had before.
fn put_process(out: &mut Vec<u8>, one: &Process, resident: &mut u64) {
    let step = one.resident_kib.wrapping_sub(*resident) as i64;
    *resident = one.resident_kib;
    let numbers = [
        (CPU, u64::from(one.cpu_milli)),
        (CHILDREN, u64::from(one.children_milli)),
        (RESIDENT, varint::zigzag(step)),
        (READ, one.read_bytes_per_second),
        (WRITTEN, one.write_bytes_per_second),
    ];
    let there = numbers.iter().filter(|(_, number)| *number > 0);
    out.push(there.clone().fold(0, |mask, (bit, _)| mask | bit));
    there.for_each(|(_, number)| varint::put(out, *number));
}

/// Texts and processes before the notes that name them by their place.
fn framed(texts: &[String], known: &[Identity], body: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut plain = vec![PLAIN];
    varint::put(&mut plain, texts.len() as u64);
    for text in texts {
        varint::put(&mut plain, text.len() as u64);
        plain.extend_from_slice(text.as_bytes());
    }
    varint::put(&mut plain, known.len() as u64);
    let mut before_ms = 0i64;
    for (pid, name, user, command, started_ms) in known {
        for number in [u64::from(*pid), *name, *user, *command] {
            varint::put(&mut plain, number);
        }
        varint::put_signed(&mut plain, started_ms.wrapping_sub(before_ms));
        before_ms = *started_ms;
    }
    plain.extend_from_slice(body);
    if plain.len() < PACK_BYTES_MIN {
        return Ok(plain);
    }
    let mut packed = vec![PACKED];
    let squeezed = zstd::bulk::compress(&plain[1..], ZSTD_LEVEL)
        .map_err(|e| Fault::Sql(Trouble::Other(format!("zstd: {e}"))))?;
    packed.extend(squeezed);
    Ok(if packed.len() < plain.len() {
        packed
    } else {
        plain
    })
}

/// Reads what [`encode`] made.
pub(super) fn decode(payload: &[u8]) -> Result<Vec<ProcessNote>, Fault> {
    match payload.split_first() {
        Some((&PLAIN, body)) => unpack(body),
        Some((&PACKED, packed)) => {
            let body = unzip("a row of process notes", packed, BYTES_MAX)?;
            unpack(&body)
        }
        _ => Err(Fault::damaged("process notes of an unknown version")),
    }
}

fn unpack(body: &[u8]) -> Result<Vec<ProcessNote>, Fault> {
    let mut cursor = Cursor::new(body, "a row of process notes");
    let texts = texts(&mut cursor)?;
    let known = identities(&mut cursor, &texts)?;
    let mut resident = vec![0u64; known.len()];
    let mut notes: Vec<ProcessNote> = Vec::new();
    let (mut at_ms, mut looked_at) = (0i64, 0i64);
    for _ in 0..cursor.count(NOTES_MAX)? {
        at_ms = at_ms.wrapping_add(cursor.signed()?);
        looked_at = looked_at.wrapping_add(cursor.signed()?);
        let mut note = ProcessNote {
            at_ms,
            looked_at: small(looked_at as u64)?,
            span_ms: small(cursor.unsigned()?)?,
            passed_over: small(cursor.unsigned()?)?,
            lost: small(cursor.unsigned()?)?,
            disk_source: source(cursor.byte()?)?,
            ..ProcessNote::default()
        };
        for _ in 0..cursor.count(ENTRIES_MAX)? {
            let place = place(&mut cursor, known.len())?;
            let process = process(&mut cursor, &known[place], &mut resident[place])?;
            note.processes.push(process);
        }
        for _ in 0..cursor.count(ENTRIES_MAX)? {
            note.services.push(Service {
                name: texts[place(&mut cursor, texts.len())?].to_owned(),
                read_bytes_per_second: cursor.unsigned()?,
                write_bytes_per_second: cursor.unsigned()?,
            });
        }
        notes.push(note);
    }
    cursor.end()?;
    Ok(notes)
}

fn texts<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a str>, Fault> {
    let mut texts = Vec::new();
    for _ in 0..cursor.count(NOTES_MAX * ENTRIES_MAX * 4)? {
        let length = cursor.count(TEXT_BYTES_MAX)?;
        let text = std::str::from_utf8(cursor.take(length)?)
            .map_err(|_| Fault::damaged("process notes: a name is not UTF-8"))?;
        texts.push(text);
    }
    Ok(texts)
}

fn identities(cursor: &mut Cursor<'_>, texts: &[&str]) -> Result<Vec<Process>, Fault> {
    let mut known = Vec::new();
    let mut started_ms = 0i64;
    for _ in 0..cursor.count(NOTES_MAX * ENTRIES_MAX)? {
        let pid = small(cursor.unsigned()?)?;
        let mut text = || Ok::<_, Fault>(texts[place(cursor, texts.len())?].to_owned());
        let (name, user, command) = (text()?, text()?, text()?);
        started_ms = started_ms.wrapping_add(cursor.signed()?);
        known.push(Process {
            pid,
            name,
            user,
            command,
            started_ms,
            ..Process::default()
        });
    }
    Ok(known)
}

fn process(cursor: &mut Cursor<'_>, who: &Process, resident: &mut u64) -> Result<Process, Fault> {
    let mask = cursor.byte()?;
    let mut number = |bit: u8| match mask & bit {
        0 => Ok(0),
        _ => cursor.unsigned(),
    };
    let (cpu_milli, children_milli) = (small(number(CPU)?)?, small(number(CHILDREN)?)?);
    *resident = resident.wrapping_add_signed(varint::unzigzag(number(RESIDENT)?));
    Ok(Process {
        cpu_milli,
        children_milli,
        resident_kib: *resident,
        read_bytes_per_second: number(READ)?,
        write_bytes_per_second: number(WRITTEN)?,
        ..who.clone()
    })
}

fn place(cursor: &mut Cursor<'_>, length: usize) -> Result<usize, Fault> {
    let place = usize::try_from(cursor.unsigned()?).unwrap_or(usize::MAX);
    match place < length {
        true => Ok(place),
        false => Err(Fault::damaged("process notes: they name what is not there")),
    }
}

fn small(number: u64) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| Fault::damaged("process notes: a number is too large"))
}

fn source(byte: u8) -> Result<DiskSource, Fault> {
    [DiskSource::Process, DiskSource::Service, DiskSource::None]
        .into_iter()
        .find(|source| *source as u8 == byte)
        .ok_or_else(|| Fault::damaged("process notes: an unknown source"))
}
