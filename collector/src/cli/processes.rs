//! How users of a resource are laid out.

use std::io;

use super::console::Console;
use super::table::{Align, Cell, Table, Tone};
use crate::answer::range::format_ms;
use crate::processes::{Busiest, DiskSource, Resource, Suspects, User};
use crate::words::{bytes, bytes_per_second, count, duration, share};

/// When what is shown with a finding was: "in the 1 min up to 2026-11-22 15:03 UTC".
pub(super) fn when(found: &Suspects) -> String {
    format!(
        "in the {} up to {}",
        duration(found.span_ms),
        format_ms(found.at_ms)
    )
}

/// Who uses a resource, the most first.
pub(super) fn users(resource: Resource, users: &[User], console: &mut Console) -> io::Result<()> {
    let commands = has_commands(users);
    let mut table = table(commands);
    rows(&mut table, (word(resource), commands), users);
    console.table(&table)
}

/// The newest note of a host.
pub(super) fn busiest(noted: &Busiest, console: &mut Console) -> io::Result<()> {
    let mut head = format!(
        "Who used most in the {} up to {}, {} ago, of {} processes",
        duration(noted.span_ms),
        format_ms(noted.at_ms),
        super::words::span(noted.age_ms),
        count(f64::from(noted.looked_at)),
    );
    if noted.passed_over > 0 {
        head += &format!(" ({} more were not looked at)", noted.passed_over);
    }
    if noted.lost > 0 {
        head += &format!("; {} notes before were lost", noted.lost);
    }
    console.line(&head)?;
    let all = [
        (Resource::Cpu, &noted.cpu),
        (Resource::Memory, &noted.memory),
        (Resource::Disk, &noted.disk),
    ];
    let commands = all.iter().any(|(_, users)| has_commands(users));
    let mut table = table(commands);
    for (resource, users) in all {
        rows(&mut table, (word(resource), commands), users);
    }
    console.table(&table)?;
    match noted.disk_source {
        DiskSource::Process => Ok(()),
        DiskSource::Service => console.line(
            "Disks by service: the kernel shows this agent no other users' processes' traffic.",
        ),
        DiskSource::None => console.line(
            "Nothing of disks: the kernel shows this agent neither processes' nor services' traffic.",
        ),
    }
}

fn word(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "CPU",
        Resource::Memory => "memory",
        Resource::Disk => "disk",
        Resource::DiskWrites => "disk writes",
    }
}

fn has_commands(users: &[User]) -> bool {
    users.iter().any(|user| !user.command.is_empty())
}

fn table(commands: bool) -> Table {
    let mut columns = vec![
        ("OF", Align::Left),
        ("PROCESS", Align::Flexible),
        ("PID", Align::Right),
        ("USER", Align::Flexible),
        ("CPU", Align::Right),
        ("ITS CHILDREN", Align::Right),
        ("MEMORY", Align::Right),
        ("READS", Align::Right),
        ("WRITES", Align::Right),
        ("STARTED", Align::Left),
    ];
    if commands {
        columns.push(("COMMAND", Align::Flexible));
    }
    Table::new(&columns)
}

fn rows(table: &mut Table, (of, commands): (&str, bool), users: &[User]) {
    for (place, user) in users.iter().enumerate() {
        let rate = |rate: u64| match rate {
            0 => Cell::toned("-", Tone::Faint),
            rate => bytes_per_second(rate as f64).into(),
        };
        let part = |part: f64| match part > 0.0 {
            false => Cell::toned("-", Tone::Faint),
            true => share(part).into(),
        };
        let mut row = vec![
            if place == 0 { of } else { "" }.into(),
            (&user.name).into(),
            user.pid
                .map_or_else(|| "-".into(), |pid| pid.to_string().into()),
            (&user.user).into(),
            part(user.cpu),
            part(user.children_cpu),
            match user.resident_bytes {
                0 => Cell::toned("-", Tone::Faint),
                resident => bytes(resident as f64).into(),
            },
            rate(user.read_bytes_per_second),
            rate(user.write_bytes_per_second),
            user.started_ms
                .map_or_else(|| "-".into(), |ms| format_ms(ms).into()),
        ];
        if commands {
            row.push((&user.command).into());
        }
        table.row(row);
    }
}
