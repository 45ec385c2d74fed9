-- Collecting five cards: campaigns, the stock of each kind, what users drew, hold, gave, and who joined the pool.
-- state: 1 open, 2 closed and to be shared, 3 shared by the packet rain_code, 4 given back to the sender.
-- The pool's money is the platform account 'fu:<code>' of account_log until it is in an escrow or back in the wallet.
-- open_room: the room while state is 1 or 2, so that a room has one at a time. rain_req: the biz id of the packet, never told.
CREATE TABLE fu_campaign (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    room_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    open_room VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    sender_id BIGINT NOT NULL,
    anchor_id BIGINT NOT NULL DEFAULT 0,
    req_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_hash BINARY(32) NOT NULL,
    state TINYINT NOT NULL DEFAULT 1,
    pool BIGINT NOT NULL,
    split TINYINT NOT NULL,
    winners_max INT NOT NULL,
    winners INT NOT NULL DEFAULT 0,
    day_draws INT NOT NULL,
    day_gifts INT NOT NULL,
    share_at BIGINT NOT NULL,
    text VARCHAR(200) NOT NULL DEFAULT '',
    seed BINARY(32) NOT NULL,
    rain_req CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    rain_code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    PRIMARY KEY (code),
    UNIQUE KEY uk_sender_req (sender_id, req_id),
    UNIQUE KEY uk_open_room (open_room),
    UNIQUE KEY uk_rain (rain_code),
    KEY ix_room (room_id, created_at),
    CONSTRAINT ck_fu_state CHECK (state BETWEEN 1 AND 4 AND (state = 3) = (rain_code IS NOT NULL)
        AND (state <= 2) = (open_room IS NOT NULL)),
    CONSTRAINT ck_fu_winners CHECK (winners BETWEEN 0 AND winners_max AND winners_max <= pool)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE fu_stock (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    card TINYINT NOT NULL,
    weight INT NOT NULL,
    stock INT NOT NULL,
    left_n INT NOT NULL,
    issued INT NOT NULL DEFAULT 0,
    PRIMARY KEY (code, card),
    CONSTRAINT ck_fu_stock CHECK (card BETWEEN 1 AND 5 AND left_n >= 0 AND issued + left_n = stock)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- c1 to c5: how many of each kind the user holds. draws, gifts: of that day.
CREATE TABLE fu_user (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    day INT NOT NULL DEFAULT 0,
    draws INT NOT NULL DEFAULT 0,
    gifts INT NOT NULL DEFAULT 0,
    c1 INT NOT NULL DEFAULT 0,
    c2 INT NOT NULL DEFAULT 0,
    c3 INT NOT NULL DEFAULT 0,
    c4 INT NOT NULL DEFAULT 0,
    c5 INT NOT NULL DEFAULT 0,
    PRIMARY KEY (code, user_id),
    CONSTRAINT ck_fu_cards CHECK (c1 >= 0 AND c2 >= 0 AND c3 >= 0 AND c4 >= 0 AND c5 >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE fu_draw (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    event VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    card TINYINT NOT NULL,
    drawn_at BIGINT NOT NULL,
    PRIMARY KEY (code, user_id, event)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE fu_gift (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    from_user BIGINT NOT NULL,
    req_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    to_user BIGINT NOT NULL,
    card TINYINT NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (code, from_user, req_id),
    KEY ix_to (code, to_user, given_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Joining burns one card of each kind.
CREATE TABLE fu_join (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    joined_at BIGINT NOT NULL,
    PRIMARY KEY (code, user_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
