-- From version 1 of weir's reference schema to version 2: what a queue can be told beyond its kind and its limits, and what
-- the settings say of all classes.

ALTER TABLE settings ADD COLUMN link_layer     TEXT CHECK (link_layer IN ('ethernet', 'atm', 'ptm'));
ALTER TABLE settings ADD COLUMN leaf           TEXT CHECK (leaf IN ('pfifo', 'fq_codel', 'codel'));
ALTER TABLE settings ADD COLUMN limit_packets  INTEGER CHECK (limit_packets BETWEEN 1 AND 1000000);
ALTER TABLE settings ADD COLUMN limit_bytes    NUMERIC CHECK (limit_bytes NOT LIKE '-%');
ALTER TABLE settings ADD COLUMN codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%');
ALTER TABLE settings ADD COLUMN codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%');
ALTER TABLE settings ADD COLUMN flows          INTEGER CHECK (flows BETWEEN 1 AND 65536);
ALTER TABLE settings ADD COLUMN memory         NUMERIC CHECK (memory NOT LIKE '-%');
ALTER TABLE settings ADD COLUMN ecn            INTEGER CHECK (ecn IN (0, 1));
ALTER TABLE settings ADD COLUMN isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual'));
ALTER TABLE settings ADD COLUMN diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4'));
ALTER TABLE settings ADD COLUMN wash           INTEGER CHECK (wash IN (0, 1));

ALTER TABLE plans ADD COLUMN codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%');
ALTER TABLE plans ADD COLUMN codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%');
ALTER TABLE plans ADD COLUMN flows          INTEGER CHECK (flows BETWEEN 1 AND 65536);
ALTER TABLE plans ADD COLUMN memory         NUMERIC CHECK (memory NOT LIKE '-%');
ALTER TABLE plans ADD COLUMN ecn            INTEGER CHECK (ecn IN (0, 1));
ALTER TABLE plans ADD COLUMN isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual'));
ALTER TABLE plans ADD COLUMN diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4'));
ALTER TABLE plans ADD COLUMN wash           INTEGER CHECK (wash IN (0, 1));

ALTER TABLE subscribers ADD COLUMN codel_target   NUMERIC CHECK (codel_target NOT LIKE '-%');
ALTER TABLE subscribers ADD COLUMN codel_interval NUMERIC CHECK (codel_interval NOT LIKE '-%');
ALTER TABLE subscribers ADD COLUMN flows          INTEGER CHECK (flows BETWEEN 1 AND 65536);
ALTER TABLE subscribers ADD COLUMN memory         NUMERIC CHECK (memory NOT LIKE '-%');
ALTER TABLE subscribers ADD COLUMN ecn            INTEGER CHECK (ecn IN (0, 1));
ALTER TABLE subscribers ADD COLUMN isolate        TEXT CHECK (isolate IN ('none', 'host', 'dual'));
ALTER TABLE subscribers ADD COLUMN diffserv       TEXT CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4'));
ALTER TABLE subscribers ADD COLUMN wash           INTEGER CHECK (wash IN (0, 1));

UPDATE weir_schema SET version = 2;
