PRAGMA application_id = 1213687148;
PRAGMA user_version = 10;
CREATE TABLE host (
  number          INTEGER PRIMARY KEY,      -- what the history half knows a host by
  id              TEXT    NOT NULL UNIQUE,  -- 32 hexadecimal digits, made by the agent
  name            TEXT    NOT NULL,
  agent_name      TEXT    NOT NULL,         -- what the host calls itself
  renamed         INTEGER NOT NULL,         -- 1: the operator's name stays
  interval_ms     INTEGER NOT NULL,
  facts           TEXT    NOT NULL,         -- JSON object
  agent_labels    TEXT    NOT NULL,         -- JSON object
  operator_labels TEXT    NOT NULL,         -- JSON object; wins over agent_labels
  first_seen_ms   INTEGER NOT NULL,
  greeted_ms      INTEGER NOT NULL,
  clock_skew_ms   INTEGER NOT NULL,
  retired_ms      INTEGER,
  merged_into     INTEGER REFERENCES host (number),
  merged_ms       INTEGER
, kept INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE UNIQUE INDEX host_name ON host (name) WHERE merged_into IS NULL;
CREATE INDEX host_parts ON host (merged_into) WHERE merged_into IS NOT NULL;
CREATE TABLE refusal (
  host   INTEGER NOT NULL REFERENCES host (number),
  reason TEXT    NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (host, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE watch (
  number  INTEGER PRIMARY KEY,
  from_ms INTEGER NOT NULL,
  to_ms   INTEGER NOT NULL
) STRICT;
CREATE TABLE finding (
  number    INTEGER PRIMARY KEY,
  rule      TEXT    NOT NULL,
  host_id   TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  state     TEXT    NOT NULL,
  severity  TEXT    NOT NULL,
  closed_ms INTEGER,
  body      TEXT    NOT NULL                -- the whole finding, JSON object
) STRICT;
CREATE UNIQUE INDEX finding_live ON finding (rule, host_id, subject) WHERE state <> 'closed';
CREATE INDEX finding_closed ON finding (closed_ms) WHERE state = 'closed';
CREATE TABLE finding_event (
  number   INTEGER PRIMARY KEY,
  finding  INTEGER NOT NULL REFERENCES finding (number),
  at_ms    INTEGER NOT NULL,
  state    TEXT    NOT NULL,
  severity TEXT    NOT NULL,
  body     TEXT    NOT NULL                 -- the finding as it was then
, edit TEXT, who  TEXT, note TEXT) STRICT;
CREATE INDEX finding_event_of ON finding_event (finding);
CREATE TABLE spool (
  number           INTEGER PRIMARY KEY,
  host             INTEGER NOT NULL,
  spool_id         TEXT    NOT NULL,        -- 32 hexadecimal digits
  held             TEXT    NOT NULL,        -- JSON: [[first, last], …], disjoint, ascending
  last_received_ms INTEGER NOT NULL,
  last_sample_ms   INTEGER,
  UNIQUE (host, spool_id)
) STRICT;
CREATE TABLE gap (
  number         INTEGER PRIMARY KEY,
  host           INTEGER NOT NULL,
  spool_id       TEXT    NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence  INTEGER NOT NULL,
  from_ms        INTEGER NOT NULL,
  to_ms          INTEGER NOT NULL,
  samples        INTEGER NOT NULL,
  reason         TEXT    NOT NULL
) STRICT;
CREATE INDEX gap_of ON gap (host, to_ms);
CREATE TABLE journal (
  number      INTEGER PRIMARY KEY,
  host        INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  start_ms    INTEGER NOT NULL,
  end_ms      INTEGER NOT NULL,
  samples     INTEGER NOT NULL,
  crc32c      INTEGER NOT NULL,
  payload     BLOB    NOT NULL              -- a parcel: docs/format/block.md
) STRICT;
CREATE TABLE block (
  number   INTEGER PRIMARY KEY,
  host     INTEGER NOT NULL,
  family   INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms   INTEGER NOT NULL,
  samples  INTEGER NOT NULL,
  crc32c   INTEGER NOT NULL,
  payload  BLOB    NOT NULL                 -- a parcel, zstd: docs/format/block.md
) STRICT;
CREATE INDEX block_of ON block (host, family, end_ms, start_ms, samples);
CREATE INDEX block_end ON block (end_ms);
CREATE TABLE rollup (
  number   INTEGER PRIMARY KEY,
  host     INTEGER NOT NULL,
  family   INTEGER NOT NULL,
  tier_ms  INTEGER NOT NULL,                -- length of a step
  start_ms INTEGER NOT NULL,                -- first step
  end_ms   INTEGER NOT NULL,                -- where the last step ends
  samples  INTEGER NOT NULL,                -- raw samples it speaks for
  crc32c   INTEGER NOT NULL,
  payload  BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX rollup_of ON rollup (host, family, tier_ms, start_ms);
CREATE INDEX rollup_end ON rollup (tier_ms, end_ms);
CREATE TABLE unrolled (
  host INTEGER NOT NULL,
  day  INTEGER NOT NULL,
  PRIMARY KEY (host, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE dropped (
  tier_ms   INTEGER PRIMARY KEY,
  rows      INTEGER NOT NULL,               -- blocks, or rows of rollups
  bytes     INTEGER NOT NULL,               -- of their payloads
  until_ms  INTEGER NOT NULL,               -- where the newest of them ended
  at_ms     INTEGER NOT NULL,               -- when it last took some, collector's clock
  bytes_max INTEGER NOT NULL                -- the budget then
) STRICT;
CREATE TABLE metric (
  id     INTEGER PRIMARY KEY,
  name   TEXT    NOT NULL,
  kind   TEXT    NOT NULL,                  -- counter or gauge
  family INTEGER NOT NULL,                  -- which blocks hold its series
  uses   INTEGER NOT NULL,                  -- how many series have it; nobody's is removed
  UNIQUE (name, kind, family)
) STRICT;
CREATE TABLE labels (
  id   INTEGER PRIMARY KEY,
  text TEXT    NOT NULL UNIQUE,             -- JSON object, names ascending
  uses INTEGER NOT NULL                     -- how many series have it; nobody's is removed
) STRICT;
CREATE TABLE series (
  host   INTEGER NOT NULL,
  metric INTEGER NOT NULL,
  labels INTEGER NOT NULL,
  id     INTEGER NOT NULL,                  -- what blocks know it by; unique
  PRIMARY KEY (host, metric, labels)
) STRICT, WITHOUT ROWID;
CREATE TABLE given (
  what TEXT    PRIMARY KEY,                 -- the table whose ids these are
  last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE VIEW named AS
  SELECT s.host, m.name, s.id, s.metric, s.labels
  FROM metric AS m CROSS JOIN series AS s ON s.metric = m.id;
CREATE TABLE care (
  finding INTEGER PRIMARY KEY REFERENCES finding (number),
  body    TEXT    NOT NULL                  -- JSON object
) STRICT;
CREATE TABLE outbox (
  number  INTEGER PRIMARY KEY,
  target  TEXT    NOT NULL,
  made_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,                 -- not tried before
  tries   INTEGER NOT NULL,
  body    TEXT    NOT NULL                  -- the message, JSON object
) STRICT;
CREATE TABLE told (
  target  TEXT    NOT NULL,
  finding INTEGER NOT NULL,
  body    TEXT    NOT NULL,                 -- JSON object
  PRIMARY KEY (target, finding)
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
  target TEXT PRIMARY KEY,
  body   TEXT NOT NULL                      -- JSON object
) STRICT, WITHOUT ROWID;
CREATE TABLE total (
  block   INTEGER PRIMARY KEY REFERENCES block (number) ON DELETE CASCADE,
  crc32c  INTEGER NOT NULL,
  payload BLOB    NOT NULL                  -- docs/format/total.md
) STRICT;
CREATE TABLE process_note (
  number   INTEGER PRIMARY KEY,
  host     INTEGER NOT NULL,
  folded   INTEGER NOT NULL,                -- 0: one note, 1: several
  start_ms INTEGER NOT NULL,                -- the first note, host's clock
  end_ms   INTEGER NOT NULL,                -- the last one
  notes    INTEGER NOT NULL,
  crc32c   INTEGER NOT NULL,
  payload  BLOB    NOT NULL                 -- docs/format/processes.md
) STRICT;
CREATE INDEX process_note_of ON process_note (host, folded, end_ms, start_ms);
CREATE TABLE sealed (
  host   INTEGER PRIMARY KEY,
  number INTEGER NOT NULL
) STRICT;
CREATE VIEW waiting AS
  SELECT number, host, received_ms, start_ms, end_ms, samples, crc32c, payload FROM journal
  WHERE number > coalesce((SELECT sealed.number FROM sealed WHERE sealed.host = journal.host), -1);
CREATE TABLE newest (
  host      INTEGER PRIMARY KEY,
  oldest_ms INTEGER NOT NULL,               -- the oldest of these samples
  crc32c    INTEGER NOT NULL,
  payload   BLOB    NOT NULL                -- a parcel (docs/format/block.md), one sample a series
) STRICT;
INSERT INTO host VALUES (1, '01010101010101010101010101010101', 'web', 'web', 0, 10000, '{"kernel":"6.1","os":"","arch":"","cpus":2,"memory_bytes":0,"boot_id":"","boot_time_ms":0,"agent_version":"","virtualisation":""}', '{"role":"db","site":"a"}', '{}', 1800000000000, 1800000000000, 3, NULL, NULL, NULL, 0);
INSERT INTO host VALUES (2, '02020202020202020202020202020202', 'old', 'old', 0, 10000, '{"kernel":"6.1","os":"","arch":"","cpus":2,"memory_bytes":0,"boot_id":"","boot_time_ms":0,"agent_version":"","virtualisation":""}', '{"role":"db","site":"a"}', '{}', 1800000000000, 1800000000000, 3, NULL, 1, 1800000000000, 0);
INSERT INTO refusal VALUES (1, 'time', 1);
INSERT INTO watch VALUES (1, 1800000000000, 1800000000000);
INSERT INTO finding VALUES (1, 'disk_full', '01010101010101010101010101010101', '/', 'open', 'warning', NULL, '{"id":1,"rule":"disk_full","host_id":"01010101010101010101010101010101","host":"web","subject":"/","severity":"warning","state":"open","since_ms":1800000000000,"opened_ms":null,"closed_ms":null,"judged_ms":1800000000000,"summary":"12 GB left","evidence":[],"advice":"delete something"}');
INSERT INTO finding_event VALUES (1, 1, 1800000000000, 'open', 'warning', '{"id":1,"rule":"disk_full","host_id":"01010101010101010101010101010101","host":"web","subject":"/","severity":"warning","state":"open","since_ms":1800000000000,"opened_ms":null,"closed_ms":null,"judged_ms":1800000000000,"summary":"12 GB left","evidence":[],"advice":"delete something"}', NULL, NULL, NULL);
INSERT INTO finding_event VALUES (2, 1, 1800000000001, 'open', 'warning', '{"id":1,"rule":"disk_full","host_id":"01010101010101010101010101010101","host":"web","subject":"/","severity":"warning","state":"open","since_ms":1800000000000,"opened_ms":null,"closed_ms":null,"judged_ms":1800000000000,"summary":"12 GB left","evidence":[],"advice":"delete something"}', '"acknowledge"', 'anna', 'disk ordered');
INSERT INTO spool VALUES (1, 2, '02020202020202020202020202020202', '[[1,1]]', 1799999995000, 1799999995000);
INSERT INTO spool VALUES (2, 1, '01010101010101010101010101010101', '[[1,2],[4,6]]', 1800000010000, 1800000010000);
INSERT INTO gap VALUES (1, 1, '01010101010101010101010101010101', 4, 6, 1800000000000, 1800000000001, 12, 'bytes');
INSERT INTO journal VALUES (3, 1, 1800000000000, 1800000000000, 1800000005000, 2, 484659504, X'010102010102908EE385E3688F4E0100010514');
INSERT INTO block VALUES (1, 1, 1, 1800000000000, 1800000010000, 2, 1927892657, X'030102010280C0E285E3680400A09C01120204000000000000D03F9C7500883CE4377E');
INSERT INTO block VALUES (2, 1, 8, 1800000000000, 1800000010000, 2, 2878587554, X'030104010280C0E285E3680400A09C01120204000000000000D03F9C7500883CE4377E');
INSERT INTO block VALUES (3, 2, 1, 1799999995000, 1799999995000, 1, 3691219526, X'0301060101F0F1E185E368000310BE01');
INSERT INTO rollup VALUES (1, 1, 1, 60000, 1799971200000, 1800000060000, 2, 1970027240, X'28B52FFD20284101000101000223010180C0E285E3680400000402203201029F7500883CE4277E01029C7500883CE4377E');
INSERT INTO rollup VALUES (10, 2, 1, 86400000, 1799884800000, 1800057600000, 1, 378047116, X'28B52FFD2015A900000101040610010180F0A6EAE268020000020210BE01');
INSERT INTO rollup VALUES (11, 2, 100, 3600000, 1799971200000, 1800000000000, 1, 2571020962, X'28B52FFD203081010001010211686F737477656C6C5F70726573656E6365010372756E0230301201018086AB82E368020000020200F0EBB603');
INSERT INTO rollup VALUES (2, 1, 1, 3600000, 1799971200000, 1800003600000, 2, 2944832002, X'28B52FFD20329101000101040223010180C0E285E3680400000402203201029F7500883CE4277E01029C7500883CE4377E028E0FB8F8FFFF070101');
INSERT INTO rollup VALUES (3, 1, 1, 86400000, 1799884800000, 1800057600000, 2, 787688624, X'28B52FFD20329101000101040223010180F0A6EAE2680400000402203201029F7500883CE4277E01029C7500883CE4377E028E0FB8F8FFFF070101');
INSERT INTO rollup VALUES (4, 1, 8, 60000, 1799971200000, 1800000060000, 2, 2112615110, X'28B52FFD20284101000101000423010180C0E285E3680400000402203201029F7500883CE4277E01029C7500883CE4377E');
INSERT INTO rollup VALUES (5, 1, 8, 3600000, 1799971200000, 1800003600000, 2, 140179259, X'28B52FFD20329101000101040423010180C0E285E3680400000402203201029F7500883CE4277E01029C7500883CE4377E028E0FB8F8FFFF070101');
INSERT INTO rollup VALUES (6, 1, 8, 86400000, 1799884800000, 1800057600000, 2, 2301577609, X'28B52FFD20329101000101040423010180F0A6EAE2680400000402203201029F7500883CE4277E01029C7500883CE4377E028E0FB8F8FFFF070101');
INSERT INTO rollup VALUES (7, 1, 100, 3600000, 1799971200000, 1800003600000, 2, 1144296420, X'28B52FFD203291010001010211686F737477656C6C5F70726573656E6365010372756E02303014010180C0E285E368030000040200000200A09C01');
INSERT INTO rollup VALUES (8, 2, 1, 60000, 1799971200000, 1800000000000, 1, 1826879937, X'28B52FFD2015A9000001010006100101C096DB85E368020000020210BE01');
INSERT INTO rollup VALUES (9, 2, 1, 3600000, 1799971200000, 1800000000000, 1, 1748172148, X'28B52FFD2015A90000010104061001018086AB82E368020000020210BE01');
INSERT INTO metric VALUES (1, 'node_load1', 'gauge', 1, 2);
INSERT INTO metric VALUES (2, 'custom_level', 'gauge', 8, 1);
INSERT INTO labels VALUES (1, '{}', 3);
INSERT INTO series VALUES (1, 1, 1, 1);
INSERT INTO series VALUES (1, 2, 1, 2);
INSERT INTO series VALUES (2, 1, 1, 3);
INSERT INTO given VALUES ('finding', 1);
INSERT INTO given VALUES ('labels', 1);
INSERT INTO given VALUES ('metric', 2);
INSERT INTO given VALUES ('series', 3);
INSERT INTO care VALUES (1, '{"acknowledged":{"at_ms":1800000000001,"who":"anna","note":"disk ordered"}}');
INSERT INTO total VALUES (1, 313062494, X'02010201020180C0E285E368000000000088B3400000000084D787412A000000000000D03F9C7500883CE4377E9C7500883CE4377E918F04E41B2AFD7E');
INSERT INTO total VALUES (2, 2871908838, X'02010401020180C0E285E368000000000088B3400000000084D787412A000000000000D03F9C7500883CE4377E9C7500883CE4377E918F04E41B2AFD7E');
INSERT INTO total VALUES (3, 1893531663, X'020106010101F0F1E185E36800000000000000000000000000000000A1BE010000');
INSERT INTO process_note VALUES (1, 1, 0, 1800000000000, 1800000000000, 1, 1930082823, X'0104046D616B65056275696C64000A64622E73657276696365011100010280D0AFB3E2680180C0E285E3689003E0D403000001010005B607804001030005');
INSERT INTO newest VALUES (1, 1800000010000, 232998907, X'010102020101A0DCE385E3680200029C7500883CE4377E01029C7500883CE4377E');
INSERT INTO newest VALUES (2, 1799999995000, 973192535, X'010106010101F0F1E185E368010010BE01');
