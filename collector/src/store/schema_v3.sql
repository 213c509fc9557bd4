-- What the disk budget took before its age, by tier; 0: samples.
CREATE TABLE dropped (
  tier_ms   INTEGER PRIMARY KEY,
  rows      INTEGER NOT NULL,               -- blocks, or rows of rollups
  bytes     INTEGER NOT NULL,               -- of their payloads
  until_ms  INTEGER NOT NULL,               -- where the newest of them ended
  at_ms     INTEGER NOT NULL,               -- when it last took some, collector's clock
  bytes_max INTEGER NOT NULL                -- the budget then
) STRICT;
