//! What a report is made of. A chapter produces these blocks, a renderer prints them; neither
//! knows the other. Serialised, this *is* the JSON format.

use serde::{Deserialize, Serialize};

/// Version of the JSON format: a field that changes its meaning or goes away raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// How something stands. Each has a word, a colour and a shape, so that none is needed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// Worth knowing.
    Info,
    /// Not enough data to say.
    Unknown,
    /// Worth an eye; needs planning.
    Watch,
    /// Needs somebody.
    Risk,
}

impl Status {
    /// The word beside the sign.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::Info => "Info",
            Status::Unknown => "Unknown",
            Status::Watch => "Watch",
            Status::Risk => "High",
        }
    }

    /// A sign that survives plain text and a black-and-white printer.
    pub fn sign(self) -> char {
        match self {
            Status::Ok => '✓',
            Status::Info => '•',
            Status::Unknown => '?',
            Status::Watch => '▲',
            Status::Risk => '◆',
        }
    }

    /// The name used in JSON and as a CSS class.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Info => "info",
            Status::Unknown => "unknown",
            Status::Watch => "watch",
            Status::Risk => "risk",
        }
    }
}

/// What a number measures, which decides how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 0 to 1, written as a percentage.
    Ratio,
    /// Bytes per second.
    BytesPerSecond,
    /// A plain number with up to two decimals.
    Number,
}

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// What it is called.
    pub title: String,
    /// Which hosts it is about, in words ("all hosts", "role=db").
    pub scope: String,
    /// The time it is about.
    pub period: Period,
    /// When it was made, milliseconds since the Unix epoch.
    pub generated_ms: i64,
    /// Where the numbers came from, in words.
    pub source: String,
    /// The verdict for programs.
    pub summary: Summary,
    /// In reading order.
    pub chapters: Vec<Chapter>,
}

/// A stretch of time with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// What it was asked as ("last 7 days", "2026-Q4").
    pub name: String,
    /// First moment, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Last moment.
    pub to_ms: i64,
}

/// The verdict in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The worst that holds.
    pub status: Status,
    /// One sentence a reader can repeat.
    pub sentence: String,
    /// Hosts judged.
    pub hosts: usize,
    /// Without an open risk, with data.
    pub healthy: usize,
    /// With at least one open warning or critical risk.
    pub at_risk: usize,
    /// Without an open risk, but without enough data to call them healthy.
    pub unknown: usize,
    /// Open critical risks.
    pub risks_critical: usize,
    /// Open warnings.
    pub risks_warning: usize,
    /// Open remarks.
    pub risks_info: usize,
    /// Risks that closed within the period.
    pub risks_closed: usize,
    /// Up time over known time, all hosts together; null when nothing is known.
    pub availability_ratio: Option<f64>,
    /// Samples received over samples expected, all hosts together.
    pub coverage_ratio: Option<f64>,
}

/// A part of the report with a title.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// Stable name, used as an anchor.
    pub id: String,
    /// Title.
    pub title: String,
    /// In reading order.
    pub blocks: Vec<Block>,
}

/// One piece of a chapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum Block {
    /// A title inside a chapter.
    Heading(Heading),
    /// Running text.
    Paragraph(Paragraph),
    /// The sentence everything else supports, with its figures.
    Verdict(Verdict),
    /// What to do first.
    Actions(Actions),
    /// Rows and columns.
    Table(Table),
    /// A number over time.
    Chart(Chart),
    /// Something that must not be overlooked.
    Callout(Callout),
    /// A host with its indicators.
    HostCard(HostCard),
    /// One finding of the register.
    Risk(RiskCard),
    /// Words and what they mean here.
    Definitions(Definitions),
}

/// A title inside a chapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The title.
    pub text: String,
}

/// Running text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paragraph {
    /// Plain text.
    pub text: String,
}

/// The sentence everything else supports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How bad.
    pub status: Status,
    /// One sentence.
    pub sentence: String,
    /// What qualifies it, one or two sentences, may be empty.
    pub detail: String,
    /// The numbers behind it.
    pub figures: Vec<Figure>,
}

/// A number that stands alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it counts.
    pub label: String,
    /// The number, with its unit.
    pub value: String,
    /// One short remark, may be empty.
    pub note: String,
    /// How it stands.
    pub status: Status,
}

/// What to do first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actions {
    /// Most urgent first.
    pub items: Vec<Action>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// How urgent.
    pub status: Status,
    /// On which host.
    pub host: String,
    /// What was found, with its number.
    pub finding: String,
    /// What to do.
    pub advice: String,
    /// What ignoring it costs.
    pub if_ignored: String,
    /// Since when, in words.
    pub since: String,
}

