-- 1: imported history, which no age prunes.
ALTER TABLE host ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

-- What the raw samples of one family of one host came to, step by step: docs/format/rollup.md.
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

-- Days (UTC, counted from the Unix epoch) of a host whose samples changed since they were rolled up.
CREATE TABLE unrolled (
  host INTEGER NOT NULL,
  day  INTEGER NOT NULL,
  PRIMARY KEY (host, day)
) STRICT, WITHOUT ROWID;

-- What is sealed already was never rolled up.
WITH RECURSIVE span(host, day, last) AS (
  SELECT DISTINCT host,
         (start_ms - ((start_ms % 86400000) + 86400000) % 86400000) / 86400000,
         (end_ms - ((end_ms % 86400000) + 86400000) % 86400000) / 86400000
  FROM block
  UNION
  SELECT host, day + 1, last FROM span WHERE day < last
)
INSERT OR IGNORE INTO unrolled (host, day) SELECT host, day FROM span;
