-- Who may not come in. scope: 'user' (subject: the user id) or 'address' (subject: keyed hash in hex, never the address).
-- A row is never deleted: what was lifted or has ended stays as the record of who did what, when and why.
CREATE TABLE rp_ban (
    id BIGINT NOT NULL AUTO_INCREMENT,
    scope VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(200) NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    until_at BIGINT NULL,
    lifted_at BIGINT NULL,
    lifted_by VARCHAR(64) NULL,
    PRIMARY KEY (id),
    KEY ix_subject (scope, subject, id),
    KEY ix_open (lifted_at, until_at),
    CONSTRAINT ck_ban_scope CHECK (scope IN ('user', 'address'))
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
