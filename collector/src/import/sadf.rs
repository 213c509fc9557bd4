//! What `sadf -j` of sysstat prints: JSON with a statistic for each interval.
//!
//! sysstat tells rates and percentages over an interval; [`tables`] says which of our counters each
//! came from, and here they are summed up into them, from 0 at the start of the file. A file is
//! read statistic by statistic, never as a whole.

mod tables;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::gather::{Gatherer, Stopped, Track, is_time};
use super::input::Input;
use tables::{Reading, Take};

/// Longest interval that is believed: sar's own default is ten minutes.
const INTERVAL_SECONDS_MAX: f64 = 7.0 * 86_400.0;

/// Where the reading is: each level of the document above the statistics has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Document,
    Sysstat,
    Hosts,
    Host,
    Statistics,
    Restarts,
}

struct Reader<'a> {
    gatherer: &'a mut Gatherer,
    tracks: HashMap<String, Vec<Track>>,
    sums: HashMap<String, f64>,
    nodes: HashSet<String>,
    statistics: u64,
    /// Whether the statistics came to an end because nobody wants them.
    stopped: bool,
}

/// Reads the whole file.
pub(super) fn read(input: &mut Input, gatherer: &mut Gatherer) -> anyhow::Result<()> {
    let mut reader = Reader {
        gatherer,
        tracks: HashMap::new(),
        sums: HashMap::new(),
        nodes: HashSet::new(),
        statistics: 0,
        stopped: false,
    };
    let mut json = serde_json::Deserializer::from_reader(input.bytes());
    let walk = Walk {
        reader: &mut reader,
        level: Level::Document,
    };
    let walked = walk.deserialize(&mut json).and_then(|()| json.end());
    match walked {
        Err(_) if reader.stopped => Err(Stopped.into()),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            let what = format!("expected what `sadf -j` prints, found: {what}");
            Err(input.wrong_at(line, column, &what))
        }
        Ok(()) if reader.statistics == 0 => {
            let what = "expected what `sadf -j` prints, found no statistics in it";
            Err(input.wrong_at(1, 1, what))
        }
        Ok(()) => Ok(()),
    }
}

