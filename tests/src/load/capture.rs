//! One real host, recorded once a second: what simulated hosts are derived from.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use hostwell_proto::metric::Metric;

/// A series of the capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The metric's name.
    pub metric: String,
    /// Sorted by name.
    pub labels: Vec<(String, String)>,
    /// Native units in one base unit: 100 ticks a second, 1000 ms, 1 byte.
    pub units: f64,
    /// Whole native units, one a row.
    pub values: Vec<i64>,
}

impl Recorded {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it only grows, by its name.
    pub fn is_counter(&self) -> bool {
        self.metric.ends_with("_total")
    }

    /// Whether it never moves.
    pub fn is_constant(&self) -> bool {
        self.values.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// The whole recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// In the order of the file.
    pub series: Vec<Recorded>,
}

impl Capture {
    /// Reads a CSV file, packed by gzip when its name ends in `.gz`: the first line names the
    /// series, the first column is the time in seconds.
    ///
    /// # Errors
    /// When it cannot be read, or is no such file.
    pub fn read(path: &Path) -> anyhow::Result<Capture> {
        let doing = || format!("read the capture {}", path.display());
        let mut file = std::fs::File::open(path).with_context(doing)?;
        let mut text = String::new();
        if path.extension().is_some_and(|e| e == "gz") {
            let mut unpacked = flate2::read::GzDecoder::new(file);
            unpacked.read_to_string(&mut text).with_context(doing)?;
        } else {
            file.read_to_string(&mut text).with_context(doing)?;
        }
        Capture::parse(&text).with_context(doing)
    }

    /// Reads CSV text.
    ///
    /// # Errors
    /// When it is not a table of numbers under names of series.
    pub fn parse(text: &str) -> anyhow::Result<Capture> {
        let mut lines = text.lines();
        let head = fields(lines.next().unwrap_or_default());
        if head.len() < 2 {
            bail!("the first line names no series");
        }
        let mut series: Vec<Recorded> = head[1..].iter().map(|name| named(name)).collect();
        for (number, line) in lines.enumerate().filter(|(_, l)| !l.is_empty()) {
            let cells: Vec<&str> = line.split(',').skip(1).collect();
            if cells.len() != series.len() {
                let (got, wanted) = (cells.len(), series.len());
                bail!("line {}: {got} values for {wanted} series", number + 2);
            }
            for (recorded, cell) in series.iter_mut().zip(cells) {
                let value: f64 = cell
                    .parse()
                    .with_context(|| format!("line {}: {cell:?} is no number", number + 2))?;
                recorded.values.push(match recorded.metric.as_str() {
                    // The only ones with decimals; their native unit is a hundredth.
                    load if load.starts_with("node_load") => (value * 100.0).round() as i64,
                    _ => value.round() as i64,
                });
            }
        }
        if series[0].values.len() < 3 {
            bail!("fewer than three rows");
        }
        Ok(Capture { series })
    }

    /// How many seconds it lasts.
    pub fn rows(&self) -> usize {
        self.series[0].values.len()
    }
}

/// Splits a line at commas outside quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

/// `metric{name=value,…} [unit]`.
fn named(text: &str) -> Recorded {
    let (name, unit) = text.split_once(" [").unwrap_or((text, ""));
    let (metric, inner) = name.split_once('{').unwrap_or((name, ""));
    let mut labels: Vec<(String, String)> = inner
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();
    // What the recording leaves out and every series of the metric must have.
    let wanted = Metric::by_name(metric).map_or(&[][..], |m| m.descriptor().labels);
    for name in wanted {
        if labels.iter().all(|(given, _)| given != name) {
            labels.push(((*name).to_owned(), "unknown".to_owned()));
        }
    }
    labels.sort();
    let units = match unit {
        ticks if ticks.starts_with("ticks") => 100.0,
        ms if ms.starts_with("ms") => 1000.0,
        _ if metric.starts_with("node_load") => 100.0,
        _ => 1.0,
    };
    Recorded {
        metric: metric.to_owned(),
        labels,
        units,
        values: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_native_units_come_from_the_first_line() {
        let text = "time,\"c_total{mode=user,cpu=0} [ticks of 0.01 s]\",node_load1,d_total [ms]\n\
                    1,10,0.29,5\n2,11,0.30,6\n3,12,0.31,7\n";
        let capture = Capture::parse(text).unwrap();
        let [cpu, load, disk] = &capture.series[..] else {
            panic!("three series");
        };
        assert_eq!(
            (cpu.label("cpu"), cpu.label("mode")),
            (Some("0"), Some("user"))
        );
        assert_eq!((cpu.units, load.units, disk.units), (100.0, 100.0, 1000.0));
        assert_eq!(load.values, [29, 30, 31]);
        assert_eq!(capture.rows(), 3);
    }

    #[test]
    fn labels_that_the_catalogue_wants_are_there() {
        let text = "time,node_filesystem_size_bytes{mountpoint=/}\n1,5\n2,5\n3,5\n";
        let labels = &Capture::parse(text).unwrap().series[0].labels;
        let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["device", "fstype", "mountpoint"]);
    }

    #[test]
    fn a_file_that_is_no_capture_is_refused_with_its_line() {
        for (text, part) in [
            ("", "names no series"),
            ("time,a\n1,2,3\n", "line 2: 2 values for 1 series"),
            ("time,a\n1,2\n2,x\n", "line 3: \"x\" is no number"),
            ("time,a\n1,2\n", "fewer than three rows"),
        ] {
            let told = format!("{:#}", Capture::parse(text).unwrap_err());
            assert!(told.contains(part), "{text:?}: {told}");
        }
        let absent = Capture::read(Path::new("/nowhere/c.csv.gz")).unwrap_err();
        assert!(format!("{absent:#}").contains("/nowhere/c.csv.gz"));
    }
}
