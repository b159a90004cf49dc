-- weir's reference schema for SQLite 3.38 or newer. See classes/stores/README.md.
-- A rate is a number of bit/s or text in tc's grammar ('10mbit'), a size a number of bytes or text ('64kb'), a time a number
-- of microseconds or text ('5ms'): NUMERIC keeps both as what they are. NULL means: not set; what then holds is what a class
-- tree file would take.

CREATE TABLE weir_schema (version INTEGER NOT NULL);
INSERT INTO weir_schema (version) VALUES (2);

-- What belongs to the whole tree. At most one row.
CREATE TABLE settings (
  id             INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  default_class  TEXT,     -- id of the subscriber, or the site without anybody, that gets traffic of no class
  overhead_bytes INTEGER CHECK (overhead_bytes BETWEEN -64 AND 256),
  mpu_bytes      INTEGER CHECK (mpu_bytes BETWEEN 0 AND 1500),
  link_layer     TEXT CHECK (link_layer IN ('ethernet', 'atm', 'ptm')),
  -- for all classes that do not say otherwise
  leaf           TEXT CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  INTEGER CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    NUMERIC CHECK (limit_bytes NOT LIKE '-%'),
  codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%'),
  codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%'),
  flows          INTEGER CHECK (flows BETWEEN 1 AND 65536),
  memory         NUMERIC CHECK (memory NOT LIKE '-%'),
  ecn            INTEGER CHECK (ecn IN (0, 1)),
  isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           INTEGER CHECK (wash IN (0, 1))
);

CREATE TABLE plans (
  id             TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  name           TEXT,
  down_rate      NUMERIC CHECK (down_rate NOT LIKE '-%'),
  down_ceil      NUMERIC CHECK (down_ceil NOT LIKE '-%'),
  down_burst     NUMERIC CHECK (down_burst NOT LIKE '-%'),
  down_cburst    NUMERIC CHECK (down_cburst NOT LIKE '-%'),
  down_quantum   NUMERIC CHECK (down_quantum NOT LIKE '-%'),
  down_prio      INTEGER CHECK (down_prio BETWEEN 0 AND 7),
  up_rate        NUMERIC CHECK (up_rate NOT LIKE '-%'),
  up_ceil        NUMERIC CHECK (up_ceil NOT LIKE '-%'),
  up_burst       NUMERIC CHECK (up_burst NOT LIKE '-%'),
  up_cburst      NUMERIC CHECK (up_cburst NOT LIKE '-%'),
  up_quantum     NUMERIC CHECK (up_quantum NOT LIKE '-%'),
  up_prio        INTEGER CHECK (up_prio BETWEEN 0 AND 7),
  leaf           TEXT CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  INTEGER CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    NUMERIC CHECK (limit_bytes NOT LIKE '-%'),
  codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%'),
  codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%'),
  flows          INTEGER CHECK (flows BETWEEN 1 AND 65536),
  memory         NUMERIC CHECK (memory NOT LIKE '-%'),
  ecn            INTEGER CHECK (ecn IN (0, 1)),
  isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           INTEGER CHECK (wash IN (0, 1))
) WITHOUT ROWID;

-- A tree of any depth: campus, house, floor, and whatever else shares a rate.
CREATE TABLE sites (
  id            TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  parent        TEXT REFERENCES sites (id) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  name          TEXT,
  down_rate     NUMERIC CHECK (down_rate NOT LIKE '-%'),
  down_ceil     NUMERIC CHECK (down_ceil NOT LIKE '-%'),
  down_burst    NUMERIC CHECK (down_burst NOT LIKE '-%'),
  down_cburst   NUMERIC CHECK (down_cburst NOT LIKE '-%'),
  down_quantum  NUMERIC CHECK (down_quantum NOT LIKE '-%'),
  down_prio     INTEGER CHECK (down_prio BETWEEN 0 AND 7),
  up_rate       NUMERIC CHECK (up_rate NOT LIKE '-%'),
  up_ceil       NUMERIC CHECK (up_ceil NOT LIKE '-%'),
  up_burst      NUMERIC CHECK (up_burst NOT LIKE '-%'),
  up_cburst     NUMERIC CHECK (up_cburst NOT LIKE '-%'),
  up_quantum    NUMERIC CHECK (up_quantum NOT LIKE '-%'),
  up_prio       INTEGER CHECK (up_prio BETWEEN 0 AND 7),
  CHECK (parent <> id)
) WITHOUT ROWID;
CREATE INDEX sites_parent ON sites (parent);

