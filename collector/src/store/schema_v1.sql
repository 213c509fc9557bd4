-- Registry half: small, transactional. No statement joins it with the history half.
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
) STRICT;
CREATE UNIQUE INDEX host_name ON host (name) WHERE merged_into IS NULL;
CREATE INDEX host_parts ON host (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE refusal (
  host   INTEGER NOT NULL REFERENCES host (number),
  reason TEXT    NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (host, reason)
) STRICT, WITHOUT ROWID;

-- When a collector was alive, by its own clock.
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

-- One row for each change of state or severity, kept for ever.
CREATE TABLE finding_event (
  number   INTEGER PRIMARY KEY,
  finding  INTEGER NOT NULL REFERENCES finding (number),
  at_ms    INTEGER NOT NULL,
  state    TEXT    NOT NULL,
  severity TEXT    NOT NULL,
  body     TEXT    NOT NULL                 -- the finding as it was then
) STRICT;
CREATE INDEX finding_event_of ON finding_event (finding);

-- History half: large, append-only. A host is only a number here.
CREATE TABLE series (
  id     INTEGER PRIMARY KEY,
  host   INTEGER NOT NULL,
  metric TEXT    NOT NULL,
  labels TEXT    NOT NULL,                  -- JSON object, names ascending
  kind   TEXT    NOT NULL,                  -- counter or gauge
  family INTEGER NOT NULL,                  -- which blocks hold it
  UNIQUE (host, metric, labels)
) STRICT;

-- What was received of each spool; committed together with the points.
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

-- Batches as they arrived, until they are sealed.
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

-- Sealed: one family of one host over one range.
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
