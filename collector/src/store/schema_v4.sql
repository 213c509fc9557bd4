-- What series are called is stored once for all hosts.
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

INSERT INTO metric (name, kind, family, uses)
  SELECT metric, kind, family, count(*) FROM series GROUP BY 1, 2, 3 ORDER BY min(id);
INSERT INTO labels (text, uses)
  SELECT labels, count(*) FROM series GROUP BY 1 ORDER BY min(id);

ALTER TABLE series RENAME TO series_before;
CREATE TABLE series (
  host   INTEGER NOT NULL,
  metric INTEGER NOT NULL,
  labels INTEGER NOT NULL,
  id     INTEGER NOT NULL,                  -- what blocks know it by; unique
  PRIMARY KEY (host, metric, labels)
) STRICT, WITHOUT ROWID;
INSERT INTO series (host, metric, labels, id)
  SELECT s.host, m.id, l.id, s.id FROM series_before AS s
  JOIN metric AS m ON m.name = s.metric AND m.kind = s.kind AND m.family = s.family
  JOIN labels AS l ON l.text = s.labels
  ORDER BY 1, 2, 3;
DROP TABLE series_before;

-- The highest id that was ever given out: none is given out twice.
CREATE TABLE given (
  what TEXT    PRIMARY KEY,                 -- the table whose ids these are
  last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO given (what, last)
  SELECT 'series', coalesce(max(id), 0) FROM series
  UNION ALL SELECT 'metric', coalesce(max(id), 0) FROM metric
  UNION ALL SELECT 'labels', coalesce(max(id), 0) FROM labels;

-- The series of a host by a metric's name. CROSS JOIN: the name first, it is the rarer thing.
CREATE VIEW named AS
  SELECT s.host, m.name, s.id, s.metric, s.labels
  FROM metric AS m CROSS JOIN series AS s ON s.metric = m.id;
