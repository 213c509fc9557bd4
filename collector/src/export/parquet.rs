//! Parquet: a row for each sample, in the columns `time`, `host`, `metric`, `labels`, `value`.
//!
//! Long and not wide, because series come and go: what reads Parquet pivots. The three columns of
//! words are dictionaries, so a row costs little more than its time and value.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::pages::{Listed, Pages};
use super::{Export, Exported};
use crate::store::Store;

/// Times are UTC; labels are a JSON object of texts.
const SCHEMA: &str = "message samples {
  REQUIRED INT64 time (TIMESTAMP(MILLIS,true));
  REQUIRED BYTE_ARRAY host (UTF8);
  REQUIRED BYTE_ARRAY metric (UTF8);
  REQUIRED BYTE_ARRAY labels (JSON);
  REQUIRED DOUBLE value;
}";

/// Rows of a group: what a reader takes at a time, and what is held here.
const ROWS_MAX: usize = 1 << 20;

/// Rows that wait to become a group.
#[derive(Default)]
struct Rows {
    times_ms: Vec<i64>,
    hosts: Vec<ByteArray>,
    metrics: Vec<ByteArray>,
    labels: Vec<ByteArray>,
    values: Vec<f64>,
}

/// Writes everything that is listed, metric by metric, host by host.
pub(super) async fn write(
    store: &Store,
    export: &Export,
    listed: &[Listed],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Exported> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties()?))?;
    let mut rows = Rows::default();
    let mut exported = Exported {
        series: listed.len() as u64,
        samples: 0,
    };
    for family in listed.chunk_by(|a, b| a.name.metric == b.name.metric) {
        let metric = family[0].name.metric.as_str();
        let hosts: BTreeSet<&str> = family.iter().map(|l| l.host.as_str()).collect();
        for host in hosts {
            let wanted = family.iter().filter(|l| l.host == host);
            let wanted: BTreeSet<_> = wanted.map(|l| &l.name).collect();
            let only = |text| BTreeSet::from([text]);
            let mut pages = Pages::new(store, export, only(host), only(metric), true);
            while let Some(windows) = pages.next().await? {
                for series in windows.iter().flat_map(|w| &w.series) {
                    if !wanted.contains(&series.name) {
                        continue;
                    }
                    rows.add(host, series)?;
                    exported.samples += series.times_ms.len() as u64;
                    while rows.times_ms.len() >= ROWS_MAX {
                        rows.flush(&mut file)?;
                    }
                }
            }
        }
    }
    rows.flush(&mut file)?;
    file.close().context("finish the Parquet file")?;
    Ok(exported)
}

fn properties() -> anyhow::Result<WriterProperties> {
    let column = |name: &str| ColumnPath::from(name);
    Ok(WriterProperties::builder()
        .set_created_by(format!("hostwell {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // Most values repeat, and a dictionary that does not pay is given up by itself.
        .set_column_dictionary_enabled(column("time"), false)
        .set_column_encoding(column("time"), Encoding::DELTA_BINARY_PACKED)
        .build())
}

impl Rows {
    fn add(&mut self, host: &str, series: &crate::series::Series) -> anyhow::Result<()> {
        let labels: serde_json::Map<String, serde_json::Value> = series
            .name
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let labels = serde_json::to_vec(&labels).context("write labels as JSON")?;
        let count = series.times_ms.len();
        self.times_ms.extend_from_slice(&series.times_ms);
        self.values.extend_from_slice(&series.values);
        for (column, text) in [
            (&mut self.hosts, host.as_bytes().to_vec()),
            (&mut self.metrics, series.name.metric.as_bytes().to_vec()),
            (&mut self.labels, labels),
        ] {
            // The copies share their bytes.
            let text = ByteArray::from(text);
            column.resize(column.len() + count, text);
        }
        Ok(())
    }

    /// Writes at most [`ROWS_MAX`] of them as one group.
    fn flush<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> anyhow::Result<()> {
        let count = self.times_ms.len().min(ROWS_MAX);
        if count == 0 {
            return Ok(());
        }
        let mut group = file.next_row_group()?;
        column::<Int64Type, _>(&mut group, &mut self.times_ms, count)?;
        column::<ByteArrayType, _>(&mut group, &mut self.hosts, count)?;
        column::<ByteArrayType, _>(&mut group, &mut self.metrics, count)?;
        column::<ByteArrayType, _>(&mut group, &mut self.labels, count)?;
        column::<DoubleType, _>(&mut group, &mut self.values, count)?;
        group.close()?;
        Ok(())
    }
}

/// Takes the first `count` values into the group's next column.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    count: usize,
) -> anyhow::Result<()> {
    let rest = values.split_off(count);
    let taken = std::mem::replace(values, rest);
    let mut writer = group
        .next_column()?
        .context("the schema has five columns")?;
    writer.typed::<T>().write_batch(&taken, None, None)?;
    writer.close()?;
    Ok(())
}
