//! Bad input: each gets a clear error or a counted refusal, the process lives, nothing committed is
//! lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use hostwell_proto::wire::RefusalReason::{Limit, Malformed, NotFinite, Time};
use hostwell_proto::wire::agent_message::Kind;
use hostwell_proto::wire::{BusyProcess, Declare, Label, ProcessNote, SeriesDeclaration};
use hostwell_tests::holdings::{assert_equal_to, missing, noted, stored, until_complete};
use hostwell_tests::program::{binary, command, run, stdout};
use hostwell_tests::relay::Relay;
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::skip;
use hostwell_tests::speaker::{Speaker, block, now_ms};
use hostwell_tests::wait::{seconds, until_true};

const HOUR_MS: i64 = 3_600_000;

/// A collector and an agent by hand that has one sample stored in series 0.
fn site(folder: &Path) -> (Collector, Speaker, i64) {
    // A window so small that every batch is acknowledged at once.
    let collector = Collector::start_with(folder, "[limits]\nbatches_in_flight = 4");
    let mut speaker = Speaker::greet(collector.grpc, "by-hand");
    speaker.declare(0, "node_load1");
    let start = now_ms() - 60_000;
    speaker.send(1, block(0, &[(start, 1.0)]));
    speaker.assert_acknowledged(1);
    (collector, speaker, start)
}

/// What is stored of `node_load1`.
fn load(collector: &Collector, speaker: &Speaker) -> Vec<(i64, f64)> {
    let samples = stored(&collector.database(), speaker.host);
    let points = &samples[&("node_load1".to_owned(), Vec::new())];
    points.iter().map(|(time, value)| (*time, *value)).collect()
}

/// Holds that the stream lives, that what was stored is there, and that refusals are counted.
#[track_caller]
fn assert_unharmed(collector: &mut Collector, speaker: &mut Speaker, start: i64, sequence: u64) {
    speaker.send(sequence, block(0, &[(start + 1000, 2.0)]));
    speaker.assert_acknowledged(sequence);
    assert_eq!(
        load(collector, speaker),
        [(start, 1.0), (start + 1000, 2.0)]
    );
    assert!(collector.program.is_alive());
}

#[track_caller]
fn assert_counted(collector: &Collector, reason: &str) {
    let host = stdout(&collector.ask(&["host", "by-hand", "-o", "json"]));
    assert!(
        host.contains(&format!("\"{reason}\"")),
        "no refusals by {reason} in {host}"
    );
}

#[test]
fn garbage_on_the_grpc_port_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    let noise: Vec<u8> = (0..70_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let frames = [preface.clone(), noise.clone()].concat();
    let huge_frame = [preface, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec()].concat();
    for garbage in [
        noise,
        frames,
        huge_frame,
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut stream = TcpStream::connect(collector.grpc).unwrap();
        stream.set_read_timeout(Some(seconds(20))).unwrap();
        // The collector may hang up in the middle of it.
        drop(stream.write_all(&garbage));
        drop(stream.shutdown(std::net::Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
    }
    assert_unharmed(&mut collector, &mut speaker, start, 2);
}

#[test]
fn an_oversized_message_is_refused_and_a_monstrous_one_ends_its_own_stream_only() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    speaker.send(2, vec![0; 5 << 20]);
    let refusal = speaker.assert_refused(2, Limit);
    assert!(refusal.message.contains("4194304"), "{}", refusal.message);
    assert_counted(&collector, "limit");
    let mut monster = Speaker::greet(collector.grpc, "monster");
    monster.send(1, vec![0; 64 << 20]);
    let answer = monster.hear().expect_err("64 MiB are never read");
    assert!(answer.message().contains("large"), "{answer:?}");
    assert_unharmed(&mut collector, &mut speaker, start, 3);
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    for (sequence, value) in [(2, f64::NAN), (3, f64::INFINITY), (4, f64::NEG_INFINITY)] {
        speaker.send(sequence, block(0, &[(start + 500, value)]));
        speaker.assert_refused(sequence, NotFinite);
    }
    assert_unharmed(&mut collector, &mut speaker, start, 5);
    assert_counted(&collector, "not_finite");
}

#[test]
fn a_clock_that_jumps_an_hour_is_refused_ahead_and_taken_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    speaker.send(2, block(0, &[(now_ms() + HOUR_MS, 9.0)]));
    let refusal = speaker.assert_refused(2, Time);
    assert!(refusal.message.contains("ahead") || refusal.message.contains("future"));
    speaker.send(3, block(0, &[(1_000_000, 9.0)]));
    speaker.assert_refused(3, Time);
    // An hour back is within the history: the samples stand where the host says they were.
    speaker.send(4, block(0, &[(start - HOUR_MS, 0.5)]));
    speaker.assert_acknowledged(4);
    speaker.send(5, block(0, &[(start + 1000, 2.0)]));
    speaker.assert_acknowledged(5);
    assert_eq!(
        load(&collector, &speaker),
        [(start - HOUR_MS, 0.5), (start, 1.0), (start + 1000, 2.0)]
    );
    assert!(collector.program.is_alive());
    assert_counted(&collector, "time");
}

#[test]
fn a_sequence_that_is_wrong_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    speaker.send(0, block(0, &[(start + 500, 9.0)]));
    speaker.assert_refused(0, Malformed);
    // The number of a batch that is stored: acknowledged again, and the first content stays.
    speaker.send(1, block(0, &[(start, 7.0), (start + 250, 7.0)]));
    speaker.assert_acknowledged(1);
    assert_unharmed(&mut collector, &mut speaker, start, 2);
    assert_counted(&collector, "malformed");
}

