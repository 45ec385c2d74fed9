#include "limiter.h"

#include "base/alloc.h"
#include "room/session.h"

#include <stdlib.h>
#include <string.h>

enum limit_scope { SCOPE_CONNECTION, SCOPE_USER, SCOPE_ADDRESS };

/* First bytes of what is hashed: keys of different things never meet. */
enum { KIND_USER = 1, KIND_ADDRESS, KIND_RAIN };
enum { V6_PREFIX_BYTES = 8, CLASS_LIMITS_MAX = 5 };

struct limiter {
    struct limiter_opts o;
    struct rr_ip_nets exempt;
    struct gcra_rate rates[LIMIT_COUNT];
};

#define X(id, scope, n, period_us, burst) [LIMIT_##id] = SCOPE_##scope,
static const enum limit_scope scopes[LIMIT_COUNT] = {LIMIT_MAP(X)};
#undef X

/* In the order in which they are charged. */
static const struct {
    enum limit_id ids[CLASS_LIMITS_MAX];
    int n;
} classes[] = {
    [LIMIT_OF_COMMAND] = {{LIMIT_CONN_COMMAND, LIMIT_USER_COMMAND, LIMIT_ADDRESS_COMMAND}, 3},
    [LIMIT_OF_GRAB] = {{LIMIT_CONN_GRAB, LIMIT_USER_GRAB, LIMIT_ADDRESS_COMMAND}, 3},
    [LIMIT_OF_JOIN] = {{LIMIT_CONN_COMMAND, LIMIT_USER_COMMAND, LIMIT_USER_JOIN,
                        LIMIT_ADDRESS_COMMAND, LIMIT_ADDRESS_JOIN},
                       5},
    [LIMIT_OF_SAY] = {{LIMIT_CONN_COMMAND, LIMIT_USER_SAY, LIMIT_ADDRESS_COMMAND}, 3},
    [LIMIT_OF_SEND] = {{LIMIT_CONN_COMMAND, LIMIT_USER_SEND, LIMIT_ADDRESS_COMMAND}, 3},
};

