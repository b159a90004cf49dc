-- weir's reference schema for PostgreSQL 12 or newer. See classes/stores/README.md.
-- A rate is a number of bit/s or text in tc's grammar ('10mbit'), a size a number of bytes or text ('64kb'), a time a number
-- of microseconds or text ('5ms'). NULL means: not set; what then holds is what a class tree file would take. Ids compare as
-- bytes (COLLATE "C"), which is fast.

CREATE TABLE weir_schema (version integer NOT NULL);
INSERT INTO weir_schema (version) VALUES (2);

-- Text, so that both 10000000 and 10mbit can be written; a number that is written becomes text by itself.
CREATE DOMAIN weir_quantity AS text CHECK (VALUE <> '' AND VALUE NOT LIKE '-%');

-- What belongs to the whole tree. At most one row.
CREATE TABLE settings (
  id             integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  default_class  text,     -- id of the subscriber, or the site without anybody, that gets traffic of no class
  overhead_bytes integer CHECK (overhead_bytes BETWEEN -64 AND 256),
  mpu_bytes      integer CHECK (mpu_bytes BETWEEN 0 AND 1500),
  link_layer     text CHECK (link_layer IN ('ethernet', 'atm', 'ptm')),
  -- for all classes that do not say otherwise
  leaf           text CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  integer CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    weir_quantity,
  codel_target   weir_quantity,
  codel_interval weir_quantity,
  flows          integer CHECK (flows BETWEEN 1 AND 65536),
  memory         weir_quantity,
  ecn            boolean,
  isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           boolean
);

CREATE TABLE plans (
  id             text COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  name           text,
  down_rate      weir_quantity,
  down_ceil      weir_quantity,
  down_burst     weir_quantity,
  down_cburst    weir_quantity,
  down_quantum   weir_quantity,
  down_prio      integer CHECK (down_prio BETWEEN 0 AND 7),
  up_rate        weir_quantity,
  up_ceil        weir_quantity,
  up_burst       weir_quantity,
  up_cburst      weir_quantity,
  up_quantum     weir_quantity,
  up_prio        integer CHECK (up_prio BETWEEN 0 AND 7),
  leaf           text CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  integer CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    weir_quantity,
  codel_target   weir_quantity,
  codel_interval weir_quantity,
  flows          integer CHECK (flows BETWEEN 1 AND 65536),
  memory         weir_quantity,
  ecn            boolean,
  isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           boolean
);

-- A tree of any depth: campus, house, floor, and whatever else shares a rate.
CREATE TABLE sites (
  id            text COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  parent        text COLLATE "C" REFERENCES sites ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  name          text,
  down_rate     weir_quantity,
  down_ceil     weir_quantity,
  down_burst    weir_quantity,
  down_cburst   weir_quantity,
  down_quantum  weir_quantity,
  down_prio     integer CHECK (down_prio BETWEEN 0 AND 7),
  up_rate       weir_quantity,
  up_ceil       weir_quantity,
  up_burst      weir_quantity,
  up_cburst     weir_quantity,
  up_quantum    weir_quantity,
  up_prio       integer CHECK (up_prio BETWEEN 0 AND 7),
  CHECK (parent <> id)
);
CREATE INDEX sites_parent ON sites (parent);

-- Values of a subscriber's own go before those of the plan, and these before the settings'. From expires_at on there is no class.
CREATE TABLE subscribers (
  id             text COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
  name           text,
  site           text COLLATE "C" REFERENCES sites ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  plan           text COLLATE "C" REFERENCES plans ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  expires_at     timestamptz,
  down_rate      weir_quantity,
  down_ceil      weir_quantity,
  down_burst     weir_quantity,
  down_cburst    weir_quantity,
  down_quantum   weir_quantity,
  down_prio      integer CHECK (down_prio BETWEEN 0 AND 7),
  up_rate        weir_quantity,
  up_ceil        weir_quantity,
  up_burst       weir_quantity,
  up_cburst      weir_quantity,
  up_quantum     weir_quantity,
  up_prio        integer CHECK (up_prio BETWEEN 0 AND 7),
  leaf           text CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  limit_packets  integer CHECK (limit_packets BETWEEN 1 AND 1000000),
  limit_bytes    weir_quantity,
  codel_target   weir_quantity,
  codel_interval weir_quantity,
  flows          integer CHECK (flows BETWEEN 1 AND 65536),
  memory         weir_quantity,
  ecn            boolean,
  isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  wash           boolean
);
CREATE INDEX subscribers_site ON subscribers (site);
CREATE INDEX subscribers_plan ON subscribers (plan);

