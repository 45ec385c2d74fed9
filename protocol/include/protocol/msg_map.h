/* msg_map.h - every message and every field: the one table from which the enum, the decoder,
 * docs/PROTOCOL.md and the JavaScript constants come. */
#ifndef PROTOCOL_MSG_MAP_H
#define PROTOCOL_MSG_MAP_H

/*        name        op  direction  what it is for */
#define MSG_MAP(X)                                                                                 \
    X(HELLO, 1, C2S, "first frame: the token")                                                     \
    X(JOIN, 2, C2S, "enter a room, with the position reached before if any")                       \
    X(LEAVE, 3, C2S, "leave the room")                                                             \
    X(PING, 4, C2S, "heartbeat and clock sample")                                                  \
    X(GRAB, 5, C2S, "ask for the seq-th packet of a rain")                                         \
    X(MY_GRANTS, 6, C2S, "what I was granted")                                                     \
    X(SAY, 7, C2S, "room chat")                                                                    \
    X(SEND, 8, C2S, "who may send: a packet into the room or to named users, open at once")        \
    X(MY_SENT, 9, C2S, "what I sent, with what came back")                                         \
    X(REFRESH, 10, C2S,                                                                            \
      "a newer token of the same user: the connection outlives the first one's exp")               \
    X(FU_DRAW, 11, C2S, "five cards: draw one for an event of the room")                           \
    X(FU_JOIN, 12, C2S, "five cards: hand in one of each and join the pool")                       \
    X(FU_GIVE, 13, C2S, "five cards: give one to another user")                                    \
    X(FU_MINE, 14, C2S, "five cards: the room's campaign and what I hold")                         \
    X(CREATE, 32, C2S, "anchor: create a rain, freezes the money")                                 \
    X(PREPARE, 33, C2S, "anchor: fill the pool")                                                   \
    X(START, 34, C2S, "anchor: start the countdown")                                               \
    X(EXTEND, 35, C2S, "anchor: move the end")                                                     \
    X(CLOSE, 36, C2S, "anchor: end it now and settle")                                             \
    X(CANCEL, 37, C2S, "anchor: give up a rain that has not opened yet")                           \
    X(ANNOUNCE, 38, C2S, "anchor: message to the room")                                            \
    X(KICK, 39, C2S, "anchor: close a user's sockets in the room")                                 \
    X(MUTE, 40, C2S, "anchor: forbid a user to chat")                                              \
    X(STATS, 41, C2S, "anchor: live figures")                                                      \
    X(WINNERS, 43, C2S, "anchor: who got a packet of a rain, page by page or of one user")         \
    X(AUDIT, 44, C2S, "anchor: who did what in the room, newest first")                            \
    X(TEMPLATES, 45, C2S, "anchor: his own templates of rains; reads, keeps or removes one")       \
    X(CHECK, 46, C2S, "anchor: what the checker of the books says of a rain that is over")         \
    X(FU_CREATE, 50, C2S, "anchor: begin a campaign of five cards, takes the pool's money")        \
    X(FU_CANCEL, 51, C2S, "anchor: give a campaign up that nobody joined yet")                     \
    X(REPLY, 64, S2C, "answer to the request with the same id")                                    \
    X(PUSH, 65, S2C, "something happened in the room or to the user")                              \
    X(GOAWAY, 66, S2C, "reconnect within delay_ms, this server is leaving")

/* Body fields of client messages. Types: STR (slice), INT (int64), BOOL, USER (decimal string ->
 * int64). message    key           type  needed    min  max (bytes for STR, value for INT) */
