-- Kinds of packets, who may have them, when they start and expire. Times are ms since 1970, new_since is in seconds.
-- called_off: cancelled in its countdown; it ends CANCELLED if nothing was granted.
-- anchor_id is 0 for packets whose sender is not the anchor of the room.

ALTER TABLE t_red_packet_config
    ADD COLUMN start_at BIGINT NULL,
    ADD COLUMN expire_at BIGINT NULL,
    ADD COLUMN min_level INT NOT NULL DEFAULT 0,
    ADD COLUMN new_since BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN list_count INT NOT NULL DEFAULT 0,
    ADD COLUMN called_off TINYINT NOT NULL DEFAULT 0,
    ADD KEY ix_sender (sender_id, id),
    ADD KEY ix_status_sender (status, sender_id),
    ADD KEY ix_status_room (status, room_id);

-- The named users of a packet; never changed.
CREATE TABLE rp_rain_user (
    code CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (code, user_id),
    CONSTRAINT ck_rain_user CHECK (user_id > 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- What a sender put into marketing packets in a day. Refunds do not give it back: it bounds what may leave his wallet in a day.
CREATE TABLE rp_budget (
    sender_id BIGINT NOT NULL,
    day INT NOT NULL,
    spent BIGINT NOT NULL,
    cap BIGINT NOT NULL,
    PRIMARY KEY (sender_id, day),
    CONSTRAINT ck_budget CHECK (spent >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
