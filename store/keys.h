/* keys.h - every name in Redis is made here (MONEY 2, ARCHITECTURE 5). Braces are Redis' hash tags:
 * what one script touches lives in one slot. All names carry the namespace in front. */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rain/pool.h"

enum { STORE_KEY_MAX = 224, STORE_NS_MAX = 32, STORE_NAME_MAX = 64 };

struct store_key {
    char s[STORE_KEY_MAX];
};

/* redpkt:{code:s}:<part>, part list, state, users, outbox, sweep, tmp:… */
struct store_key key_pool(const char *ns, const struct pool_shard *at, const char *part);
/* redpkt:<name>:{code}, name init:lock, prepare:ok, notify, allow */
struct store_key key_rain(const char *ns, const char *name, const char *code);
/* redpkt:<name>:{bucket}, name total_get_count, total_get_price */
struct store_key key_bucket(const char *ns, const char *name, const char *code);
struct store_key key_user_total(const char *ns, int64_t user_id);
/* {room}:<part>, part meta, log, live, done, count, ch (the channel) */
struct store_key key_room(const char *ns, const char *room_id, const char *part);
/* redpkt:risk:{<name>:<window>} */
struct store_key key_risk(const char *ns, const char *name, int64_t window);
struct store_key key_user_log(const char *ns, int64_t user_id);
/* The channel of a worker to itself. */
struct store_key key_echo(const char *ns, const char *worker);
/* users, control, settler:lag, settler:metrics:<name>, settler:names */
struct store_key key_global(const char *ns, const char *name);

/* The room of a channel name "{room}:ch"; false for another channel. */
bool key_channel_room(const char *ns, const char *channel, size_t len,
                      char room_id[RR_ROOM_ID_MAX + 1]);

bool key_namespace_ok(const char *ns);
/* [A-Za-z0-9_.-]{1,64} */
bool key_name_ok(const char *name);

#endif