-- One row an address or prefix of either family. cidr knows that 2001:DB8::1 and 2001:db8::1 are one address, and takes
-- no prefix with host bits.
CREATE TABLE addresses (
  address    cidr PRIMARY KEY,
  subscriber text COLLATE "C" NOT NULL REFERENCES subscribers
             ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX addresses_subscriber ON addresses (subscriber);

-- ---- what changed, for weir's watch: NOTIFY weir_classes -----------------------------------------------------
-- The payload is a JSON array of subscribers' ids, or 'all'. PostgreSQL drops what a transaction says twice.

-- Who writes everything anew sets weir.quiet for the transaction and says 'all' once.
CREATE FUNCTION weir_notify_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('weir.quiet', true), '') <> 'on' THEN PERFORM pg_notify('weir_classes', 'all'); END IF;
  RETURN NULL;
END $$;

-- A payload must stay below 8000 bytes; more than 5000 subscribers are read faster with all the others.
CREATE FUNCTION weir_notify_ids(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE payload text;
BEGIN
  IF cardinality(ids) > 5000 THEN PERFORM pg_notify('weir_classes', 'all'); RETURN; END IF;
  FOR start IN 1 .. cardinality(ids) BY 50 LOOP
    payload := to_json(ids[start : start + 49])::text;
    IF octet_length(payload) > 7900 THEN payload := 'all'; END IF;
    PERFORM pg_notify('weir_classes', payload);
  END LOOP;
END $$;

-- For subscribers the argument is 'id', for addresses 'subscriber'. A row that was written but not changed says nothing.
CREATE FUNCTION weir_notify_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids text[];
BEGIN
  IF coalesce(current_setting('weir.quiet', true), '') = 'on' THEN RETURN NULL; END IF;
  -- 5001 ids are enough to know that there are more than 5000.
  IF TG_OP = 'UPDATE' AND TG_ARGV[0] = 'id' THEN
    SELECT array_agg(id) INTO ids FROM (SELECT DISTINCT id FROM (
      (TABLE new_rows EXCEPT TABLE old_rows) UNION ALL (TABLE old_rows EXCEPT TABLE new_rows)) AS changed LIMIT 5001) AS first_ones;
  ELSIF TG_OP = 'UPDATE' THEN
    SELECT array_agg(subscriber) INTO ids FROM (SELECT DISTINCT subscriber FROM (
      (TABLE new_rows EXCEPT TABLE old_rows) UNION ALL (TABLE old_rows EXCEPT TABLE new_rows)) AS changed LIMIT 5001) AS first_ones;
  ELSIF TG_OP = 'INSERT' AND TG_ARGV[0] = 'id' THEN
    SELECT array_agg(id) INTO ids FROM (SELECT id FROM new_rows LIMIT 5001) AS first_ones;
  ELSIF TG_OP = 'INSERT' THEN
    SELECT array_agg(subscriber) INTO ids FROM (SELECT DISTINCT subscriber FROM new_rows LIMIT 5001) AS first_ones;
  ELSIF TG_ARGV[0] = 'id' THEN
    SELECT array_agg(id) INTO ids FROM (SELECT id FROM old_rows LIMIT 5001) AS first_ones;
  ELSE
    SELECT array_agg(subscriber) INTO ids FROM (SELECT DISTINCT subscriber FROM old_rows LIMIT 5001) AS first_ones;
  END IF;
  PERFORM weir_notify_ids(coalesce(ids, ARRAY[]::text[]));
  RETURN NULL;
END $$;

CREATE TRIGGER weir_subscribers_insert AFTER INSERT ON subscribers REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('id');
CREATE TRIGGER weir_subscribers_update AFTER UPDATE ON subscribers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('id');
CREATE TRIGGER weir_subscribers_delete AFTER DELETE ON subscribers REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('id');
CREATE TRIGGER weir_subscribers_truncate AFTER TRUNCATE ON subscribers
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_all();

CREATE TRIGGER weir_addresses_insert AFTER INSERT ON addresses REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('subscriber');
CREATE TRIGGER weir_addresses_update AFTER UPDATE ON addresses REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('subscriber');
CREATE TRIGGER weir_addresses_delete AFTER DELETE ON addresses REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_changed('subscriber');
CREATE TRIGGER weir_addresses_truncate AFTER TRUNCATE ON addresses
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_all();

-- Plans, sites and settings touch anybody.
CREATE TRIGGER weir_plans_write AFTER INSERT OR DELETE ON plans
  FOR EACH ROW EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_plans_update AFTER UPDATE ON plans
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_plans_truncate AFTER TRUNCATE ON plans
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_sites_write AFTER INSERT OR DELETE ON sites
  FOR EACH ROW EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_sites_update AFTER UPDATE ON sites
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_sites_truncate AFTER TRUNCATE ON sites
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_settings_write AFTER INSERT OR DELETE ON settings
  FOR EACH ROW EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_settings_update AFTER UPDATE ON settings
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION weir_notify_all();
CREATE TRIGGER weir_settings_truncate AFTER TRUNCATE ON settings
  FOR EACH STATEMENT EXECUTE FUNCTION weir_notify_all();
