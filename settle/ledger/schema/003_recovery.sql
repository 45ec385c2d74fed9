-- Recovery of a rain's pool in Redis. state: 1 begun, 2 waits, 3 drains, 4 applies, 5 done, 6 void (Redis changed meanwhile).
-- run: run id of the Redis it recovers into. wait_until: by this database's clock.
CREATE TABLE rp_fence (
    id BIGINT NOT NULL AUTO_INCREMENT,
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state TINYINT NOT NULL DEFAULT 1,
    kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    run VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    wait_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    PRIMARY KEY (id),
    KEY ix_code (code, id),
    KEY ix_state (state),
    CONSTRAINT ck_fence_state CHECK (state BETWEEN 1 AND 6)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Where each partition ended when the wait was over: up to there the settlers must come.
CREATE TABLE rp_fence_end (
    fence BIGINT NOT NULL,
    topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    part INT NOT NULL,
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    PRIMARY KEY (fence, topic, part)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Per shard that was lost: from which rid to which. floor: packets below it are granted; set in the transaction that writes
-- new_rid into rp_escrow. From then on records of old_rid are stale.
CREATE TABLE rp_fence_shard (
    fence BIGINT NOT NULL,
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shard INT NOT NULL,
    old_rid VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    new_rid VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    floor INT NULL,
    PRIMARY KEY (fence, shard),
    KEY ix_old (code, shard, old_rid),
    CONSTRAINT ck_fence_floor CHECK (floor IS NULL OR floor >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
