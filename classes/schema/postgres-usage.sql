-- What subscribers used, written by weir's accounting.

-- Layer-2 bytes as the classes count them. No foreign key: what was used stays known after the subscriber has gone.
CREATE TABLE IF NOT EXISTS usage (
  subscriber     text COLLATE "C" NOT NULL,
  direction      text NOT NULL CHECK (direction IN ('down', 'up')),
  interval_start timestamptz NOT NULL,
  interval_end   timestamptz NOT NULL,
  bytes          bigint NOT NULL CHECK (bytes >= 0),
  packets        bigint NOT NULL CHECK (packets >= 0),
  CHECK (interval_end >= interval_start),
  PRIMARY KEY (subscriber, direction, interval_start)
);

-- Batches that are in `usage` already, so that none is counted twice. Rows older than a month may be deleted.
CREATE TABLE IF NOT EXISTS usage_batches (
  id       text COLLATE "C" PRIMARY KEY,
  taken_at timestamptz NOT NULL DEFAULT now()
);
