//! The table of settings: one row each, everything else derives.

use std::path::PathBuf;
use std::time::Duration;

use super::units::{bytes, duration, flag, ratio};
use super::{Compression, Config, INTERVAL_MAX, INTERVAL_MIN, LABELS_MAX, SLOW_EVERY_MAX};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted key: `spool.bytes_max` is `bytes_max` of the file's `[spool]` table.
    pub key: &'static str,
    /// What it is for, for the example file and for `--help`.
    pub doc: &'static str,
    /// The value the example shows, as TOML.
    pub example: &'static str,
    /// Whether the example's line is live or commented out.
    pub live: bool,
    /// Checks a value and puts it in its place.
    pub(super) set: fn(&mut Config, &Value) -> Result<(), String>,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!(
            "{}{}",
            super::load::PREFIX,
            self.key.replace('.', "_").to_ascii_uppercase()
        )
    }

    /// The flag that sets it, without the dashes.
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }
}

/// A value from any of the three places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A scalar as text. Lists and tables from a flag come this way too, separated by commas.
    Text(String),
    /// A TOML array.
    List(Vec<String>),
    /// A TOML table of scalars.
    Table(Vec<(String, String)>),
}

impl Value {
    fn text(&self) -> Result<&str, String> {
        match self {
            Value::Text(text) => Ok(text),
            Value::List(_) => Err("expected one value, got a list".into()),
            Value::Table(_) => Err("expected one value, got a table".into()),
        }
    }

    fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Value::List(items) => Ok(items.clone()),
            Value::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(String::from)
                .collect()),
            Value::Table(_) => Err("expected a list, got a table".into()),
        }
    }

    fn table(&self) -> Result<Vec<(String, String)>, String> {
        match self {
            Value::Table(rows) => Ok(rows.clone()),
            Value::List(_) => Err("expected a table, got a list".into()),
            Value::Text(_) => self
                .list()?
                .iter()
                .map(|item| match item.split_once('=') {
                    Some((name, value)) => Ok((name.trim().into(), value.trim().into())),
                    None => Err(format!("expected name=value, got {item:?}")),
                })
                .collect(),
        }
    }
}

macro_rules! settings {
    ($($key:literal, $live:literal, $example:literal, $doc:literal, $set:expr;)*) => {
        /// Every setting, in the order of the example file.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            key: $key, doc: $doc, example: $example, live: $live, set: $set,
        }),*];
    };
}

settings! {
    "collector", true, r#""http://127.0.0.1:7443""#,
    "Where samples go. Plain http:// reaches loopback only; anything else is https:// with [tls].",
    |c, v| { c.collector = Some(v.text()?.to_string()); Ok(()) };

    "interval", true, r#""10s""#,
    "Time between two samples, 1s to 1h; ticks are aligned to the wall clock.",
    |c, v| { c.interval = within(duration(v.text()?)?, INTERVAL_MIN, INTERVAL_MAX)?; Ok(()) };

    "send_every", false, r#""10s""#,
    "Samples of this much time travel together; never less than the interval.",
    |c, v| { c.send_every = within(duration(v.text()?)?, INTERVAL_MIN, INTERVAL_MAX)?; Ok(()) };

    "compression", false, r#""none""#,
    "\"gzip\" compresses what is sent: a quarter fewer bytes on a poor line, for some CPU and memory.",
    |c, v| { c.compression = compression(v.text()?)?; Ok(()) };

    "state_dir", true, r#""/var/lib/hostwell-agent""#,
    "Holds the host's identity and the spool. Never copy it to another host.",
    |c, v| { c.state_dir = path(v)?; Ok(()) };

    "root", false, r#""/""#,
    "Where the host's own / is seen from here, such as /host in a container.",
    |c, v| { c.root = path(v)?; Ok(()) };

    "fixture", false, r#""tests/fixtures/vm""#,
    "Reads a recorded machine instead of this one; for tests.",
    |c, v| { c.fixture = Some(path(v)?); Ok(()) };

    "host_name", false, r#""db1.example.org""#,
    "What the host calls itself instead of its nodename.",
    |c, v| { c.host_name = Some(name(v)?); Ok(()) };

    "labels", false, r#"{ site = "fra1", team = "db" }"#,
    "Labels for grouping; the operator's labels at the collector win over these.",
    |c, v| { c.labels = labels(v)?; Ok(()) };

    "tls.ca", false, r#""/etc/hostwell/tls/ca.pem""#,
    "The authority that signed the collector's certificate.",
    |c, v| { c.tls.ca = Some(path(v)?); Ok(()) };

    "tls.cert", false, r#""/etc/hostwell/tls/agent.pem""#,
    "This agent's own certificate, where the collector asks for one.",
    |c, v| { c.tls.cert = Some(path(v)?); Ok(()) };

    "tls.key", false, r#""/etc/hostwell/tls/agent.key""#,
    "The private key of that certificate.",
    |c, v| { c.tls.key = Some(path(v)?); Ok(()) };

    "tls.server_name", false, r#""collector.example.org""#,
    "The name in the collector's certificate, where it is not the one in the URL.",
    |c, v| { c.tls.server_name = Some(name(v)?); Ok(()) };

    "spool.bytes_max", true, r#""256MiB""#,
    "Most bytes kept on disk while the collector is away; the oldest go first.",
    |c, v| { c.spool.bytes_max = within(bytes(v.text()?)?, 1 << 20, 1 << 40)?; Ok(()) };

    "spool.age_max", true, r#""7d""#,
    "Longest time a sample is kept.",
    |c, v| {
        let (min, max) = (Duration::from_secs(60), Duration::from_secs(400 * 86_400));
        c.spool.age_max = within(duration(v.text()?)?, min, max)?;
        Ok(())
    };

    "spool.free_bytes_min", true, r#""1GiB""#,
    "The spool shrinks rather than leave its file system with less than this.",
    |c, v| { c.spool.free_bytes_min = bytes(v.text()?)?; Ok(()) };

    "spool.free_ratio_min", true, r#""10%""#,
    "The same as a share of the file system.",
    |c, v| { c.spool.free_ratio_min = ratio(v.text()?)?; Ok(()) };

    "probes.disabled", false, r#"["load"]"#,
    "Probes that do not run, by the names in hostwell_probe_success.",
    |c, v| { c.probes_disabled = probe_names(v)?; Ok(()) };

    "probes.slow_every", false, r#""1m""#,
    "File systems, links, temperatures and other slow subjects are read once in this time.",
    |c, v| { c.probes.slow_every = within(duration(v.text()?)?, INTERVAL_MIN, SLOW_EVERY_MAX)?; Ok(()) };

    "probes.interfaces_include", false, r#"["veth-uplink*"]"#,
    "Interfaces sampled although interfaces_exclude names them; * and ? are wild.",
    |c, v| { c.probes.interfaces_include = v.list()?; Ok(()) };

    "probes.interfaces_exclude", false, r#"["lo", "veth*", "docker*", "usb*"]"#,
    "Interfaces not sampled, instead of the default: loopback, virtual and container interfaces.",
    |c, v| { c.probes.interfaces_exclude = v.list()?; Ok(()) };

    "probes.disks_include", false, r#"["loop0"]"#,
    "Block devices sampled although they are partitions or RAM, loop or floppy disks.",
    |c, v| { c.probes.disks_include = v.list()?; Ok(()) };

    "probes.disks_exclude", false, r#"["sdz*"]"#,
    "Block devices not sampled.",
    |c, v| { c.probes.disks_exclude = v.list()?; Ok(()) };

    "probes.mountpoints_exclude", false, r#"["/mnt/backup*"]"#,
    "Mount points not sampled.",
    |c, v| { c.probes.mountpoints_exclude = v.list()?; Ok(()) };

    "probes.network_filesystems", false, "false",
    "Whether NFS, CIFS and the like are asked for their size.",
    |c, v| { c.probes.network_filesystems = flag(v.text()?)?; Ok(()) };

    "processes.enabled", false, "true",
    "Whether the five busiest processes by CPU, memory and disk are noted, once a minute.",
    |c, v| { c.processes.enabled = flag(v.text()?)?; Ok(()) };

    "processes.command_line", false, "false",
    "Whether their command lines are told too: they may hold secrets.",
    |c, v| { c.processes.command_line = flag(v.text()?)?; Ok(()) };
}

