/* limits.h - sizes and ranges that both ends of a wire agree on. Checked where bytes are decoded.
 */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

#include <stdint.h>

enum {
    RR_VIEWER_MESSAGE_MAX_BYTES = 4096, /* one whole client message, over all its fragments */
    RR_PAYLOAD_MAX_BYTES = 16 * 1024,   /* payload of one push */
    RR_DEPTH_MAX = 8,                   /* nesting of any msgpack value from a peer */
    RR_PAIRS_MAX = 64,                  /* keys in a message body or record, unknown ones too */
    RR_CODE_LEN = 22,                   /* 128 random bits, base64url without padding */
    RR_ROOM_ID_MAX = 64,                /* [A-Za-z0-9_-]{1,64} */
    RR_BIZ_CODE_MAX = 32,               /* [A-Z0-9_]{1,32} */
    RR_BIZ_ID_MAX = 64,                 /* printable ASCII without space */
    RR_TEXT_MAX_BYTES = 200,            /* chat, announcement, blessing; UTF-8 */
    RR_NAME_MAX_BYTES = 64,             /* nickname; UTF-8 */
    RR_RID_LEN = 40,                    /* Redis run id, hex */
    RR_SHARDS_MAX = 64,
    RR_PACKETS_MAX = 1000000,  /* per rain */
    RR_GRANT_LIMIT_MAX = 1000, /* packets per user and rain */
    RR_USERS_MAX = 5000,       /* named users of one packet */
    RR_USERS_TEXT_MAX = 2400,  /* the same in a frame of a client: ids joined by commas */
    RR_FU_CARDS = 5,           /* kinds of cards of a campaign */
    RR_FU_LIST_MAX = 64,       /* five numbers joined by commas */
    RR_NEW_USER_DAYS_MAX = 3650,
    RR_COUNTDOWN_MAX_MS = 3600 * 1000,
    RR_DURATION_MIN_MS = 1000,
    RR_DURATION_MAX_MS = 24 * 3600 * 1000,
};

/* How far ahead a rain may be scheduled, and how long a packet may stay open. */
#define RR_EXPIRE_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

/* Largest amount of money in one rain or one transfer: 10 billion yuan, far below overflow of any
 * sum. */
#define RR_FEN_MAX INT64_C(1000000000000)

#endif