-- Values of a subscriber's own go before those of the plan, and these before the settings'. From expires_at on there is no
-- class: ISO 8601 text, or seconds since 1970.
CREATE TABLE subscribers (
  id             TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  name           TEXT,
  site           TEXT REFERENCES sites (id) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  plan           TEXT REFERENCES plans (id) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  expires_at     NUMERIC CHECK (typeof(expires_at) <> 'text' OR julianday(expires_at) IS NOT NULL),
  down_rate      NUMERIC CHECK (down_rate NOT LIKE '-%'),
  down_ceil      NUMERIC CHECK (down_ceil NOT LIKE '-%'),
  down_burst     NUMERIC CHECK (down_burst NOT LIKE '-%'),
  down_cburst    NUMERIC CHECK (down_cburst NOT LIKE '-%'),
  down_quantum   NUMERIC CHECK (down_quantum NOT LIKE '-%'),
  down_prio      INTEGER CHECK (down_prio BETWEEN 0 AND 7),
  up_rate        NUMERIC CHECK (up_rate NOT LIKE '-%'),
  up_ceil        NUMERIC CHECK (up_ceil NOT LIKE '-%'),
  up_burst       NUMERIC CHECK (up_burst NOT LIKE '-%'),
  up_cburst      NUMERIC CHECK (up_cburst NOT LIKE '-%'),
  up_quantum     NUMERIC CHECK (up_quantum NOT LIKE '-%'),
  up_prio        INTEGER CHECK (up_prio BETWEEN 0 AND 7),
  leaf           TEXT CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  INTEGER CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    NUMERIC CHECK (limit_bytes NOT LIKE '-%'),
  codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%'),
  codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%'),
  flows          INTEGER CHECK (flows BETWEEN 1 AND 65536),
  memory         NUMERIC CHECK (memory NOT LIKE '-%'),
  ecn            INTEGER CHECK (ecn IN (0, 1)),
  isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           INTEGER CHECK (wash IN (0, 1))
) WITHOUT ROWID;
CREATE INDEX subscribers_site ON subscribers (site);
CREATE INDEX subscribers_plan ON subscribers (plan);

-- One row an address or prefix of either family: '10.0.0.5', '10.1.0.0/24', '2001:db8:42::/56'.
CREATE TABLE addresses (
  address    TEXT NOT NULL PRIMARY KEY CHECK (address <> ''),
  subscriber TEXT NOT NULL REFERENCES subscribers (id)
             ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
) WITHOUT ROWID;
CREATE INDEX addresses_subscriber ON addresses (subscriber);

-- ---- what changed, for weir's watch --------------------------------------------------------------------------

-- What the triggers below note, in the order of the commits. It prunes itself; who finds a gap reads everything.
CREATE TABLE weir_changes (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  entity TEXT NOT NULL CHECK (entity IN ('subscriber', 'all')),
  id     TEXT
);
CREATE TRIGGER weir_changes_prune AFTER INSERT ON weir_changes WHEN NEW.seq % 1000 = 0 BEGIN
  DELETE FROM weir_changes WHERE seq <= NEW.seq - 5000;
END;

CREATE TRIGGER weir_subscribers_insert AFTER INSERT ON subscribers BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', NEW.id);
END;
CREATE TRIGGER weir_subscribers_update AFTER UPDATE ON subscribers BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', NEW.id);
  INSERT INTO weir_changes (entity, id) SELECT 'subscriber', OLD.id WHERE OLD.id <> NEW.id;
END;
CREATE TRIGGER weir_subscribers_delete AFTER DELETE ON subscribers BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', OLD.id);
END;

-- REPLACE takes an address away from its subscriber without a trigger of its own, so whoever has it is noted first.
CREATE TRIGGER weir_addresses_taken BEFORE INSERT ON addresses BEGIN
  INSERT INTO weir_changes (entity, id)
    SELECT 'subscriber', subscriber FROM addresses WHERE address = NEW.address;
END;
CREATE TRIGGER weir_addresses_insert AFTER INSERT ON addresses BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', NEW.subscriber);
END;
CREATE TRIGGER weir_addresses_retaken BEFORE UPDATE OF address ON addresses BEGIN
  INSERT INTO weir_changes (entity, id)
    SELECT 'subscriber', subscriber FROM addresses WHERE address = NEW.address;
END;
CREATE TRIGGER weir_addresses_update AFTER UPDATE ON addresses BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', NEW.subscriber);
  INSERT INTO weir_changes (entity, id) SELECT 'subscriber', OLD.subscriber WHERE OLD.subscriber <> NEW.subscriber;
END;
CREATE TRIGGER weir_addresses_delete AFTER DELETE ON addresses BEGIN
  INSERT INTO weir_changes (entity, id) VALUES ('subscriber', OLD.subscriber);
END;

CREATE TRIGGER weir_plans_insert AFTER INSERT ON plans BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_plans_update AFTER UPDATE ON plans BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_plans_delete AFTER DELETE ON plans BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;

CREATE TRIGGER weir_sites_insert AFTER INSERT ON sites BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_sites_update AFTER UPDATE ON sites BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_sites_delete AFTER DELETE ON sites BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;

CREATE TRIGGER weir_settings_insert AFTER INSERT ON settings BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_settings_update AFTER UPDATE ON settings BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
CREATE TRIGGER weir_settings_delete AFTER DELETE ON settings BEGIN
  INSERT INTO weir_changes (entity) VALUES ('all');
END;
