-- What subscribers used, written by weir's accounting.

-- Layer-2 bytes as the classes count them. No foreign key: what was used stays known after the subscriber has gone.
-- Times are ISO 8601 in UTC, such as 2026-01-31T12:00:00.000Z; they sort, and SQLite's date functions read them.
CREATE TABLE IF NOT EXISTS usage (
  subscriber     TEXT NOT NULL,
  direction      TEXT NOT NULL CHECK (direction IN ('down', 'up')),
  interval_start TEXT NOT NULL CHECK (julianday(interval_start) IS NOT NULL),
  interval_end   TEXT NOT NULL CHECK (julianday(interval_end) IS NOT NULL),
  bytes          INTEGER NOT NULL CHECK (bytes >= 0),
  packets        INTEGER NOT NULL CHECK (packets >= 0),
  CHECK (interval_end >= interval_start),
  PRIMARY KEY (subscriber, direction, interval_start)
) WITHOUT ROWID;

-- Batches that are in `usage` already, so that none is counted twice. Rows older than a month may be deleted.
CREATE TABLE IF NOT EXISTS usage_batches (
  id       TEXT NOT NULL PRIMARY KEY,
  taken_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) WITHOUT ROWID;
