//! What every command prints about a known fleet.

use expect_test::{Expect, expect};

use super::fixture::Fleet;
use super::{Outcome, hostwell};
use crate::cli::Exit;

/// Runs a command on the fleet's database; paths of the machine become `DB`.
fn on(fleet: &Fleet, words: &[&str]) -> Outcome {
    let db = fleet.db();
    let db = db.to_str().unwrap();
    let mut line = words.to_vec();
    line.extend(["--db", db]);
    let mut outcome = hostwell(&line);
    outcome.out = outcome.out.replace(db, "DB");
    let said = outcome.err.replace(db, "DB");
    let rest = said.strip_prefix("reading DB as of 2026-11-21 20:00:00Z\n");
    // Every answer from a file says for which moment it speaks.
    assert!(rest.is_some() || outcome.exit == Exit::Failed, "{said}");
    outcome.err = rest.unwrap_or(&said).to_owned();
    outcome
}

#[track_caller]
fn check(words: &[&str], expected: Expect) {
    let outcome = on(&Fleet::new(), words);
    assert_eq!((outcome.exit, outcome.err.as_str()), (Exit::Fine, ""));
    expected.assert_eq(&outcome.out);
}

#[track_caller]
fn refused(words: &[&str], expected: Expect) {
    let outcome = on(&Fleet::new(), words);
    assert_eq!((outcome.exit, outcome.out.as_str()), (Exit::Failed, ""));
    expected.assert_eq(&outcome.err);
}

