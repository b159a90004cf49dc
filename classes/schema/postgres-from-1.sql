-- From version 1 of weir's reference schema to version 2: what a queue can be told beyond its kind and its limits, and what
-- the settings say of all classes.

ALTER TABLE settings
  ADD COLUMN link_layer     text CHECK (link_layer IN ('ethernet', 'atm', 'ptm')),
  ADD COLUMN leaf           text CHECK (leaf IN ('pfifo', 'fq_codel', 'codel')),
  ADD COLUMN limit_packets  integer CHECK (limit_packets BETWEEN 1 AND 1000000),
  ADD COLUMN limit_bytes    weir_quantity,
  ADD COLUMN codel_target   weir_quantity,
  ADD COLUMN codel_interval weir_quantity,
  ADD COLUMN flows          integer CHECK (flows BETWEEN 1 AND 65536),
  ADD COLUMN memory         weir_quantity,
  ADD COLUMN ecn            boolean,
  ADD COLUMN isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  ADD COLUMN diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  ADD COLUMN wash           boolean;

ALTER TABLE plans
  ADD COLUMN codel_target   weir_quantity,
  ADD COLUMN codel_interval weir_quantity,
  ADD COLUMN flows          integer CHECK (flows BETWEEN 1 AND 65536),
  ADD COLUMN memory         weir_quantity,
  ADD COLUMN ecn            boolean,
  ADD COLUMN isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  ADD COLUMN diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  ADD COLUMN wash           boolean;

ALTER TABLE subscribers
  ADD COLUMN codel_target   weir_quantity,
  ADD COLUMN codel_interval weir_quantity,
  ADD COLUMN flows          integer CHECK (flows BETWEEN 1 AND 65536),
  ADD COLUMN memory         weir_quantity,
  ADD COLUMN ecn            boolean,
  ADD COLUMN isolate        text CHECK (isolate IN ('none', 'host', 'dual')),
  ADD COLUMN diffserv       text CHECK (diffserv IN ('besteffort', 'diffserv3', 'diffserv4')),
  ADD COLUMN wash           boolean;

UPDATE weir_schema SET version = 2;
