#include "keys.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Every part is bounded by limits.h or checked at create, so the buffer always fits: cut names must
 * never exist. */
__attribute__((format(printf, 1, 2))) static struct store_key make(const char *fmt, ...)
{
    struct store_key k;
    va_list ap;
    int n = 0;

    va_start(ap, fmt);
    n = vsnprintf(k.s, sizeof(k.s), fmt, ap);
    va_end(ap);
    RR_ASSERT(n > 0 && (size_t)n < sizeof(k.s));
    return k;
}

struct store_key key_pool(const char *ns, const struct pool_shard *at, const char *part)
{
    return make("%sredpkt:{%s:%" PRIu32 "}:%s", ns, at->code, at->shard, part);
}

struct store_key key_rain(const char *ns, const char *name, const char *code)
{
    return make("%sredpkt:%s:{%s}", ns, name, code);
}

struct store_key key_bucket(const char *ns, const char *name, const char *code)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (const char *p = code; *p; p++)
        h = (h ^ (uint32_t)(unsigned char)*p) * 16777619U;
    return make("%sredpkt:%s:{%" PRIu32 "}", ns, name, (h ^ (h >> 16)) % 16);
}

struct store_key key_user_total(const char *ns, int64_t user_id)
{
    return make("%sredpkt:user_total:{%" PRId64 "}", ns, user_id);
}

struct store_key key_room(const char *ns, const char *room_id, const char *part)
{
    return make("%s{%s}:%s", ns, room_id, part);
}

struct store_key key_risk(const char *ns, const char *name, int64_t window)
{
    return make("%sredpkt:risk:{%s:%" PRId64 "}", ns, name, window);
}

struct store_key key_user_log(const char *ns, int64_t user_id)
{
    return make("%suser:{%" PRId64 "}:log", ns, user_id);
}

struct store_key key_echo(const char *ns, const char *worker)
{
    return make("%secho:%s", ns, worker);
}

struct store_key key_global(const char *ns, const char *name)
{
    return make("%s%s", ns, name);
}

bool key_channel_room(const char *ns, const char *channel, size_t len,
                      char room_id[RR_ROOM_ID_MAX + 1])
{
    static const char tail[] = "}:ch";
    size_t ns_len = strlen(ns);
    size_t tail_len = sizeof(tail) - 1;
    size_t room_len = 0;

    if (len < ns_len + 1 + tail_len || memcmp(channel, ns, ns_len) != 0 || channel[ns_len] != '{' ||
        memcmp(channel + len - tail_len, tail, tail_len) != 0)
        return false;
    room_len = len - ns_len - 1 - tail_len;
    if (room_len == 0 || room_len > RR_ROOM_ID_MAX)
        return false;
    memcpy(room_id, channel + ns_len + 1, room_len);
    room_id[room_len] = 0;
    return true;
}

bool key_namespace_ok(const char *ns)
{
    size_t len = strlen(ns);

    return len <= STORE_NS_MAX && strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

bool key_name_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= STORE_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}