fn within<T: PartialOrd + std::fmt::Debug>(value: T, min: T, max: T) -> Result<T, String> {
    if value < min || value > max {
        return Err(format!("expected {min:?} to {max:?}, got {value:?}"));
    }
    Ok(value)
}

fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        other => Err(format!("expected \"none\" or \"gzip\", got {other:?}")),
    }
}

fn path(value: &Value) -> Result<PathBuf, String> {
    let text = value.text()?;
    if text.is_empty() {
        return Err("expected a path, got nothing".into());
    }
    Ok(PathBuf::from(text))
}

fn name(value: &Value) -> Result<String, String> {
    let text = value.text()?.trim();
    if text.is_empty() || text.len() > 253 || text.chars().any(char::is_control) {
        return Err(format!("expected a name of 1 to 253 bytes, got {text:?}"));
    }
    Ok(text.to_string())
}

fn probe_names(value: &Value) -> Result<Vec<String>, String> {
    let names = value.list()?;
    let known: Vec<&str> = crate::probe::PROBES.iter().map(|spec| spec.name).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!(
            "no probe is called {name:?}; there are {}",
            known.join(", ")
        )),
        None => Ok(names),
    }
}

fn labels(value: &Value) -> Result<std::collections::BTreeMap<String, String>, String> {
    let rows = value.table()?;
    if rows.len() > LABELS_MAX {
        return Err(format!("at most {LABELS_MAX} labels, got {}", rows.len()));
    }
    for (name, value) in &rows {
        let legal = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let starts = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
        if !starts || !name.chars().all(legal) || name.len() > 128 {
            return Err(format!("label name {name:?} is not letters, digits and _"));
        }
        if value.len() > 1024 || value.chars().any(char::is_control) {
            return Err(format!("value of label {name} is too long or not text"));
        }
    }
    Ok(rows.into_iter().collect())
}

/// The example file, every setting with its default.
pub fn example() -> String {
    let mut out = String::from(
        "# The Hostwell agent. Every key may also be given as HOSTWELL_AGENT_<KEY> in the\n\
         # environment (HOSTWELL_AGENT_SPOOL_BYTES_MAX) or as a flag (--spool-bytes-max);\n\
         # a flag wins over the environment, the environment over this file.\n",
    );
    let mut table = "";
    for setting in SETTINGS {
        let (section, key) = match setting.key.split_once('.') {
            Some((section, key)) => (section, key),
            None => ("", setting.key),
        };
        if section != table {
            out.push_str(&format!("\n[{section}]\n"));
            table = section;
        } else {
            out.push('\n');
        }
        let mark = if setting.live { "" } else { "# " };
        out.push_str(&format!(
            "# {}\n{mark}{key} = {}\n",
            setting.doc, setting.example
        ));
    }
    out
}
