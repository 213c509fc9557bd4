-- What of the journal is in blocks: the rows of a host up to a number. These rows go once all rows before
-- them are in blocks too: a page of the journal has rows of many hosts, and would be written again for each
-- host whose rows go.
CREATE TABLE sealed (
  host   INTEGER PRIMARY KEY,
  number INTEGER NOT NULL
) STRICT;

-- The journal without these rows.
CREATE VIEW waiting AS
  SELECT number, host, received_ms, start_ms, end_ms, samples, crc32c, payload FROM journal
  WHERE number > coalesce((SELECT sealed.number FROM sealed WHERE sealed.host = journal.host), -1);
