-- What the next version adds.
ALTER TABLE rp_grant ADD COLUMN next_note VARCHAR(16) NULL;
