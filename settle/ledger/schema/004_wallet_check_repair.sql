-- The wallet service, the checker's findings, the repair log.

-- Before and after of every wallet row; the one follows from the other.
ALTER TABLE account_log
    ADD COLUMN balance_before BIGINT GENERATED ALWAYS AS (balance_after - delta) VIRTUAL,
    ADD KEY ix_account (account_id, id);

-- One row per biz id, kept for ever: the payload it stood for and the answer, byte for byte. of_biz_id: the freeze or debit that an
-- unfreeze or refund gives back.
CREATE TABLE rp_wallet_op (
    biz_id VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    op VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    to_user_id BIGINT NULL,
    amount BIGINT NOT NULL,
    of_biz_id VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NULL,
    payload_hash BINARY(32) NOT NULL,
    answer VARCHAR(400) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (biz_id),
    KEY ix_of (of_biz_id),
    KEY ix_user (user_id, created_at),
    CONSTRAINT ck_op_amount CHECK (amount > 0 AND user_id > 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Deposits made before this table.
INSERT INTO rp_wallet_op (biz_id, op, user_id, amount, payload_hash, answer, created_at)
    SELECT a.biz_id, 'deposit', CAST(a.account_id AS SIGNED), a.delta,
        UNHEX(SHA2(CONCAT('deposit|', a.account_id, '|0|', a.delta, '|'), 256)),
        CONCAT('{"result":0,"name":"OK","op":"deposit","user":"', a.account_id, '","amount":', a.delta, ',"balance":',
            a.balance_after, ',"frozen":0,"at":', a.created_at, '}\n'),
        a.created_at
    FROM account_log a WHERE a.biz_type = 'deposit' AND a.leg = 1;

-- Who does a periodic job next; next_at by the database's clock.
CREATE TABLE rp_lease (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    next_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO rp_lease (name) VALUES ('checker');

-- kind: 'full', 'quick' (ended rains that were clean within a day are left out), 'note' (something from outside the books).
ALTER TABLE rp_check ADD COLUMN kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'full';

CREATE TABLE rp_finding (
    id BIGINT NOT NULL AUTO_INCREMENT,
    check_id BIGINT NOT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    invariant VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fen BIGINT NOT NULL DEFAULT 0,
    text VARCHAR(200) NOT NULL,
    PRIMARY KEY (id),
    KEY ix_check (check_id),
    KEY ix_code (code)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Ended rains that a check of their amounts and grants found clean, and when.
CREATE TABLE rp_checked (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checked_at BIGINT NOT NULL,
    PRIMARY KEY (code)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- What redrainctl repair did: one row per applied proposal.
CREATE TABLE rp_repair (
    id BIGINT NOT NULL AUTO_INCREMENT,
    plan CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    kind VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    biz_type VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    biz_id VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NULL,
    amount BIGINT NOT NULL DEFAULT 0,
    finding VARCHAR(300) NOT NULL,
    state_before VARCHAR(300) NOT NULL,
    state_after VARCHAR(300) NOT NULL,
    who VARCHAR(64) NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_repair (kind, biz_id),
    KEY ix_code (code)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