#[test]
fn ten_thousand_labels_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    let labels = (0..10_000).map(|i| Label {
        name: format!("l{i:05}"),
        value: "x".into(),
    });
    speaker.say(Kind::Declare(Declare {
        spool_id: speaker.spool.0.to_vec(),
        series: vec![SeriesDeclaration {
            number: 1,
            metric: "many_labels".into(),
            labels: labels.collect(),
            kind: 2,
        }],
    }));
    speaker.assert_refused(0, Limit);
    assert_unharmed(&mut collector, &mut speaker, start, 2);
    assert_counted(&collector, "limit");
}

#[test]
fn a_note_of_processes_beyond_its_limits_is_refused_and_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut speaker, start) = site(folder.path());
    let good = ProcessNote {
        time_ms: start,
        span_ms: 60_000,
        processes: vec![BusyProcess {
            name: "make".into(),
            cpu_milli: 950,
            ..BusyProcess::default()
        }],
        ..ProcessNote::default()
    };
    let crowd = ProcessNote {
        processes: vec![BusyProcess::default(); 5_000],
        ..good.clone()
    };
    speaker.say(Kind::ProcessNote(crowd));
    speaker.assert_refused(0, Limit);
    let early = ProcessNote {
        time_ms: start + 3 * HOUR_MS,
        ..good.clone()
    };
    speaker.say(Kind::ProcessNote(early));
    speaker.assert_refused(0, Time);
    speaker.say(Kind::ProcessNote(good.clone()));
    assert_unharmed(&mut collector, &mut speaker, start, 2);
    // More than any agent sends at once.
    for i in 1..100 {
        speaker.say(Kind::ProcessNote(ProcessNote {
            time_ms: start + i,
            ..good.clone()
        }));
    }
    speaker.assert_refused(0, Limit);
    assert_counted(&collector, "limit");
    assert_counted(&collector, "time");
    collector.program.stop();
    let notes = noted(&collector.database(), speaker.host);
    assert!((90..100).contains(&notes.len()), "{} notes", notes.len());
    assert_eq!(notes[0].processes[0].name, "make");
}

#[test]
fn a_truncated_database_is_named_and_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, _speaker, _) = site(folder.path());
    collector.program.stop();
    let database = collector.database();
    let whole = std::fs::read(&database).unwrap();
    let cut = whole[..whole.len() * 2 / 3 / 512 * 512].to_vec();
    std::fs::write(&database, &cut).unwrap();

    let serve = run(command(binary("hostwell"))
        .arg("serve")
        .arg("--config")
        .arg(folder.path().join("collector.toml")));
    let said = String::from_utf8_lossy(&serve.stderr).into_owned();
    assert_eq!(serve.status.code(), Some(2), "{said}");
    assert!(
        said.contains("damaged") && said.contains("hostwell.db"),
        "{said}"
    );
    let asked = run(command(binary("hostwell"))
        .arg("hosts")
        .arg("--db")
        .arg(&database));
    assert_eq!(asked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("damaged"));
    assert!(
        std::fs::read(&database).unwrap() == cut,
        "a damaged file is left as it is"
    );
}

#[test]
fn a_typo_in_a_configuration_names_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    for (program, line, meant) in [
        ("hostwell-agent", "intervall = \"1s\"", "interval"),
        ("hostwell", "[limits]\nhost = 3", "limits.hosts"),
    ] {
        let path = folder.path().join(format!("{program}.toml"));
        std::fs::write(&path, line).unwrap();
        let check = |words: &[&str]| {
            let output = run(command(binary(program)).args(words).arg(&path));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{program} {words:?}: {said}");
            assert!(said.contains(meant) && said.contains("line"), "{said}");
        };
        check(&["config", "check"]);
        if program == "hostwell" {
            check(&["serve", "--config"]);
        } else {
            check(&["config", "check", "--config"]);
            check(&["run", "--config"]);
        }
    }
}

/// A small file system of its own, unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> SmallDisk {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mut mount = command("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        stdout(&run(&mut mount));
        SmallDisk(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(command("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_full_disk_stops_nothing_but_the_storing() {
    if !skip::is_root("a_full_disk_stops_nothing_but_the_storing") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("collector/data");
    let _disk = SmallDisk::mount(&data, "24m");
    let mut collector = Collector::start(&folder.path().join("collector"));
    let relay = Relay::to(collector.grpc);
    let url = format!("http://{}", relay.address());
    let _agent = Agent::start(&folder.path().join("agent"), &url, "send_every = \"1s\"");
    until_true("some batches are stored", seconds(60), || {
        let record = relay.record();
        record.batches() >= 3 && missing(&collector.database(), &record).is_empty()
    });
    let ballast = data.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);
    let before = relay.record().batches();
    until_true("batches arrive that cannot be stored", seconds(90), || {
        let record = relay.record();
        record.batches() > before + 3 && !missing(&collector.database(), &record).is_empty()
    });
    assert!(collector.program.is_alive());
    stdout(&collector.ask(&["hosts"]));
    std::fs::remove_file(ballast).unwrap();
    let record = relay.record();
    until_complete(&collector.database(), &record);
    let record = relay.record();
    until_complete(&collector.database(), &record);
    assert!(record.gaps.is_empty());
    collector.program.stop();
    assert_equal_to(&collector.database(), &relay.record());
}