void limiter_reload(struct limiter *l)
{
    const struct rr_conf *c = l->o.conf;

    RR_ASSERT(rr_ip_nets_parse(&l->exempt, c->limits_exempt) == RR_OK); /* conf checked it */
#define X(id, scope, n, period_us, burst)                                                          \
    l->rates[LIMIT_##id] = gcra_rate_of((n), (period_us), (burst) * (n));
    LIMIT_MAP(X)
#undef X
}

struct limiter *limiter_create(const struct limiter_opts *o)
{
    struct limiter *l = rr_xcalloc(1, sizeof(*l));

    l->o = *o;
    limiter_reload(l);
    return l;
}

void limiter_destroy(struct limiter *l)
{
    free(l);
}

/* ---- rates ---- */

static void count_refusal(struct limiter *l, enum limit_scope scope)
{
    struct rr_metrics *m = l->o.metrics;

    rr_metric_add(scope == SCOPE_CONNECTION ? &m->rate_limited_connection_total
                  : scope == SCOPE_USER     ? &m->rate_limited_user_total
                                            : &m->rate_limited_address_total,
                  1);
}

/* Of a connection: this worker alone has it, so it needs no slot. */
static enum rr_err take_own(struct limiter *l, int64_t *tat_us, enum limit_id id,
                            int64_t *retry_after_us)
{
    int64_t next_us = gcra_next(*tat_us, rr_mono_us(l->o.clock), &l->rates[id], retry_after_us);

    if (next_us < 0)
        return RR_RATE_LIMITED;
    *tat_us = next_us;
    return RR_OK;
}

static uint64_t key_of(uint64_t who, enum limit_id id)
{
    uint64_t x = who + UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(id + 1);

    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

static enum rr_err take_shared(struct limiter *l, uint64_t who, enum limit_id id,
                               int64_t *retry_after_us)
{
    struct rate_take t = {0};
    enum rr_err err = RR_OK;

    if (!who)
        return RR_OK; /* not known yet, or excepted */
    err = rate_slots_take(&l->o.map->rates, key_of(who, id), rr_mono_us(l->o.clock), &l->rates[id],
                          &t);
    rr_metric_add(&l->o.metrics->limit_slots_forgotten_total, t.forgot);
    *retry_after_us = t.retry_after_us;
    return err;
}

/* One user in one rain. */
static uint64_t rain_key(const struct limiter *l, uint64_t user, struct rr_slice code)
{
    unsigned char in[1 + sizeof(user) + RR_CODE_LEN] = {KIND_RAIN};
    size_t n = code.len < RR_CODE_LEN ? code.len : RR_CODE_LEN;

    if (!user)
        return 0;
    memcpy(in + 1, &user, sizeof(user));
    if (n)
        memcpy(in + 1 + sizeof(user), code.p, n);
    return limit_map_hash(l->o.map, in, 1 + sizeof(user) + n);
}

static enum rr_err take(struct limiter *l, struct session *s, enum limit_id id,
                        struct rr_slice code, int64_t *retry_after_ms)
{
    int64_t retry_us = 0;
    enum rr_err err = RR_OK;

    if (id == LIMIT_CONN_GRAB)
        err = take_own(l, &s->limits.grab_tat_us, id, &retry_us);
    else if (scopes[id] == SCOPE_CONNECTION)
        err = take_own(l, &s->limits.command_tat_us, id, &retry_us);
    else if (id == LIMIT_USER_GRAB)
        err = take_shared(l, rain_key(l, s->limits.user, code), id, &retry_us);
    else
        err = take_shared(l, scopes[id] == SCOPE_USER ? s->limits.user : s->limits.address, id,
                          &retry_us);
    if (err) {
        *retry_after_ms = retry_us / 1000 + 1;
        count_refusal(l, scopes[id]);
    }
    return err;
}

enum rr_err limiter_message(struct limiter *l, struct session *s, enum limit_class of,
                            struct rr_slice code, int64_t *retry_after_ms)
{
    for (int i = 0; i < classes[of].n; i++) {
        enum rr_err err = take(l, s, classes[of].ids[i], code, retry_after_ms);

        if (err)
            return err;
    }
    return RR_OK;
}

enum rr_err limiter_user(struct limiter *l, struct session *s, enum limit_id id,
                         int64_t *retry_after_ms)
{
    RR_ASSERT(scopes[id] == SCOPE_USER);
    return take(l, s, id, rr_slice_of(NULL, 0), retry_after_ms);
}

/* ---- connections ---- */

static enum rr_err enter(struct limiter *l, uint64_t key, int64_t max, bool *taken)
{
    *taken = false;
    if (!key)
        return RR_OK;
    switch (count_slots_take(&l->o.map->counts, l->o.owner, key, (uint32_t)max)) {
    case COUNT_TAKEN: *taken = true; return RR_OK;
    case COUNT_OVER: return RR_FULL;
    case COUNT_UNKNOWN: break;
    }
    rr_metric_add(&l->o.metrics->limit_slots_forgotten_total, 1);
    return RR_OK;
}

static void leave(struct limiter *l, uint64_t key, bool *taken)
{
    if (*taken)
        count_slots_give(&l->o.map->counts, l->o.owner, key);
    *taken = false;
}

uint64_t limiter_address_key(const struct limiter *l, const struct rr_ip *a)
{
    unsigned char in[1 + sizeof(a->b)] = {KIND_ADDRESS};
    size_t n = rr_ip_is4(a) ? sizeof(a->b) : V6_PREFIX_BYTES;

    if (rr_ip_none(a) || rr_ip_nets_have(&l->exempt, a))
        return 0;
    memcpy(in + 1, a->b, n);
    return limit_map_hash(l->o.map, in, 1 + n);
}

enum rr_err limiter_address_enter(struct limiter *l, uint64_t key, bool *taken)
{
    return enter(l, key, l->o.conf->limits_connections_per_address, taken);
}

void limiter_address_leave(struct limiter *l, uint64_t key, bool *taken)
{
    leave(l, key, taken);
}

enum rr_err limiter_user_enter(struct limiter *l, struct session *s)
{
    unsigned char in[1 + sizeof(s->user_id)] = {KIND_USER};

    memcpy(in + 1, &s->user_id, sizeof(s->user_id));
    s->limits.user = limit_map_hash(l->o.map, in, sizeof(in));
    return enter(l, s->limits.user, l->o.conf->limits_connections_per_user, &s->user_counted);
}

void limiter_user_leave(struct limiter *l, struct session *s)
{
    leave(l, s->limits.user, &s->user_counted);
}

enum rr_err limiter_socket_enter(struct limiter *l)
{
    int64_t max = l->o.conf->limits_connections;

    limit_map_socket(l->o.map, l->o.owner, true);
    if (max == 0 || limit_map_sockets(l->o.map) <= max)
        return RR_OK;
    limit_map_socket(l->o.map, l->o.owner, false);
    return RR_FULL;
}

void limiter_socket_leave(struct limiter *l)
{
    limit_map_socket(l->o.map, l->o.owner, false);
}