#define MSG_FIELD_MAP(X)                                                                           \
    X(HELLO, hello, token, STR, OPTIONAL, 1, 4000)                                                 \
    X(HELLO, hello, ver, INT, OPTIONAL, 1, 1000)                                                   \
    X(JOIN, join, room, STR, REQUIRED, 1, RR_ROOM_ID_MAX)                                          \
    X(JOIN, join, epoch, STR, OPTIONAL, 16, 16)                                                    \
    X(JOIN, join, seq, INT, OPTIONAL, 0, INT64_MAX)                                                \
    X(PING, ping, t0, INT, REQUIRED, 0, INT64_MAX)                                                 \
    X(GRAB, grab, code, STR, REQUIRED, 1, 64)                                                      \
    X(GRAB, grab, seq, INT, REQUIRED, 0, RR_GRANT_LIMIT_MAX)                                       \
    X(GRAB, grab, again, BOOL, OPTIONAL, 0, 1)                                                     \
    X(MY_GRANTS, my_grants, code, STR, OPTIONAL, 1, 64)                                            \
    X(MY_GRANTS, my_grants, before, INT, OPTIONAL, 0, INT64_MAX)                                   \
    X(SAY, say, text, STR, REQUIRED, 1, RR_TEXT_MAX_BYTES)                                         \
    X(MY_SENT, my_sent, before, STR, OPTIONAL, 1, 64)                                              \
    X(REFRESH, refresh, token, STR, REQUIRED, 1, 4000)                                             \
    X(CREATE, create, biz_id, STR, REQUIRED, 1, RR_BIZ_ID_MAX)                                     \
    X(CREATE, create, total, INT, REQUIRED, INT64_MIN, INT64_MAX)                                  \
    X(CREATE, create, count, INT, REQUIRED, INT64_MIN, INT64_MAX)                                  \
    X(CREATE, create, split, STR, OPTIONAL, 1, 32)                                                 \
    X(CREATE, create, limit, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                  \
    X(CREATE, create, lo, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                     \
    X(CREATE, create, hi, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                     \
    X(CREATE, create, shards, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                 \
    X(CREATE, create, duration_ms, INT, OPTIONAL, INT64_MIN, INT64_MAX)                            \
    X(CREATE, create, text, STR, OPTIONAL, 0, RR_TEXT_MAX_BYTES)                                   \
    X(CREATE, create, kind, STR, OPTIONAL, 1, 16)                                                  \
    X(CREATE, create, users, STR, OPTIONAL, 0, RR_USERS_TEXT_MAX)                                  \
    X(CREATE, create, start_at, INT, OPTIONAL, 0, INT64_MAX)                                       \
    X(CREATE, create, expire_at, INT, OPTIONAL, 0, INT64_MAX)                                      \
    X(CREATE, create, random, BOOL, OPTIONAL, 0, 1)                                                \
    X(SEND, send, biz_id, STR, REQUIRED, 1, RR_BIZ_ID_MAX)                                         \
    X(SEND, send, kind, STR, REQUIRED, 1, 16)                                                      \
    X(SEND, send, total, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                      \
    X(SEND, send, count, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                      \
    X(SEND, send, split, STR, OPTIONAL, 1, 32)                                                     \
    X(SEND, send, lo, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                         \
    X(SEND, send, hi, INT, OPTIONAL, INT64_MIN, INT64_MAX)                                         \
    X(SEND, send, text, STR, OPTIONAL, 0, RR_TEXT_MAX_BYTES)                                       \
    X(SEND, send, users, STR, OPTIONAL, 0, RR_USERS_TEXT_MAX)                                      \
    X(SEND, send, expire_at, INT, OPTIONAL, 0, INT64_MAX)                                          \
    X(SEND, send, random, BOOL, OPTIONAL, 0, 1)                                                    \
    X(FU_DRAW, fu_draw, code, STR, REQUIRED, 1, 64)                                                \
    X(FU_DRAW, fu_draw, event, STR, REQUIRED, 1, 16)                                               \
    X(FU_DRAW, fu_draw, rain, STR, OPTIONAL, 1, 64)                                                \
    X(FU_JOIN, fu_join, code, STR, REQUIRED, 1, 64)                                                \
    X(FU_GIVE, fu_give, code, STR, REQUIRED, 1, 64)                                                \
    X(FU_GIVE, fu_give, biz_id, STR, REQUIRED, 1, RR_BIZ_ID_MAX)                                   \
    X(FU_GIVE, fu_give, card, INT, REQUIRED, 1, RR_FU_CARDS)                                       \
    X(FU_GIVE, fu_give, to, USER, REQUIRED, 1, 20)                                                 \
    X(FU_CREATE, fu_create, biz_id, STR, REQUIRED, 1, RR_BIZ_ID_MAX)                               \
    X(FU_CREATE, fu_create, pool, INT, REQUIRED, INT64_MIN, INT64_MAX)                             \
    X(FU_CREATE, fu_create, share_at, INT, REQUIRED, 0, INT64_MAX)                                 \
    X(FU_CREATE, fu_create, text, STR, OPTIONAL, 0, RR_TEXT_MAX_BYTES)                             \
    X(FU_CREATE, fu_create, split, STR, OPTIONAL, 1, 32)                                           \
    X(FU_CREATE, fu_create, winners, INT, OPTIONAL, INT64_MIN, INT64_MAX)                          \
    X(FU_CREATE, fu_create, day_draws, INT, OPTIONAL, INT64_MIN, INT64_MAX)                        \
    X(FU_CREATE, fu_create, day_gifts, INT, OPTIONAL, INT64_MIN, INT64_MAX)                        \
    X(FU_CREATE, fu_create, weights, STR, OPTIONAL, 1, RR_FU_LIST_MAX)                             \
    X(FU_CREATE, fu_create, stock, STR, OPTIONAL, 1, RR_FU_LIST_MAX)                               \
    X(FU_CANCEL, fu_cancel, code, STR, REQUIRED, 1, 64)                                            \
    X(PREPARE, prepare, code, STR, REQUIRED, 1, 64)                                                \
    X(START, start, code, STR, REQUIRED, 1, 64)                                                    \
    X(START, start, countdown_ms, INT, OPTIONAL, 0, RR_COUNTDOWN_MAX_MS)                           \
    X(START, start, duration_ms, INT, OPTIONAL, RR_DURATION_MIN_MS, RR_DURATION_MAX_MS)            \
    X(EXTEND, extend, code, STR, REQUIRED, 1, 64)                                                  \
    X(EXTEND, extend, add_ms, INT, REQUIRED, 1, RR_DURATION_MAX_MS)                                \
    X(CLOSE, close, code, STR, REQUIRED, 1, 64)                                                    \
    X(CANCEL, cancel, code, STR, REQUIRED, 1, 64)                                                  \
    X(ANNOUNCE, announce, text, STR, REQUIRED, 1, RR_TEXT_MAX_BYTES)                               \
    X(KICK, kick, user, USER, REQUIRED, 1, 20)                                                     \
    X(KICK, kick, secs, INT, OPTIONAL, 0, 86400)                                                   \
    X(MUTE, mute, user, USER, REQUIRED, 1, 20)                                                     \
    X(MUTE, mute, secs, INT, REQUIRED, 0, 86400)                                                   \
    X(STATS, stats, code, STR, OPTIONAL, 1, 64)                                                    \
    X(WINNERS, winners, code, STR, REQUIRED, 1, 64)                                                \
    X(WINNERS, winners, user, USER, OPTIONAL, 1, 20)                                               \
    X(WINNERS, winners, after_shard, INT, OPTIONAL, 0, RR_SHARDS_MAX)                              \
    X(WINNERS, winners, after_no, INT, OPTIONAL, 0, RR_PACKETS_MAX)                                \
    X(WINNERS, winners, limit, INT, OPTIONAL, 1, 500)                                              \
    X(AUDIT, audit, before, INT, OPTIONAL, 1, INT64_MAX)                                           \
    X(TEMPLATES, templates, name, STR, OPTIONAL, 1, RR_NAME_MAX_BYTES)                             \
    X(TEMPLATES, templates, spec, STR, OPTIONAL, 1, 1000)                                          \
    X(CHECK, check, code, STR, REQUIRED, 1, 64)

/*        biz code           lane   what its payload says */
#define BIZ_MAP(X)                                                                                 \
    X(RED_PACKET_CONFIG, "a rain is coming: countdown, numbers, hash of the seed")                 \
    X(RED_PACKET_TICK, "how much is gone, latest wins, no seq")                                    \
    X(RED_PACKET_END, "the rain is over")                                                          \
    X(RED_PACKET_STATE, "a rain pauses for its recovery, goes on, or ends by it")                  \
    X(RED_PACKET_RESULT, "the books of the rain, from SQL; reveals the seed")                      \
    X(RED_PACKET_CANCEL, "a rain was given up")                                                    \
    X(ROOM_COUNT, "viewers online, latest wins, no seq")                                           \
    X(GRANT_SETTLED, "to the user: a grant reached the wallet")                                    \
    X(GRAB_RESULT, "to the user: final answer of a grab that was PENDING")                         \
    X(INVITE, "to a named user: a packet for you is in that room")                                 \
    X(SENT_REPORT, "to the sender: how a packet of his ended, with what came back")                \
    X(FU_CAMPAIGN, "a campaign of five cards began, or ended: kept for late joiners")              \
    X(FU_CARD, "to the user: somebody gave him a card")                                            \
    X(SAY, "room chat, latest wins, no seq")                                                       \
    X(ANNOUNCE, "message of the anchor")                                                           \
    X(MUTED, "to the user: may not chat for secs")                                                 \
    X(KICKED, "to the user: closed by the anchor")

#endif
