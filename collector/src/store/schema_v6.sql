-- What the gauges of a block come to, so that means and extremes need not read it. Blocks that were
-- written before have no row, and are read.
CREATE TABLE total (
  block   INTEGER PRIMARY KEY REFERENCES block (number) ON DELETE CASCADE,
  crc32c  INTEGER NOT NULL,
  payload BLOB    NOT NULL                  -- docs/format/total.md
) STRICT;
