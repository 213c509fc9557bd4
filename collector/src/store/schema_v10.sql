-- The newest sample in blocks of each series of a host, so that live views need not open blocks. A series
-- that a row does not name is looked for in blocks; before this format all are.
CREATE TABLE newest (
  host      INTEGER PRIMARY KEY,
  oldest_ms INTEGER NOT NULL,               -- the oldest of these samples
  crc32c    INTEGER NOT NULL,
  payload   BLOB    NOT NULL                -- a parcel (docs/format/block.md), one sample a series
) STRICT;
