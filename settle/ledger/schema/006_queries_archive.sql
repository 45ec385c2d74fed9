-- Indexes for what runs all the time, and a place for rains that are long over.

ALTER TABLE t_red_packet_config
    ADD COLUMN settled_at BIGINT NULL,
    ADD KEY ix_settled (settled_at, id);

-- Rains that ended before this column.
UPDATE t_red_packet_config c JOIN rp_task t
    ON t.biz_id = CONVERT(CONCAT(IF(c.status = 5, 'result:', 'cancel:'), c.config_code) USING ascii) COLLATE ascii_bin
    SET c.settled_at = t.created_at WHERE c.status IN (5, 6);

ALTER TABLE rp_task ADD KEY ix_code (code, state);

-- A record is put aside once: its bytes are looked for.
ALTER TABLE rp_dead ADD KEY ix_origin (topic, part, raw(128));

-- Decisions of one rain, newest first.
ALTER TABLE rp_risk ADD KEY ix_code (code, id);

-- The same columns, keys and checks, for rains that were moved out. account_log is not moved: it is the history of every wallet.
CREATE TABLE t_red_packet_config_archive LIKE t_red_packet_config;
CREATE TABLE rp_escrow_archive LIKE rp_escrow;
CREATE TABLE rp_grant_archive LIKE rp_grant;

-- state: 1 being copied (the live rows hold), 2 moved (the archive holds, live grants are being deleted), 3 done.
CREATE TABLE rp_archive (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state TINYINT NOT NULL,
    grants BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL,
    moved_at BIGINT NULL,
    PRIMARY KEY (code),
    KEY ix_state (state, code),
    CONSTRAINT ck_archive_state CHECK (state BETWEEN 1 AND 3)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
