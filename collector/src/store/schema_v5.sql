-- What people did about a finding is an event too; the columns are empty where a rule changed it.
ALTER TABLE finding_event ADD COLUMN edit TEXT; -- JSON: what somebody decided
ALTER TABLE finding_event ADD COLUMN who  TEXT; -- who they say they are
ALTER TABLE finding_event ADD COLUMN note TEXT; -- why

-- Where people stand with a finding: acknowledged, owned, muted, closed by hand.
CREATE TABLE care (
  finding INTEGER PRIMARY KEY REFERENCES finding (number),
  body    TEXT    NOT NULL                  -- JSON object
) STRICT;

-- Numbers of findings are never given out twice: what was only pending is forgotten.
INSERT INTO given (what, last) SELECT 'finding', coalesce(max(number), 0) FROM finding;

-- Messages on their way to a target, until it has them or they are lost.
CREATE TABLE outbox (
  number  INTEGER PRIMARY KEY,
  target  TEXT    NOT NULL,
  made_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,                 -- not tried before
  tries   INTEGER NOT NULL,
  body    TEXT    NOT NULL                  -- the message, JSON object
) STRICT;

-- What a target was last told of a finding.
CREATE TABLE told (
  target  TEXT    NOT NULL,
  finding INTEGER NOT NULL,
  body    TEXT    NOT NULL,                 -- JSON object
  PRIMARY KEY (target, finding)
) STRICT, WITHOUT ROWID;

-- How the deliveries to a target go: delivered, failed, lost, last error.
CREATE TABLE delivery (
  target TEXT PRIMARY KEY,
  body   TEXT NOT NULL                      -- JSON object
) STRICT, WITHOUT ROWID;
