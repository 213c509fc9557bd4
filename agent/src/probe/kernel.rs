//! What runs here and since when: `uname`, os-release, `/proc/uptime`.

use hostwell_proto::metric::Metric;

use super::kept::KeptFile;
use super::scan::{self, Malformed};
use super::{Probe, ProbeError};
use crate::facts;
use crate::sample::{Readings, SeriesNumber, SeriesTable};
use crate::source::Source;

/// The words of os-release, in the order of the metric's labels.
const OS_WORDS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];

fn parse_uptime(text: &[u8]) -> Result<f64, Malformed> {
    let first = scan::fields(text).next().and_then(scan::fraction);
    first.filter(|s| *s >= 0.0).ok_or(Malformed {
        line: 1,
        what: "expected seconds since boot",
    })
}

/// Major and minor of a version such as `22.04` or `8.10.3`, as one number.
fn parse_version(version: &str) -> Option<f64> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let major = digits(version);
    let rest = version[major..].strip_prefix('.').unwrap_or_default();
    let minor = digits(rest);
    match (major, minor) {
        (0, _) => None,
        (_, 0) => version[..major].parse().ok(),
        _ => version[..major + 1 + minor].parse().ok(),
    }
}

/// uname and os-release are asked again every so many readings: a running kernel keeps its name.
const ASK_EVERY: u64 = 10;

/// The probe.
#[derive(Debug)]
pub(super) struct Kernel {
    uptime: KeptFile,
    /// What uname and os-release said.
    known: Vec<(SeriesNumber, f64)>,
    readings: u64,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            uptime: KeptFile::whole("proc/uptime"),
            known: Vec::new(),
            readings: 0,
        }
    }
}

/// What uname and os-release say now.
fn names(source: &Source, table: &mut SeriesTable) -> Vec<(SeriesNumber, f64)> {
    let mut found = Vec::new();
    let uname = source.uname();
    if !uname.sysname.is_empty() {
        let labels = [
            &uname.domainname,
            &uname.machine,
            &uname.nodename,
            &uname.release,
            &uname.sysname,
            &uname.version,
        ];
        let labels = labels.map(String::as_str);
        found.push((table.number(Metric::UnameInfo, &labels), 1.0));
    }
    let text = facts::os_release(source);
    let os = OS_WORDS.map(|word| facts::os_word(&text, word));
    let os = os.each_ref().map(String::as_str);
    if os.iter().any(|value| !value.is_empty()) {
        found.push((table.number(Metric::OsInfo, &os), 1.0));
        let [_, id, id_like, _, _, name, .., version] = os;
        if let Some(version) = parse_version(version) {
            let number = table.number(Metric::OsVersion, &[id, id_like, name]);
            found.push((number, version));
        }
    }
    found
}

impl Probe for Kernel {
    fn read(&mut self, source: &Source, out: &mut Readings<'_>) -> Result<(), ProbeError> {
        let before = out.readings.len();
        if self.readings.is_multiple_of(ASK_EVERY) {
            self.known = names(source, out.table);
        }
        self.readings += 1;
        out.readings.extend_from_slice(&self.known);
        let path = self.uptime.path();
        match self.uptime.read(source) {
            Ok(text) => {
                let seconds = parse_uptime(text).map_err(|m| m.at(path))?;
                out.add(Metric::Uptime, &[], seconds);
            }
            Err(ProbeError::Absent) => {}
            Err(e) => return Err(e),
        }
        match out.readings.len() > before {
            true => Ok(()),
            false => Err(ProbeError::Absent),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_version_is_its_major_and_minor() {
        for (text, version) in [
            ("12", Some(12.0)),
            ("22.04", Some(22.04)),
            ("8.10.3", Some(8.1)),
            ("7.", Some(7.0)),
            ("rolling", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), version, "{text:?}");
        }
    }

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(parse_uptime(b"350735.47 234388.90\n"), Ok(350_735.47));
        assert!(parse_uptime(b"-1 2\n").is_err() && parse_uptime(b"").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = (parse_version(&text), parse_uptime(text.as_bytes()));
        }
    }
}
