-- Which programs a schema still serves: those that know version compatible_from. A file that only adds leaves it at 1; one that
-- takes something away says "-- compatible_from: N" in its first line, where N is the version that no longer needed it.
ALTER TABLE rp_schema ADD COLUMN compatible_from INT NOT NULL DEFAULT 1;
