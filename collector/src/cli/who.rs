//! Who runs this command, as far as the operating system says: a claim, nothing that proves it.

/// The name of the operating system's user, or their number where they have no name here.
pub(super) fn claimed() -> String {
    let uid = rustix::process::getuid().as_raw();
    let table = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&table, uid)
        .map(str::to_owned)
        // A user of a directory service is not in the file.
        .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| format!("uid {uid}"))
}

/// The name that goes with a number in the text of a passwd file.
fn named(table: &str, uid: u32) -> Option<&str> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number_and_broken_lines_are_passed_over() {
        let table = "root:x:0:0:root:/root:/bin/sh\nbroken\n::::\nanna:x:1000:1000::/home/anna:\n";
        assert_eq!(named(table, 0), Some("root"));
        assert_eq!(named(table, 1000), Some("anna"));
        assert_eq!(named(table, 7), None);
    }
}
