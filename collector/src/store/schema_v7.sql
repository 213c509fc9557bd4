-- What used hosts most, as their agents noted it: kept for days, not for ever. Many notes of a host
-- are put into one row when there are enough of them.
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
