//! What is exported is what is stored, and comes back by an import.

use proptest::prelude::*;

use super::*;
use crate::config::Limits;
use crate::import::{self, Import, Mapping};
use crate::series::Window;
use crate::store::{StoreOptions, WindowQuery};

async fn open(path: std::path::PathBuf) -> Store {
    Store::open(StoreOptions {
        path,
        retention_ms: 15 * 86_400_000,
        series_per_host_max: 1_000,
        hosts_max: 100,
    })
    .await
    .unwrap()
}

async fn import(store: &Store, format: import::Format, file: &std::path::Path) {
    let import = Import {
        format,
        host: "old-1".into(),
        files: vec![file.to_owned()],
        mapping: Mapping::default(),
        kept: true,
        limits: Limits::default(),
        now_ms: 1_795_291_200_000,
    };
    import::run(&import, Some(store), |_| {}).await.unwrap();
}

async fn window(store: &Store) -> Window {
    let query = WindowQuery {
        from_ms: 0,
        to_ms: i64::MAX,
        samples_max: 1_000_000,
        ..WindowQuery::default()
    };
    store.windows(query).await.unwrap().swap_remove(0)
}

fn whole(format: Format) -> Export {
    Export {
        format,
        choices: Vec::new(),
        hosts: Vec::new(),
        from_ms: 0,
        to_ms: 4_000_000_000_000,
    }
}

fn bits(window: &Window) -> Vec<(String, Vec<(i64, u64)>)> {
    window
        .series
        .iter()
        .map(|s| {
            let points = s.points().map(|(t, v)| (t, v.to_bits()));
            (s.name.to_string(), points.collect())
        })
        .collect()
}

/// A table with these values at odd moments.
fn table(values: &[f64]) -> String {
    let mut text = "unix_ms,node_load1,\"b{l=\"\"q \\\"\" , \\\\ü\"\"}\",c_total\n".to_owned();
    for (i, value) in values.iter().enumerate() {
        let time_ms = 1_600_000_000_000 + i as i64 * 10_001;
        match i % 3 {
            0 => text.push_str(&format!("{time_ms},{value:?},,{i}\n")),
            1 => text.push_str(&format!("{time_ms},,{value:?},\n")),
            _ => text.push_str(&format!("{time_ms},{value:?},{value:?},{i}\n")),
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_exported_is_imported_again_bit_for_bit(
        patterns in prop::collection::vec(any::<u64>(), 1..60)
    ) {
        let values: Vec<f64> = patterns
            .into_iter()
            .map(f64::from_bits)
            .map(|v| if v.is_finite() { v } else { -0.0 })
            .collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            std::fs::write(path("t.csv"), table(&values)).unwrap();
            let first = open(path("a.db")).await;
            import(&first, import::Format::Csv, &path("t.csv")).await;
            for (name, out, back) in [
                ("o.txt", Format::OpenMetrics, import::Format::OpenMetrics),
                ("o.csv", Format::Csv, import::Format::Csv),
            ] {
                let mut text = Vec::new();
                run(&first, &whole(out), &mut text).await.unwrap();
                std::fs::write(path(name), &text).unwrap();
                let second = open(path(&format!("{name}.db"))).await;
                import(&second, back, &path(name)).await;
                assert_eq!(bits(&window(&first).await), bits(&window(&second).await));
                second.close().await.unwrap();
            }
            first.close().await.unwrap();
        });
    }
}

#[test]
fn only_what_is_chosen_is_written_in_the_form_of_the_format() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = "unix_ms,node_load1,\"node_cpu_seconds_total{cpu=0,mode=user}\",pgs\n\
            1600000000000,0.5,1,2\n1600000010500,0.25,2,3\n1600000020000,,3,\n";
        std::fs::write(path("t.csv"), text).unwrap();
        let store = open(path("a.db")).await;
        import(&store, import::Format::Csv, &path("t.csv")).await;
        let choices = ["node_load1{host=\"old-1\"}", "{__name__=~\".*_total\"}"];
        let export = |format| Export {
            choices: choices.iter().map(|c| c.parse().unwrap()).collect(),
            to_ms: 1_600_000_010_500,
            ..whole(format)
        };
        let mut out = Vec::new();
        let done = run(&store, &export(Format::OpenMetrics), &mut out)
            .await
            .unwrap();
        assert_eq!((done.series, done.samples), (2, 4));
        expect_test::expect![[r#"
            # TYPE node_cpu_seconds counter
            # HELP node_cpu_seconds Seconds each CPU spent in each mode.
            node_cpu_seconds_total{cpu="0",host="old-1",mode="user"} 1 1600000000
            node_cpu_seconds_total{cpu="0",host="old-1",mode="user"} 2 1600000010.500
            # TYPE node_load1 gauge
            # HELP node_load1 Load average over 1 minute.
            node_load1{host="old-1"} 0.5 1600000000
            node_load1{host="old-1"} 0.25 1600000010.500
            # EOF
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
        let mut out = Vec::new();
        run(&store, &export(Format::Csv), &mut out).await.unwrap();
        expect_test::expect![[r#"
            unix_ms,"node_cpu_seconds_total{cpu=""0"",mode=""user""}","node_load1"
            1600000000000,1,0.5
            1600000010500,2,0.25
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
        store.close().await.unwrap();
    });
}

#[cfg(feature = "parquet")]
#[tokio::test]
async fn a_parquet_file_has_a_row_for_each_sample() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;

    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("a.db")).await;
    let file = folder.path().join("table.csv");
    let values: Vec<f64> = (0..50).map(|i| f64::from(i) * 0.3 - 5.0).collect();
    std::fs::write(&file, table(&values)).unwrap();
    import(&store, import::Format::Csv, &file).await;
    let (path, export) = (folder.path().join("a.parquet"), whole(Format::Parquet));
    let mut out = std::fs::File::create(&path).unwrap();
    let exported = run(&store, &export, &mut out).await.unwrap();

    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut found = std::collections::BTreeMap::<String, Vec<(i64, u64)>>::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        assert_eq!(row.get_string(1).unwrap(), "old-1");
        let labels: std::collections::BTreeMap<String, String> =
            serde_json::from_str(row.get_string(3).unwrap()).unwrap();
        let name = crate::series::SeriesName {
            metric: row.get_string(2).unwrap().clone(),
            labels: labels.into_iter().collect(),
        };
        let point = (
            row.get_timestamp_millis(0).unwrap(),
            row.get_double(4).unwrap().to_bits(),
        );
        found.entry(name.to_string()).or_default().push(point);
    }
    let expected = bits(&window(&store).await);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        exported.samples,
        expected.iter().map(|(_, p)| p.len() as u64).sum::<u64>()
    );
}

#[cfg(not(feature = "parquet"))]
#[tokio::test]
async fn a_build_without_parquet_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("a.db")).await;
    let file = folder.path().join("table.csv");
    std::fs::write(&file, table(&[1.0])).unwrap();
    import(&store, import::Format::Csv, &file).await;
    let refused = run(&store, &whole(Format::Parquet), &mut Vec::new()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("--features parquet"), "{error}");
}
