-- A campaign may fail: state 5, the pool went back although there were winners, because their packet could not be made. end_reason says
-- why, as the ledger put it; empty for every other state.
ALTER TABLE fu_campaign DROP CONSTRAINT ck_fu_state;
ALTER TABLE fu_campaign ADD COLUMN end_reason VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    ADD CONSTRAINT ck_fu_state CHECK (state BETWEEN 1 AND 5 AND (state = 3) = (rain_code IS NOT NULL)
        AND (state <= 2) = (open_room IS NOT NULL) AND (state = 5) = (end_reason <> ''));