impl Reader<'_> {
    /// Something the host says about itself.
    fn fact(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let facts = &mut self.gatherer.tally.facts;
        let text = || {
            value
                .as_str()
                .unwrap_or_default()
                .chars()
                .take(256)
                .collect()
        };
        match key {
            "release" => facts.kernel = text(),
            "machine" => facts.arch = text(),
            "number-of-cpus" => facts.cpus = value.as_u64().unwrap_or(0).min(1 << 20) as u32,
            "nodename" => {
                self.nodes.insert(text());
                if self.nodes.len() > 1 {
                    return Err("a second host; import each host's file by itself".into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn statistic(&mut self, value: &Value) -> Result<(), String> {
        self.statistics += 1;
        let Some(stamp) = value.get("timestamp") else {
            // A comment, or the mark of a restart: nothing was measured.
            return Ok(());
        };
        let time_ms = moment(stamp)?;
        let seconds = stamp.get("interval").and_then(Value::as_f64);
        let seconds = seconds
            .filter(|s| (0.0..=INTERVAL_SECONDS_MAX).contains(s))
            .ok_or("a timestamp without an interval in seconds")?;
        for reading in tables::readings(value) {
            self.take(&reading, seconds, time_ms)?;
        }
        Ok(())
    }

    fn take(&mut self, reading: &Reading, seconds: f64, time_ms: i64) -> Result<(), String> {
        let Reading {
            from,
            metric,
            labels,
            take,
        } = reading;
        let key = format!("{metric}{labels:?}");
        let value = match take {
            Take::Value(value) => *value,
            Take::Rate(rate) => {
                let sum = self.sums.entry(key.clone()).or_default();
                if rate.is_finite() {
                    *sum += rate.max(0.0) * seconds;
                }
                *sum
            }
        };
        if !self.tracks.contains_key(&key) {
            let tracks = self.gatherer.track(from, metric, labels, (None, 1.0))?;
            self.tracks.insert(key.clone(), tracks);
        }
        let tracks = self.tracks.get_mut(&key);
        let tracks = tracks.map(Vec::as_mut_slice).unwrap_or_default();
        self.gatherer
            .take(tracks, time_ms, value)
            .map_err(|stopped| {
                self.stopped = true;
                stopped.to_string()
            })
    }

    fn restart(&mut self, value: &Value) -> Result<(), String> {
        let Some(boot) = value.get("boot") else {
            return Ok(());
        };
        let time_ms = moment(boot)?;
        let reading = Reading {
            from: "restarts.boot".into(),
            metric: "node_boot_time_seconds",
            labels: Vec::new(),
            take: Take::Value(time_ms.div_euclid(1000) as f64),
        };
        self.take(&reading, 0.0, time_ms)
    }
}

/// A date and a time of day, which must be UTC: nothing in the file says what else it would be.
fn moment(stamp: &Value) -> Result<i64, String> {
    let text = |key: &str| stamp.get(key).and_then(Value::as_str);
    let (Some(date), Some(time)) = (text("date"), text("time")) else {
        return Err("a timestamp without date and time".into());
    };
    let utc = stamp.get("utc").and_then(Value::as_i64) == Some(1)
        || matches!(text("tz"), Some("UTC" | "GMT"));
    if !utc {
        return Err(
            "local time, which is another one twice a year: run `sadf -j` without -t and -T".into(),
        );
    }
    let at: jiff::Timestamp = format!("{}T{time}Z", date.replace('/', "-"))
        .parse()
        .map_err(|_| format!("{date:?} {time:?}, which is no time"))?;
    let time_ms = at.as_millisecond();
    if is_time(time_ms) {
        Ok(time_ms)
    } else {
        Err(format!("{date:?}, which is not between 1970 and 2200"))
    }
}

/// Goes down to the statistics and hands each on as it is read.
struct Walk<'r, 'g> {
    reader: &'r mut Reader<'g>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.level {
            Level::Document | Level::Sysstat | Level::Host => json.deserialize_map(self),
            Level::Hosts | Level::Statistics | Level::Restarts => json.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Document => "an object with \"sysstat\"",
            Level::Sysstat => "an object with \"hosts\"",
            Level::Hosts => "the list of hosts",
            Level::Host => "a host",
            Level::Statistics => "the list of statistics",
            Level::Restarts => "the list of restarts",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { reader, level } = self;
        while let Some(key) = map.next_key::<String>()? {
            let down = match (level, key.as_str()) {
                (Level::Document, "sysstat") => Some(Level::Sysstat),
                (Level::Sysstat, "hosts") => Some(Level::Hosts),
                (Level::Host, "statistics") => Some(Level::Statistics),
                (Level::Host, "restarts") => Some(Level::Restarts),
                _ => None,
            };
            if let Some(level) = down {
                map.next_value_seed(Walk {
                    reader: &mut *reader,
                    level,
                })?;
            } else if level == Level::Host {
                let value: Value = map.next_value()?;
                reader.fact(&key, &value).map_err(de::Error::custom)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Walk { reader, level } = self;
        if level == Level::Hosts {
            while list
                .next_element_seed(Walk {
                    reader: &mut *reader,
                    level: Level::Host,
                })?
                .is_some()
            {}
            return Ok(());
        }
        while let Some(value) = list.next_element::<Value>()? {
            let done = match level {
                Level::Restarts => reader.restart(&value),
                _ => reader.statistic(&value),
            };
            done.map_err(de::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format::Sadf;
    use super::super::mapping::Mapping;
    use super::super::tests::{read_text, sample, samples};
    use proptest::prelude::*;

    /// A file with these statistics, of ten minutes each.
    fn file(statistics: &[&str]) -> String {
        let list: Vec<String> = statistics
            .iter()
            .enumerate()
            .map(|(i, s)| {
                format!(
                    "{{\"timestamp\": {{\"date\": \"2020-09-13\", \"time\": \"12:{}0:00\", \
                     \"utc\": 1, \"interval\": 600}}, {s}}}",
                    i + 1
                )
            })
            .collect();
        format!(
            "{{\"sysstat\": {{\"hosts\": [{{\"nodename\": \"a\", \"release\": \"6.1\", \
             \"machine\": \"x86_64\", \"number-of-cpus\": 2, \"statistics\": [{}], \"restarts\": \
             [{{\"boot\": {{\"date\": \"2020-09-13\", \"time\": \"12:05:00\", \"utc\": 1}}}}]}}]}}}}",
            list.join(",\n")
        )
    }

    const FIRST_MS: i64 = 1_599_999_000_000;

    #[test]
    fn percentages_and_rates_become_the_counters_they_came_from() {
        let cpu = "\"cpu-load\": [{\"cpu\": \"all\", \"user\": 1.00, \"idle\": 99.00},\
            {\"cpu\": \"0\", \"usr\": 25.00, \"guest\": 5.00, \"idle\": 70.00}]";
        let disk = "\"disk\": [{\"disk-device\": \"sda\", \"tps\": 2.0, \"rd_sec\": 10.0, \
            \"util-percent\": 50.00}]";
        let text = file(&[&format!("{cpu}, {disk}"), cpu]);
        let (got, tally) = read_text(Sadf, &text, Mapping::default()).unwrap();
        let of = |name: &str| -> Vec<(i64, f64)> {
            let wanted = got.iter().filter(|s| s.0 == name);
            wanted.map(|s| (s.1 - FIRST_MS, s.2)).collect()
        };
        assert_eq!(
            of("node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}"),
            [(0, 180.0), (600_000, 360.0)]
        );
        assert_eq!(
            of("node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}"),
            [(0, 420.0), (600_000, 840.0)]
        );
        assert_eq!(
            of("node_disk_read_bytes_total{device=\"sda\"}"),
            [(0, 3_072_000.0)]
        );
        assert_eq!(
            of("node_disk_io_time_seconds_total{device=\"sda\"}"),
            [(0, 300.0)]
        );
        assert_eq!(of("node_boot_time_seconds"), [(-300_000, 1_599_998_700.0)]);
        // CPU "all" is told by the single ones.
        assert!(!got.iter().any(|s| s.0.contains("\"all\"")));
        assert_eq!((tally.facts.cpus, tally.facts.kernel.as_str()), (2, "6.1"));
    }

    /// A table as some version prints it, and samples it must give.
    type Table = (&'static str, &'static [(&'static str, f64)]);

    const TABLES: &[Table] = &[
        // Used was everything but free, later everything but free and caches.
        (
            "\"memory\": {\"memfree\": 1, \"memused\": 3, \"memused-percent\": 75.00, \"buffers\": 1, \"cached\": 1}",
            &[
                ("node_memory_MemTotal_bytes", 4096.0),
                ("node_memory_MemFree_bytes", 1024.0),
            ],
        ),
        (
            "\"memory\": {\"memfree\": 1, \"avail\": 6, \"memused\": 2, \"memused-percent\": 20.00, \"buffers\": 3, \"cached\": 3, \"slab\": 1}",
            &[
                ("node_memory_MemTotal_bytes", 10240.0),
                ("node_memory_MemAvailable_bytes", 6144.0),
            ],
        ),
        (
            "\"memory\": {\"swpfree\": 3, \"swpused\": 1}",
            &[("node_memory_SwapTotal_bytes", 4096.0)],
        ),
        (
            "\"interrupts\": [{\"intr\": \"sum\", \"value\": 2.00}, {\"intr\": \"0\", \"value\": 1.00}]",
            &[("node_intr_total", 1200.0)],
        ),
        (
            "\"interrupts\": [{\"intr\": \"sum\", \"all\": 2.00}]",
            &[("node_intr_total", 1200.0)],
        ),
        (
            "\"queue\": {\"runq-sz\": 1, \"plist-sz\": 9, \"ldavg-1\": 0.25, \"blocked\": 2}",
            &[("node_load1", 0.25), ("node_procs_blocked", 2.0)],
        ),
        (
            "\"disk\": [{\"disk-device\": \"a\", \"rkB\": 1.0, \"aqu-sz\": 0.5}]",
            &[
                ("node_disk_read_bytes_total{device=\"a\"}", 614_400.0),
                (
                    "node_disk_io_time_weighted_seconds_total{device=\"a\"}",
                    300.0,
                ),
            ],
        ),
        (
            "\"network\": {\"net-dev\": [{\"iface\": \"eth0\", \"rxkB\": 1.0}], \"net-etcp\": {\"retrans\": 1.0}}",
            &[
                (
                    "node_network_receive_bytes_total{device=\"eth0\"}",
                    614_400.0,
                ),
                ("node_netstat_Tcp_RetransSegs", 600.0),
            ],
        ),
        (
            "\"filesystems\": [{\"filesystem\": \"/dev/sda1\", \"MBfsfree\": 3, \"MBfsused\": 1, \"%ufsused\": 50.00, \"Ifree\": 2, \"Iused\": 1}]",
            &[
                (
                    "node_filesystem_size_bytes{device=\"/dev/sda1\",fstype=\"\",mountpoint=\"/dev/sda1\"}",
                    4_194_304.0,
                ),
                (
                    "node_filesystem_avail_bytes{device=\"/dev/sda1\",fstype=\"\",mountpoint=\"/dev/sda1\"}",
                    2_097_152.0,
                ),
            ],
        ),
        (
            "\"filesystems\": [{\"mountpoint\": \"/\", \"MBfsfree\": 3, \"MBfsused\": 1, \"ufsused-percent\": 50.00}]",
            &[(
                "node_filesystem_free_bytes{device=\"\",fstype=\"\",mountpoint=\"/\"}",
                3_145_728.0,
            )],
        ),
        (
            "\"psi\": {\"psi-io\": {\"some_avg\": 10.0, \"full_avg\": 5.0}}",
            &[("node_pressure_io_stalled_seconds_total", 30.0)],
        ),
    ];

    #[test]
    fn the_tables_of_old_and_new_versions_are_read() {
        for (table, expected) in TABLES {
            let got = samples(Sadf, &file(&[table])).unwrap();
            for (name, value) in *expected {
                assert!(
                    got.contains(&sample(name, FIRST_MS, *value)),
                    "{name}: {got:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_output_of_sadf_is_refused_with_its_place() {
        for (text, expected) in [
            ("".to_owned(), "file:1:0: expected what `sadf -j` prints"),
            ("[]".to_owned(), "an object with \"sysstat\""),
            ("{\"a\": 1}".to_owned(), "found no statistics"),
            ("{\"sysstat\":\n{\"hosts\": 3}}".to_owned(), "file:2:"),
            (
                file(&["\"x\": 1"]).replace("\"utc\": 1, \"int", "\"utc\": 0, \"int"),
                "local time",
            ),
            (
                file(&["\"x\": 1"]).replace("\"interval\": 600", "\"x\": 1"),
                "without an interval",
            ),
            (
                file(&["\"x\": 1"]).replace("12:10:00", "25:10:00"),
                "which is no time",
            ),
            (
                file(&["\"x\": 1"])
                    .replace("\"statistics\"", "\"nodename\": \"b\", \"statistics\""),
                "a second host",
            ),
        ] {
            let error = samples(Sadf, &text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(table in "[a-z\"]{1,8}", value in "[0-9a-z\"{}\\[\\]:, .-]{0,60}") {
            let _ = samples(Sadf, &file(&[&format!("\"{table}\": {value}")]));
            let _ = samples(Sadf, &value);
        }

        #[test]
        fn any_values_in_known_tables_are_read(number: f64, key in "[a-z\\-]{1,9}") {
            let _ = samples(Sadf, &file(&[&format!(
                "\"cpu-load\": [{{\"cpu\": {number:?}, \"{key}\": 1}}, 4], \"memory\": [{{\"{key}\": {number:?}}}]"
            )]));
        }
    }
}
