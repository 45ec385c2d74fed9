-- What the console shows beside the books.

-- Who did what in a room: written before the action, completed after it. user_id 0: the platform's backend. result: name of the
-- result code; NULL: the process ended in between, the books say how far it came. Rows are never changed otherwise, nor deleted.
CREATE TABLE rp_audit (
    id BIGINT NOT NULL AUTO_INCREMENT,
    room_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id BIGINT NOT NULL,
    action VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code VARCHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    detail VARCHAR(240) NOT NULL DEFAULT '',
    result VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    PRIMARY KEY (id),
    KEY ix_room (room_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- An anchor's templates; spec: whatever the page keeps there.
CREATE TABLE rp_template (
    user_id BIGINT NOT NULL,
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    spec VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
