-- The books. Money is BIGINT fen, times are ms since 1970. One statement per semicolon at a line's end.

CREATE TABLE t_red_packet_config (
    id BIGINT NOT NULL AUTO_INCREMENT,
    anchor_id BIGINT NOT NULL,
    total_price BIGINT NOT NULL,
    total_count INT NOT NULL,
    config_code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status TINYINT NOT NULL,
    total_get INT NOT NULL DEFAULT 0,
    total_get_price BIGINT NOT NULL DEFAULT 0,
    max_get_price BIGINT NOT NULL DEFAULT 0,
    sender_id BIGINT NOT NULL,
    room_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'rain',
    split TINYINT NOT NULL,
    split_ver INT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    limit_per_user INT NOT NULL,
    shards INT NOT NULL,
    seed BINARY(32) NOT NULL,
    seed_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    t0 BIGINT NULL,
    t1 BIGINT NULL,
    duration_ms BIGINT NOT NULL,
    text VARCHAR(200) NOT NULL DEFAULT '',
    req_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_hash BINARY(32) NOT NULL,
    ver INT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    sold_out_at BIGINT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_config_code (config_code),
    UNIQUE KEY uk_sender_req (sender_id, req_id),
    KEY ix_room (room_id, id),
    KEY ix_status (status, id),
    CONSTRAINT ck_config_total CHECK (total_price > 0 AND total_count > 0 AND shards > 0),
    CONSTRAINT ck_config_status CHECK (status BETWEEN 1 AND 6),
    CONSTRAINT ck_config_get CHECK (total_get BETWEEN 0 AND total_count
        AND total_get_price BETWEEN 0 AND total_price)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- A rain's money, per shard, is only here: never also in wallet.frozen.
CREATE TABLE rp_escrow (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shard INT NOT NULL,
    total BIGINT NOT NULL,
    remain BIGINT NOT NULL,
    settled BIGINT NOT NULL DEFAULT 0,
    settled_cnt INT NOT NULL DEFAULT 0,
    refunded BIGINT NOT NULL DEFAULT 0,
    granted_k INT NULL,
    rid VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL,
    amounts_hash CHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (code, shard),
    CONSTRAINT ck_escrow_sum CHECK (total = remain + settled + refunded),
    CONSTRAINT ck_escrow_remain CHECK (remain >= 0 AND settled >= 0 AND refunded >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- state: 1 settled, 2 held (in wallet.frozen), 3 void (nobody has it, refunded; user and seq are NULL).
CREATE TABLE rp_grant (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shard INT NOT NULL,
    packet_no INT NOT NULL,
    user_id BIGINT NULL,
    seq INT NULL,
    amount BIGINT NOT NULL,
    state TINYINT NOT NULL,
    granted_at BIGINT NOT NULL,
    settled_at BIGINT NOT NULL,
    PRIMARY KEY (code, shard, packet_no),
    UNIQUE KEY uk_user_seq (code, user_id, seq),
    KEY ix_user (user_id, granted_at),
    CONSTRAINT ck_grant_amount CHECK (amount > 0 AND packet_no >= 0),
    CONSTRAINT ck_grant_user CHECK ((state IN (1, 2) AND user_id IS NOT NULL AND user_id > 0
        AND seq IS NOT NULL AND seq >= 0) OR (state = 3 AND user_id IS NULL AND seq IS NULL))
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE wallet (
    user_id BIGINT NOT NULL,
    balance BIGINT NOT NULL DEFAULT 0,
    frozen BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id),
    CONSTRAINT ck_wallet CHECK (user_id > 0 AND balance >= 0 AND frozen >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Double entry: the legs of one (biz_type, biz_id) sum to 0. account_id is the user of balance and frozen, code:shard of
-- escrow, a name else. balance_after is kept for wallets only: the other accounts are the sum of their legs.
CREATE TABLE account_log (
    id BIGINT NOT NULL AUTO_INCREMENT,
    account_kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    account_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    delta BIGINT NOT NULL,
    balance_after BIGINT NULL,
    biz_type VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    biz_id VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    leg INT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_biz (biz_type, biz_id, leg),
    CONSTRAINT ck_log_kind CHECK (account_kind IN ('balance', 'frozen', 'escrow', 'external', 'platform')),
    CONSTRAINT ck_log_after CHECK (balance_after IS NULL OR balance_after >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE rp_offset (
    topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    part INT NOT NULL,
    next_offset BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (topic, part),
    CONSTRAINT ck_offset CHECK (next_offset >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Poison and parked records, whole. state: 'open', 'parked' (code unknown so far, tried again), 'closed'.
CREATE TABLE rp_dead (
    id BIGINT NOT NULL AUTO_INCREMENT,
    topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NULL,
    part INT NULL,
    offs BIGINT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NULL,
    shard BIGINT NULL,
    packet_no BIGINT NULL,
    reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    raw MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT NULL,
    PRIMARY KEY (id),
    KEY ix_code (code, state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Records that contradict the books, whole and unpaid. state: 'open', 'closed'.
CREATE TABLE rp_conflict (
    id BIGINT NOT NULL AUTO_INCREMENT,
    topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NULL,
    part INT NULL,
    offs BIGINT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shard INT NOT NULL,
    packet_no INT NOT NULL,
    user_id BIGINT NOT NULL,
    seq INT NOT NULL,
    amount BIGINT NOT NULL,
    rid VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    raw MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT NULL,
    PRIMARY KEY (id),
    KEY ix_code (code, state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Steps of rains and local messages. state: 0 to do, 1 done. Tries have no end.
CREATE TABLE rp_task (
    id BIGINT NOT NULL AUTO_INCREMENT,
    biz_id VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    arg BIGINT NOT NULL DEFAULT 0,
    state TINYINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    ver INT NOT NULL DEFAULT 0,
    tries INT NOT NULL DEFAULT 0,
    last_error VARCHAR(200) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uk_biz (biz_id),
    KEY ix_due (state, next_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Runs of the checker: one row per run (code '' = all the books) with its findings.
CREATE TABLE rp_check (
    id BIGINT NOT NULL AUTO_INCREMENT,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    findings INT NOT NULL,
    unaccounted BIGINT NOT NULL,
    detail TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