/// Rows and columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// One a column.
    pub columns: Vec<Column>,
    /// As many cells a row as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// Rows left out, 0 when all are here.
    pub omitted: usize,
    /// How to see what was left out, empty when nothing was.
    pub omitted_hint: String,
}

/// A column's title and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its title.
    pub title: String,
    /// What stands in it.
    pub kind: ColumnKind,
}

/// What stands in a column, which decides how it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Words: flush left, wrapped.
    Text,
    /// Numbers: flush right, on one line.
    Number,
    /// Moments: flush left, on one line.
    Time,
}

/// What stands in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// Marks the cell; the sign and word are printed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// To be typed as it stands (a command, a selector).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub code: bool,
}

/// A number over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What is drawn, complete enough to be read aloud.
    pub title: String,
    /// How its numbers are written.
    pub unit: Unit,
    /// Left edge, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Right edge.
    pub to_ms: i64,
    /// Equal steps from left to right: [min, mean, max] in each, null where nothing is known.
    pub points: Vec<Option<[f64; 3]>>,
    /// Top of the vertical axis; null lets the data decide.
    pub top: Option<f64>,
    /// A level that matters, drawn as a dashed line.
    pub threshold: Option<f64>,
}

/// Something that must not be overlooked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callout {
    /// How bad.
    pub status: Status,
    /// The point.
    pub title: String,
    /// The rest.
    pub text: String,
}

/// A host with its indicators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostCard {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// Why, in one sentence.
    pub reason: String,
    /// "name=value", sorted.
    pub labels: Vec<String>,
    /// CPU, load, memory, network, disk.
    pub indicators: Vec<IndicatorView>,
    /// What it is: (name, value).
    pub facts: Vec<(String, String)>,
}

/// One indicator of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorView {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// The value now, with its unit; "no data" when there is none.
    pub now: String,
    /// What it means, in plain words.
    pub words: String,
    /// Over the period; null when nothing was measured.
    pub chart: Option<Chart>,
}

/// One finding of the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskCard {
    /// Register number.
    pub id: i64,
    /// How bad.
    pub status: Status,
    /// "critical", "warning", "info".
    pub severity: String,
    /// On which host.
    pub host: String,
    /// The rule that found it.
    pub rule: String,
    /// One sentence with the number in it.
    pub summary: String,
    /// When it began, in words.
    pub since: String,
    /// Whose it is; empty where nobody's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// What people decided about it ("acknowledged by anna"); empty where nobody did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub standing: String,
    /// Which processes used most of what it is about when it began; empty where nobody noted it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// What was measured against what.
    pub evidence: Vec<EvidenceView>,
    /// What to do.
    pub advice: String,
    /// What ignoring it costs.
    pub if_ignored: String,
}

/// One measured number of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// What was measured.
    pub what: String,
    /// The value, with its unit.
    pub value: String,
    /// The level it was held against, empty where there is none.
    pub threshold: String,
    /// The selector that shows the samples.
    pub selector: String,
}

/// Words and what they mean here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// In reading order.
    pub items: Vec<Definition>,
}

/// A word and what it means here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The word.
    pub term: String,
    /// Its meaning.
    pub text: String,
    /// What to type to see it for oneself, empty where there is nothing.
    pub command: String,
}

/// A host's status as a word.
pub(crate) fn host_word(status: Status) -> &'static str {
    match status {
        Status::Ok | Status::Info => "Healthy",
        Status::Unknown => "Unknown",
        Status::Watch => "At risk",
        Status::Risk => "Critical",
    }
}

/// A plain cell.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        status: None,
        code: false,
    }
}

/// A cell that carries a status.
pub(crate) fn marked(text: impl Into<String>, status: Status) -> Cell {
    Cell {
        text: text.into(),
        status: Some(status),
        code: false,
    }
}

/// A cell to be typed as it stands.
pub(crate) fn code(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        status: None,
        code: true,
    }
}

/// Columns from titles: one that begins with '#' holds numbers, with '@' moments.
pub(crate) fn columns(titles: &[&str]) -> Vec<Column> {
    let column = |title: &&str| {
        let (kind, title) = match title.as_bytes().first() {
            Some(b'#') => (ColumnKind::Number, &title[1..]),
            Some(b'@') => (ColumnKind::Time, &title[1..]),
            _ => (ColumnKind::Text, *title),
        };
        Column {
            title: title.into(),
            kind,
        }
    };
    titles.iter().map(column).collect()
}

/// A paragraph.
pub(crate) fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph(Paragraph { text: text.into() })
}