#[test]
fn hosts_as_a_table() {
    check(
        &["hosts"],
        expect![[r#"
            HOST    STATE       AGE  CPU      LOAD        MEMORY   NETWORK   DISK       WORST FINDING
            =evil   up          0 s  10 %     0.5 a core  25 %     600 kB/s  20 % /     +1 \u{1b}]0;owned\u{7} is bad.
            db-1    up          0 s  90 % !!  0.5 a core  96 % !!  600 kB/s  93 % / !!  / is 93 % used: 3.4 of 50 GiB left. (+1)
            gone-1  DOWN     10 min  -        -           -        -         -
            new-1   waiting       -  -        -           -        -         -
            old-1   retired     0 s  -        -           -        -         -
            web-1   up          0 s  10 %     0.5 a core  25 %     600 kB/s  20 % /

            Ages as of 2026-11-21 20:00:00Z.
        "#]],
    );
}

#[test]
fn hosts_as_csv_has_no_formula_and_no_control_character() {
    check(
        &["hosts", "-o", "csv"],
        expect![[r#"
            host,state,age_seconds,cpu,cpu_verdict,load,load_verdict,memory,memory_verdict,network,network_verdict,disk,disk_verdict,open_findings,worst_severity,worst_rule,worst_summary,labels
            '=evil,up,0.0,0.1,ok,0.5,ok,0.25,ok,600000.0,ok,0.2,ok,1,warning,cpu_saturation,"'+1 \u{1b}]0;owned\u{7} is bad.","role==HYPERLINK(""http://x"")\u{1b}[2J"
            db-1,up,0.0,0.9,risk,0.5,ok,0.9625,risk,600000.0,ok,0.932,risk,2,critical,disk_full,/ is 93 % used: 3.4 of 50 GiB left.,role=db site=berlin
            gone-1,down,600.0,,unknown,,unknown,,unknown,,unknown,,unknown,0,,,,role=web
            new-1,waiting,,,unknown,,unknown,,unknown,,unknown,,unknown,0,,,,role=web
            old-1,retired,0.0,,,,,,,,,,,0,,,,role=web
            web-1,up,0.0,0.1,ok,0.5,ok,0.25,ok,600000.0,ok,0.2,ok,0,,,,role=web
        "#]],
    );
}

#[test]
fn hosts_as_json_lines() {
    let outcome = on(&Fleet::new(), &["hosts", "-o", "jsonl"]);
    let first = outcome.out.lines().find(|l| l.contains("db-1")).unwrap();
    expect![[r#"{"schema_version":1,"host":"db-1","state":"up","age_seconds":0.0,"cpu":0.9,"cpu_verdict":"risk","load":0.5,"load_verdict":"ok","memory":0.9625,"memory_verdict":"risk","network":600000.0,"network_verdict":"ok","disk":0.932,"disk_verdict":"risk","open_findings":2,"worst_severity":"critical","worst_rule":"disk_full","worst_summary":"/ is 93 % used: 3.4 of 50 GiB left.","labels":"role=db site=berlin"}"#]].assert_eq(first);
}

#[test]
fn host_in_depth() {
    check(
        &["host", "db-1", "--since", "30m"],
        expect![[r#"
            HOST           db-1
            state          up
            newest sample  2026-11-21 20:00:00Z, 0 s old
            machine        1 CPU, 8 GiB memory, x86_64, vm
            system         Debian GNU/Linux 13 (trixie), kernel 6.12.0-amd64
            booted         2026-11-20 20:00:00Z
            labels         role=db site=berlin
            agent          0.1.0, every 10 s, first seen 2026-11-21 19:30:00Z
            id             02020202020202020202020202020202

            FINDING  SEVERITY   SINCE                 WHAT
                  1  critical   2026-11-21 19:40:00Z  / is 93 % used: 3.4 of 50 GiB left.
                  4  (warning)  2026-11-21 19:40:00Z  CPU 90 % busy.
                  2  warning    2026-11-21 19:50:00Z  Memory 96 % used.

            INDICATOR  VERDICT  LAST 30 MIN            NOW
            CPU        risk !!  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇   CPU 90 % busy over 1 core. Watch from 75 %, risk from 85 %.
            Load       ok       █▁█▁██▁█▁██▁█▁██▁█▁█   Load 0.5, 0.5 a core; this kernel does not report pressure.
            Memory     risk !!  ████████████████████   Memory 96 % used, 307 MiB of 8 GiB available. Watch from 80 %, risk from 90 %.
            Network    ok       ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁   Network 500 kB/s in, 100 kB/s out; eth0 at 0.4 % of its speed.
            Disk       risk !!  ████████████████████   Disk / 93 % used, 3.4 GiB left; sda 4 % busy. Watch from 82 %, risk from 91 %.

            FILESYSTEM  USED  LEFT           INODES  TYPE  DEVICE
            /           93 %  3.4 of 50 GiB    10 %  ext4  /dev/sda1

            INTERFACE  STATE        IN       OUT     SPEED  ERRORS  DROPS
            eth0       up     500 kB/s  100 kB/s  125 MB/s       -      0

            DELIVERY
            availability  100 % of the last 30 min: 30 min up, 0 s down, 0 s unknown
            coverage      100 %: 180 of 180 samples due
            clock         as the collector's
            refused       time: 1
            dropped       120 samples from its spool
        "#]],
    );
}

#[test]
fn host_in_depth_as_csv() {
    check(
        &["host", "db-1", "--since", "30m", "-o", "csv"],
        expect![[r#"
            section,subject,name,value
            host,,name,db-1
            host,,id,02020202020202020202020202020202
            host,,state,up
            host,,last_sample,2026-11-21T20:00:00Z
            fact,,os,Debian GNU/Linux 13 (trixie)
            fact,,kernel,6.12.0-amd64
            fact,,arch,x86_64
            fact,,cpus,1
            fact,,memory_bytes,8589934592
            fact,,agent_version,0.1.0
            clock,,skew_seconds,0.003
            label,,role,db
            label,,site,berlin
            indicator,cpu,verdict,risk
            indicator,cpu,busy ratio,0.9
            indicator,cpu,steal ratio,0.0
            indicator,cpu,waiting for disks ratio,0.0
            indicator,cpu,cores count,1.0
            indicator,load,verdict,ok
            indicator,load,load a core count,0.5
            indicator,load,load1 count,0.5
            indicator,load,cores count,1.0
            indicator,memory,verdict,risk
            indicator,memory,used ratio,0.9625
            indicator,memory,available bytes,322122547.2
            indicator,memory,total bytes,8589934592.0
            indicator,network,verdict,ok
            indicator,network,in and out bytes_per_second,600000.0
            indicator,network,in bytes_per_second,500000.0
            indicator,network,out bytes_per_second,100000.0
            indicator,network,share of speed eth0 ratio,0.004
            indicator,disk,verdict,risk
            indicator,disk,used / ratio,0.932
            indicator,disk,available / bytes,3650722201.6
            indicator,disk,size / bytes,53687091200.0
            indicator,disk,busy sda ratio,0.03999999999999996
            filesystem,/,size_bytes,53687091200.0
            filesystem,/,avail_bytes,3650722201.6
            filesystem,/,readonly,false
            filesystem,/,stuck,false
            interface,eth0,receive_bytes_per_second,500000.0
            interface,eth0,transmit_bytes_per_second,100000.0
            interface,eth0,errors,
            interface,eth0,drops,0.0
            availability,,ratio,1.0
            availability,,up_seconds,1800.0
            availability,,down_seconds,0.0
            availability,,unknown_seconds,0.0
            availability,,coverage_ratio,1.0
            refused,,time,1
            spool,,dropped_samples,120
            finding,/,disk_full,/ is 93 % used: 3.4 of 50 GiB left.
            finding,,cpu_saturation,CPU 90 % busy.
            finding,,memory_low,Memory 96 % used.
        "#]],
    );
}

#[test]
fn a_minute_of_an_outage_is_a_minute_of_outage() {
    let outcome = on(&Fleet::new(), &["host", "gone-1", "--since", "60s"]);
    let line = outcome.out.lines().find(|l| l.starts_with("availability"));
    expect!["availability  0 % of the last 1 min: 0 s up, 1 min down, 0 s unknown"]
        .assert_eq(line.unwrap());
}

#[test]
fn a_host_that_is_not_there_has_a_nearest_name() {
    refused(
        &["host", "web1"],
        expect![[r#"
        hostwell: no host named "web1"; did you mean "web-1"?
    "#]],
    );
}

#[test]
fn samples_as_they_are() {
    check(
        &[
            "query",
            "node_load1{host=~\"web.*|db-1\"}",
            "--since",
            "20s",
        ],
        expect![[r#"
            TIME                  HOST   VALUE
            2026-11-21 19:59:40Z  db-1     0.8
            2026-11-21 19:59:50Z  db-1     0.9
            2026-11-21 20:00:00Z  db-1     0.5
            2026-11-21 19:59:40Z  web-1    0.8
            2026-11-21 19:59:50Z  web-1    0.9
            2026-11-21 20:00:00Z  web-1    0.5
        "#]],
    );
}

#[test]
fn samples_in_steps_by_a_label_of_the_host() {
    check(
        &[
            "query",
            "node_cpu_seconds_total{mode=\"user\"}",
            "--since",
            "20m",
            "--step",
            "10m",
            "--by",
            "role",
            "-o",
            "csv",
        ],
        expect![[r#"
            time,role,value
            2026-11-21T19:40:00Z,"'=HYPERLINK(""http://x"")\u{1b}[2J",0.1
            2026-11-21T19:50:00Z,"'=HYPERLINK(""http://x"")\u{1b}[2J",0.1
            2026-11-21T19:40:00Z,db,0.9
            2026-11-21T19:50:00Z,db,0.9
            2026-11-21T19:40:00Z,web,0.30000000000000004
            2026-11-21T19:50:00Z,web,0.2
        "#]],
    );
}

#[test]
fn a_whole_range_as_one_value() {
    check(
        &[
            "query",
            "node_filesystem_avail_bytes",
            "--agg",
            "min",
            "--since",
            "30m",
        ],
        expect![[r#"
            HOST    DEVICE     FSTYPE  MOUNTPOINT      MIN
            =evil   /dev/sda1  ext4    /            40 GiB
            db-1    /dev/sda1  ext4    /           3.4 GiB
            gone-1  /dev/sda1  ext4    /            40 GiB
            old-1   /dev/sda1  ext4    /            40 GiB
            web-1   /dev/sda1  ext4    /            40 GiB
        "#]],
    );
}

#[test]
fn a_straight_line_says_how_fast_and_where_to() {
    let selector = "{__name__=~\"node_load1|node_network_receive_bytes_total\",host=\"web-1\"}";
    check(
        &["query", selector, "--agg", "deriv", "--since", "30m"],
        expect![[r#"
            HOST   __NAME__                          DEVICE     DERIV
            web-1  node_load1                                3.643e-6
            web-1  node_network_receive_bytes_total  eth0      500000
        "#]],
    );
    let ahead = ["--agg", "deriv", "--ahead", "2h", "--since", "30m"];
    check(
        &[&["query", selector], &ahead[..]].concat(),
        expect![[r#"
            HOST   __NAME__                          DEVICE       DERIV
            web-1  node_load1                                    0.7284
            web-1  node_network_receive_bytes_total  eth0    4500000000
        "#]],
    );
    refused(
        &["query", selector, "--ahead", "2h"],
        expect![[r#"
            hostwell: only a straight line leads anywhere: --ahead needs --agg deriv
        "#]],
    );
}

#[test]
fn a_derived_metric_is_computed_from_the_samples_of_others() {
    check(
        &[
            "query",
            "hostwell_cpu_busy_ratio",
            "--since",
            "1h",
            "--agg",
            "p95",
        ],
        expect![[r#"
            HOST     P95
            =evil   10 %
            db-1    90 %
            gone-1  10 %
            old-1   10 %
            web-1   10 %
        "#]],
    );
}

#[test]
fn samples_as_json_and_as_a_chart() {
    let selector = "node_load1{host=\"web-1\"}";
    check(
        &["query", selector, "--since", "20s", "-o", "json"],
        expect![[r#"
            {
              "schema_version": 1,
              "as_of": "2026-11-21T20:00:00Z",
              "as_of_ms": 1795291200000,
              "kind": "samples",
              "selector": "node_load1{host=\"web-1\"}",
              "from_ms": 1795291180000,
              "to_ms": 1795291200000,
              "step_ms": null,
              "agg": null,
              "unit": "count",
              "series": [
                {
                  "labels": {
                    "host": "web-1"
                  },
                  "times_ms": [1795291180000,1795291190000,1795291200000],
                  "values": [0.8,0.9,0.5]
                }
              ]
            }
        "#]],
    );
    check(
        &["query", selector, "--since", "2m", "-o", "chart"],
        expect![[r#"
            host=web-1
            ▆█▁▃▄▆█▁▃▄▆█▁
            min 0.5  max 0.9  newest 0.5

            2026-11-21 19:58:00Z to 2026-11-21 20:00:00Z; a blank is a time without samples
        "#]],
    );
}

#[test]
fn metrics_by_a_condition_on_their_name() {
    check(
        &[
            "query",
            "{__name__=~\"node_(load1|network_up)\",host=\"web-1\"}",
            "--agg",
            "max",
        ],
        expect![[r#"
            HOST   __NAME__         DEVICE  MAX
            web-1  node_load1               0.9
            web-1  node_network_up  eth0      1
        "#]],
    );
}

#[test]
fn a_wrong_selector_shows_where() {
    refused(
        &["query", "node_load1{host=web}"],
        expect![[r#"
        hostwell: expected a value in double quotes at character 17 of "node_load1{host=web}"; write metric{label="value"}
          node_load1{host=web}
                          ^
    "#]],
    );
    refused(
        &["query", "node_loda1"],
        expect![[r#"
        hostwell: no samples of a metric "node_loda1"; did you mean "node_load1"?
    "#]],
    );
    refused(
        &["query", "node_load1{host=\"nobody\"}"],
        expect![[r#"
        hostwell: no host matches the selector; `hostwell hosts` lists them
    "#]],
    );
    refused(
        &["query", "node_load1", "--step", "1ms", "--since", "30m"],
        expect![[r#"
            hostwell: that is 1800000 steps, more than 100000; take a longer --step or a shorter range
        "#]],
    );
    refused(
        &["query", "node_load1", "--from", "now", "--to", "1h"],
        expect![[r#"
            hostwell: the range ends (2026-11-21 19:00:00Z) before it begins (2026-11-21 20:00:00Z)
        "#]],
    );
}

#[test]
fn the_register_of_risks() {
    check(
        &["risks"],
        expect![[r#"
            ID  SEVERITY  HOST   SINCE                 WHAT
             1  critical  db-1   2026-11-21 19:40:00Z  / is 93 % used: 3.4 of 50 GiB left.
             3  warning   =evil  2026-11-21 19:40:00Z  +1 \u{1b}]0;owned\u{7} is bad.
             2  warning   db-1   2026-11-21 19:50:00Z  Memory 96 % used.

            1: Find what grew and delete it, or enlarge the filesystem.
               hostwell query 'node_filesystem_avail_bytes{host="db-1",mountpoint="/"}'

            3: @SUM(A1)

            2: Look for what grew.

            1 critical, 2 warning, 0 info open, 1 pending (--state all shows them)
        "#]],
    );
    check(
        &[
            "risks",
            "--state",
            "all",
            "--severity",
            "warning",
            "-o",
            "csv",
        ],
        expect![[r#"
            id,state,severity,host,rule,subject,since,opened,closed,summary,advice,owner,acknowledged,muted_until,processes
            1,open,critical,db-1,disk_full,/,2026-11-21T19:40:00Z,2026-11-21T19:45:00Z,,/ is 93 % used: 3.4 of 50 GiB left.,"Find what grew and delete it, or enlarge the filesystem.",,,,
            3,open,warning,'=evil,cpu_saturation,,2026-11-21T19:40:00Z,2026-11-21T19:45:00Z,,"'+1 \u{1b}]0;owned\u{7} is bad.",'@SUM(A1),,,,
            2,open,warning,db-1,memory_low,,2026-11-21T19:50:00Z,2026-11-21T19:45:00Z,,Memory 96 % used.,Look for what grew.,,,,
            4,pending,warning,db-1,cpu_saturation,,2026-11-21T19:40:00Z,,,CPU 90 % busy.,,,,,
            5,closed,critical,web-1,load_high,,2026-11-21T19:40:00Z,2026-11-21T19:45:00Z,2026-11-21T19:55:00Z,Load was high.,,,,,
        "#]],
    );
}

#[test]
fn what_to_do_is_said_in_chinese_where_it_is_asked_for_and_known() {
    check(
        &["risks", "--lang", "zh", "--severity", "warning"],
        expect![[r#"
            ID  SEVERITY  HOST   SINCE                 WHAT
             1  critical  db-1   2026-11-21 19:40:00Z  / is 93 % used: 3.4 of 50 GiB left.
             3  warning   =evil  2026-11-21 19:40:00Z  +1 \u{1b}]0;owned\u{7} is bad.
             2  warning   db-1   2026-11-21 19:50:00Z  Memory 96 % used.

            1: 找出增长的内容并删除，或者扩容文件系统。
               hostwell query 'node_filesystem_avail_bytes{host="db-1",mountpoint="/"}'

            3: @SUM(A1)

            2: Look for what grew.

            1 critical, 2 warning, 0 info open, 1 pending (--state all shows them)
        "#]],
    );
    let fleet = Fleet::new();
    let advice = |words: &[&str]| {
        let json = on(&fleet, &[words, &["-o", "json"]].concat()).out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let first = json["findings"].get(0).unwrap_or(&json["risk"]);
        assert_eq!(first["summary"], "/ is 93 % used: 3.4 of 50 GiB left.");
        (first["advice"].clone(), first["advice_zh"].clone())
    };
    let en = "Find what grew and delete it, or enlarge the filesystem.";
    let zh = "找出增长的内容并删除，或者扩容文件系统。";
    for words in [&["risks"][..], &["risk", "show", "1"], &["host", "db-1"]] {
        assert_eq!(advice(words), (en.into(), zh.into()), "{words:?}");
        let words = [words, &["--lang", "zh"]].concat();
        assert_eq!(advice(&words), (zh.into(), zh.into()), "{words:?}");
    }
    let csv = on(&fleet, &["risks", "--lang", "zh", "-o", "csv"]).out;
    assert!(csv.contains(zh) && !csv.contains(en), "{csv}");
    let refused = on(&fleet, &["risks", "--lang", "fr"]);
    assert_eq!(refused.exit, Exit::Failed, "{}", refused.out);
}

#[test]
fn risks_fail_on_what_is_open_at_least_that_bad() {
    let fleet = Fleet::new();
    let exit = |words: &[&str]| on(&fleet, words).exit;
    assert_eq!(exit(&["risks"]), Exit::Fine);
    assert_eq!(exit(&["risks", "--fail-on", "critical"]), Exit::Found);
    // The filter decides what is shown, not what is open.
    assert_eq!(
        exit(&["risks", "--severity", "critical", "--fail-on", "info"]),
        Exit::Found
    );
    let retire = on(&fleet, &["host", "retire", "db-1"]);
    assert_eq!(retire.exit, Exit::Fine, "{}", retire.err);
    assert_eq!(exit(&["risks", "--fail-on", "critical"]), Exit::Fine);
}

#[test]
fn a_report_names_its_hosts_and_a_group_narrows_it() {
    let fleet = Fleet::new();
    let page = on(&fleet, &["report", "--since", "30m"]);
    assert_eq!((page.exit, page.err.as_str()), (Exit::Fine, ""));
    assert!(page.out.starts_with("<!DOCTYPE html>") || page.out.starts_with("<!doctype html>"));
    let text = on(
        &fleet,
        &["report", "--format", "md", "--group", "site=berlin"],
    )
    .out;
    assert!(text.contains("db-1") && !text.contains("web-1"), "{text}");
    let document = on(&fleet, &["report", "--format", "json", "--since", "30m"]).out;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["schema_version"], 1);
    let nobody = on(&fleet, &["report", "--group", "site=paris"]);
    expect![[r#"
        hostwell: no host has site=paris; there are site=berlin
    "#]]
    .assert_eq(&nobody.err);
}

#[test]
fn a_report_goes_to_the_file_that_was_asked_for() {
    let fleet = Fleet::new();
    let path = fleet.beside("page.html");
    let outcome = on(
        &fleet,
        &["report", "--since", "30m", "--out", path.to_str().unwrap()],
    );
    assert_eq!((outcome.exit, outcome.out.as_str()), (Exit::Fine, ""));
    assert!(
        outcome.err.contains(path.to_str().unwrap()),
        "{}",
        outcome.err
    );
    assert!(std::fs::read_to_string(&path).unwrap().contains("db-1"));
}

#[test]
fn a_backup_answers_like_the_original_and_never_overwrites() {
    let fleet = Fleet::new();
    let copy = fleet.beside("copy.db");
    let copy = copy.to_str().unwrap();
    let outcome = on(&fleet, &["backup", copy]);
    assert_eq!(outcome.exit, Exit::Fine, "{}", outcome.err);
    assert!(outcome.out.contains("6 hosts"), "{}", outcome.out);
    let original = on(&fleet, &["hosts", "-o", "csv"]).out;
    assert_eq!(
        hostwell(&["hosts", "-o", "csv", "--db", copy]).out,
        original
    );
    let again = on(&fleet, &["backup", copy]);
    assert_eq!(again.exit, Exit::Failed);
    assert!(again.err.contains("never overwrites"), "{}", again.err);
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let outcome = on(&Fleet::new(), &["doctor"]);
    assert_eq!((outcome.exit, outcome.err.as_str()), (Exit::Found, ""));
    // Sizes and free space are this machine's, and so is what is to be done about them.
    let mut of_this_machine = false;
    let mut stable: Vec<&str> = Vec::new();
    for line in outcome.out.lines() {
        let advises = line.trim_start().starts_with('→');
        of_this_machine = match advises {
            true => of_this_machine,
            false => line.contains("database:") || line.contains("disk:"),
        };
        if !of_this_machine {
            stable.push(line);
        }
    }
    let is_roomy = outcome.out.contains("fine   disk:");
    let counted = stable.pop().unwrap_or_default();
    assert!(
        counted == "1 wrong, 2 to look at." || !is_roomy,
        "{counted}"
    );
    expect![[r#"
        fine   file: DB can be read
        fine   watching: since 2026-11-21 19:00:00Z
        fine   hosts: 3 of 5 up
        watch  host db-1: 1 refused: time
               → check the host's clock and the collector's retention
        watch  host db-1: 120 samples dropped from its spool
               → the collector was away longer than the spool holds: raise the agent's [spool] bounds, or make room on its disk
        WRONG  host gone-1: nothing since 2026-11-21 19:50:00Z
               → is the host up? there: `systemctl status hostwell-agent`, `journalctl -u hostwell-agent`; gone for good: `hostwell host retire`
    "#]].assert_eq(&stable.join("\n"));
}

#[test]
fn doctor_on_a_damaged_file_says_so() {
    let fleet = Fleet::new();
    let bytes = std::fs::read(fleet.db()).unwrap();
    let cut = fleet.beside("cut.db");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let outcome = hostwell(&["doctor", "--db", cut.to_str().unwrap()]);
    assert_eq!(outcome.exit, Exit::Found);
    assert!(outcome.out.contains("WRONG"), "{}", outcome.out);
}

#[test]
fn the_life_of_a_host() {
    let fleet = Fleet::new();
    let mut told = String::new();
    for words in [
        &["host", "rename", "web-1", "web-01"][..],
        &["host", "label", "web-01", "site=paris", "role=shop"],
        &["host", "label", "web-01", "role-"],
        &["host", "retire", "web-01"],
        &["host", "revive", "web-01"],
        &["host", "merge", "gone-1", "--into", "web-01"],
        &["host", "rename", "nobody", "somebody"],
        &["host", "label", "web-01", "9=x"],
    ] {
        let outcome = on(&fleet, words);
        told.push_str(&format!(
            "{:?} {}{}",
            outcome.exit, outcome.out, outcome.err
        ));
    }
    expect![[r#"
        Fine renamed web-1 → web-01  role=web
        Fine labelled web-01  role=shop site=paris
        Fine labelled web-01  role=web site=paris
        Fine retired web-01  role=web site=paris
        Fine revived web-01  role=web site=paris
        Fine merged gone-1 → web-01  role=web site=paris
        Failed hostwell: no host named "nobody"
        Failed hostwell: "9" cannot be a label's name; use letters, digits and _, not beginning with a digit, and not "host"
    "#]].assert_eq(&told);
    let names = on(&fleet, &["hosts", "-o", "csv"]).out;
    assert!(
        names.contains("web-01") && !names.contains("gone-1"),
        "{names}"
    );
}

#[test]
fn nothing_a_host_sends_reaches_the_output_as_a_control_character() {
    let fleet = Fleet::new();
    for words in [
        &["hosts"][..],
        &["host", "=evil"],
        &["risks", "--state", "all"],
        &["query", "node_load1", "--since", "20s", "--by", "role"],
        &[
            "query",
            "node_load1",
            "-o",
            "chart",
            "--by",
            "role",
            "--step",
            "1m",
        ],
        &["doctor"],
        &["report", "--format", "md", "--since", "30m"],
    ] {
        for format in ["table", "csv"] {
            let mut words = words.to_vec();
            if !words.contains(&"-o") && !words.contains(&"--format") {
                words.extend(["-o", format]);
            }
            let outcome = on(&fleet, &words);
            assert!(outcome.exit != Exit::Failed, "{words:?}: {}", outcome.err);
            let strange = outcome.out.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(strange, None, "{words:?}");
        }
    }
}
