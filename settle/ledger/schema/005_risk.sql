-- Risk control: held grants, who held them back and why, and what became of them.

-- state 4 of a grant: it was held, and taken back to a named account by an appended reversal.
ALTER TABLE rp_grant DROP CONSTRAINT ck_grant_user;
ALTER TABLE rp_grant ADD CONSTRAINT ck_grant_user CHECK ((state IN (1, 2, 4) AND user_id IS NOT NULL AND user_id > 0
    AND seq IS NOT NULL AND seq >= 0) OR (state = 3 AND user_id IS NULL AND seq IS NULL));

-- What a user won on the last day he won anything: kept by the statement that pays him, so that the rule costs no statement.
ALTER TABLE wallet ADD COLUMN risk_day INT NOT NULL DEFAULT 0, ADD COLUMN risk_fen BIGINT NOT NULL DEFAULT 0;

-- A sender's rains of a day.
ALTER TABLE t_red_packet_config ADD KEY ix_sender_day (sender_id, created_at);

-- Every decision. decision: 'deny' (before the pop, or of a create), 'mark' (what the user wins there from now on is held),
-- 'hold' (one grant). state: 'done' of deny and mark; 'held', 'released', 'taken' of hold. seen: what the rule measured,
-- bound: what it allows. address: keyed hash, never the address.
CREATE TABLE rp_risk (
    id BIGINT NOT NULL AUTO_INCREMENT,
    decision VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    rule VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NULL,
    shard INT NULL,
    packet_no INT NULL,
    seq INT NULL,
    amount BIGINT NULL,
    seen BIGINT NOT NULL,
    bound BIGINT NOT NULL,
    address CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    account VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_packet (code, shard, packet_no),
    KEY ix_user (user_id, id),
    KEY ix_state (state, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Users whose grants of a rain are held, from a seq on. A worker commits the row before it lets such a grab through, so the
-- transaction that settles the grant always sees it.
CREATE TABLE rp_risk_mark (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    from_seq INT NOT NULL,
    rule VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    seen BIGINT NOT NULL,
    bound BIGINT NOT NULL,
    address CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (code, user_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
