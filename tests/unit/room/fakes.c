#include "fakes.h"

#include "base/alloc.h"
#include "protocol/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- transport ---- */

static enum rr_err write_now(void *impl, void *conn, struct rr_frame *frame)
{
    struct fake_conn *c = conn;
    uint32_t at = c->sent_n % FAKE_SENT_MAX;

    (void)impl;
    if (c->broken || c->close_code)
        return RR_CLOSED;
    if (c->busy)
        return RR_BUSY;
    rr_frame_unref(&c->sent[at]);
    c->sent[at] = rr_frame_ref(frame);
    c->sent_n++;
    return RR_OK;
}

static void want_write(void *impl, void *conn)
{
    (void)impl;
    ((struct fake_conn *)conn)->wants_write = true;
}

static void close_conn(void *impl, void *conn, enum close_code code)
{
    struct fake_conn *c = conn;

    (void)impl;
    c->close_code = (int)code;
    c->closes++;
}

static void warm(void *conn)
{
    ((struct fake_conn *)conn)->warmed++;
}

const struct transport fake_transport = {
    .headroom = FAKE_HEADROOM,
    .write_now = write_now,
    .want_write = want_write,
    .close = close_conn,
    .warm = warm,
};

void fake_conn_clear(struct fake_conn *c)
{
    for (uint32_t i = 0; i < FAKE_SENT_MAX && i < c->sent_n; i++)
        rr_frame_unref(&c->sent[i]);
    c->sent_n = 0;
}

bool wire_decode_bytes(struct rr_slice bytes, struct wire *out)
{
    struct unpack_value top;
    struct unpack_value v;

    if (unpack_scan(bytes, 32) || unpack_next(&bytes, &top) || top.type != UNPACK_ARRAY ||
        top.as.n != 3)
        return false;
    if (unpack_next(&top.items, &v) || v.type != UNPACK_INT)
        return false;
    out->op = v.as.i;
    if (unpack_next(&top.items, &v) || v.type != UNPACK_INT)
        return false;
    out->id = v.as.i;
    return unpack_next(&top.items, &out->body) == RR_OK && out->body.type == UNPACK_MAP;
}

bool wire_decode(struct rr_frame *f, struct wire *out)
{
    return wire_decode_bytes(rr_slice_of(rr_frame_payload(f), f->len), out);
}

bool wire_of(const struct fake_conn *c, int n, struct wire *out)
{
    uint32_t i = n < 0 ? c->sent_n - 1 : (uint32_t)n;

    return c->sent_n > 0 && i < c->sent_n && c->sent[i % FAKE_SENT_MAX] &&
           wire_decode(c->sent[i % FAKE_SENT_MAX], out);
}

int64_t wire_int(const struct unpack_value *map, const char *key)
{
    int64_t v = 0;

    return unpack_get_int(map, key, &v) == RR_OK ? v : INT64_MIN;
}

struct rr_slice wire_str(const struct unpack_value *map, const char *key)
{
    struct rr_slice s;

    return unpack_get_str(map, key, &s) == RR_OK ? s : rr_slice_of(NULL, 0);
}

bool wire_str_is(const struct unpack_value *map, const char *key, const char *want)
{
    return rr_slice_eq_str(wire_str(map, key), want);
}

bool wire_has(const struct unpack_value *map, const char *key)
{
    struct unpack_value v;

    return unpack_get(map, key, &v) == RR_OK;
}

struct unpack_value wire_payload(const struct wire *w)
{
    struct unpack_value v;

    if (unpack_get(&w->body, "payload", &v) != RR_OK)
        memset(&v, 0, sizeof(v));
    return v;
}

/* ---- bus ---- */

static void bus_subscribe(void *impl, const char *room_id)
{
    (void)room_id;
    ((struct fake_bus *)impl)->subscribes++;
}

static void bus_unsubscribe(void *impl, const char *room_id)
{
    (void)room_id;
    ((struct fake_bus *)impl)->unsubscribes++;
}

static void copy_id(char *dst, const char *src)
{
    (void)rr_slice_copy(rr_slice_str(src), dst, RR_ROOM_ID_MAX + 1);
}

static void bus_load(void *impl, const char *room_id, uint64_t epoch, uint64_t seq,
                     bus_load_fn done, void *arg)
{
    struct fake_bus *b = impl;
    struct fake_load *l = &b->loads[b->loads_n++ % FAKE_CALLS_MAX];

    if (l->done)
        fake_bus_load(b, b->loads_n - 1, RR_UNAVAILABLE, NULL);
    *l = (struct fake_load){.epoch = epoch, .seq = seq, .done = done, .arg = arg};
    copy_id(l->room_id, room_id);
}

static struct fake_out *out_new(struct fake_bus *b, enum fake_out_kind kind, const char *room_id,
                                const char *biz_code, struct rr_slice payload)
{
    struct fake_out *o = NULL;

    if (b->outs_n == FAKE_CALLS_MAX)
        fake_bus_outs_clear(b);
    o = &b->outs[b->outs_n++];
    *o = (struct fake_out){.kind = kind};
    copy_id(o->room_id, room_id);
    (void)rr_slice_copy(rr_slice_str(biz_code), o->biz_code, sizeof(o->biz_code));
    rr_buf_append(&o->payload, payload.p, payload.len);
    return o;
}

static void bus_push_room(void *impl, const char *room_id, const char *biz_code,
                          struct rr_slice payload, const char *keep_code, bool final,
                          bus_push_fn done, void *arg)
{
    struct fake_out *o = out_new(impl, FAKE_PUSH_ROOM, room_id, biz_code, payload);

    (void)keep_code;
    (void) final;
    o->done = done;
    o->arg = arg;
}

static void bus_publish(void *impl, const char *room_id, const char *biz_code,
                        struct rr_slice payload)
{
    (void)out_new(impl, FAKE_PUBLISH, room_id, biz_code, payload);
}

static void bus_push_user(void *impl, int64_t user_id, const char *biz_code,
                          struct rr_slice payload, bool logged)
{
    struct fake_out *o = out_new(impl, FAKE_PUSH_USER, "", biz_code, payload);

    o->user_id = user_id;
    o->logged = logged;
}

static void bus_control(void *impl, struct rr_slice payload)
{
    (void)out_new(impl, FAKE_CONTROL, "", "", payload);
}

static void bus_sanction(void *impl, const char *room_id, const char *what, int64_t secs)
{
    struct fake_bus *b = impl;

    snprintf(b->sanction, sizeof(b->sanction), "%s %s %d", room_id, what, (int)secs);
}

static void bus_user_log(void *impl, int64_t user_id, bus_user_log_fn done, void *arg)
{
    struct fake_bus *b = impl;
    struct fake_user_log *l = &b->logs[b->logs_n++ % FAKE_CALLS_MAX];

    if (l->done)
        l->done(l->arg, RR_UNAVAILABLE, NULL, 0);
    *l = (struct fake_user_log){.user_id = user_id, .done = done, .arg = arg};
}

static void bus_count(void *impl, const char *room_id, uint32_t members, uint64_t life,
                      const struct delivery *delivery, bus_count_fn done, void *arg)
{
    struct fake_bus *b = impl;
    struct fake_count *c = &b->counts[b->counts_n++ % FAKE_CALLS_MAX];

    if (c->done)
        fake_bus_count(b, b->counts_n - 1, RR_UNAVAILABLE, 0);
    *c = (struct fake_count){
        .members = members, .life = life, .delivery = *delivery, .done = done, .arg = arg};
    copy_id(c->room_id, room_id);
}

static void bus_time(void *impl, bus_time_fn done, void *arg)
{
    (void)impl;
    done(arg, RR_UNAVAILABLE, 0, 0, 0);
}

static void bus_echo(void *impl, uint64_t number)
{
    ((struct fake_bus *)impl)->echoed = number;
}

static void bus_resubscribe(void *impl)
{
    ((struct fake_bus *)impl)->resubscribes++;
}

void fake_bus_init(struct fake_bus *b)
{
    memset(b, 0, sizeof(*b));
    b->bus = (struct room_bus){.impl = b,
                               .subscribe = bus_subscribe,
                               .unsubscribe = bus_unsubscribe,
                               .load = bus_load,
                               .push_room = bus_push_room,
                               .publish = bus_publish,
                               .push_user = bus_push_user,
                               .user_log = bus_user_log,
                               .control = bus_control,
                               .sanction = bus_sanction,
                               .count = bus_count,
                               .time = bus_time,
                               .echo = bus_echo,
                               .resubscribe = bus_resubscribe};
}

void fake_bus_load(struct fake_bus *b, uint32_t n, enum rr_err err,
                   const struct room_snapshot *snap)
{
    struct fake_load l = b->loads[n % FAKE_CALLS_MAX];

    RR_ASSERT(l.done);
    b->loads[n % FAKE_CALLS_MAX].done = NULL;
    l.done(l.arg, err, snap);
}

void fake_bus_count(struct fake_bus *b, uint32_t n, enum rr_err err, int64_t online)
{
    struct fake_count c = b->counts[n % FAKE_CALLS_MAX];

    RR_ASSERT(c.done);
    b->counts[n % FAKE_CALLS_MAX].done = NULL;
    c.done(c.arg, err, online);
}

void fake_bus_outs_clear(struct fake_bus *b)
{
    for (uint32_t i = 0; i < b->outs_n; i++) {
        if (b->outs[i].done)
            b->outs[i].done(b->outs[i].arg, RR_OK, 1, 1);
        rr_buf_fini(&b->outs[i].payload);
    }
    b->outs_n = 0;
}

void fake_bus_fini(struct fake_bus *b)
{
    for (uint32_t i = 0; i < FAKE_CALLS_MAX && i < b->loads_n; i++) {
        if (b->loads[i].done)
            fake_bus_load(b, i, RR_UNAVAILABLE, NULL);
    }
    for (uint32_t i = 0; i < FAKE_CALLS_MAX && i < b->counts_n; i++) {
        if (b->counts[i].done)
            fake_bus_count(b, i, RR_UNAVAILABLE, 0);
    }
    for (uint32_t i = 0; i < FAKE_CALLS_MAX && i < b->logs_n; i++) {
        if (b->logs[i].done)
            b->logs[i].done(b->logs[i].arg, RR_UNAVAILABLE, NULL, 0);
        b->logs[i].done = NULL;
    }
    fake_bus_outs_clear(b);
}

void fake_bus_reset(struct fake_bus *b)
{
    b->subscribes = b->unsubscribes = b->resubscribes = 0;
    b->loads_n = b->counts_n = b->logs_n = 0;
    b->echoed = 0;
    b->sanction[0] = 0;
}

/* ---- payloads ---- */

void fake_rain_pairs(struct rr_buf *b, const char *code, int64_t open_at, int64_t end_at,
                     int64_t limit, int64_t shards)
{
    pack_kv_str(b, "config_code", code);
    pack_kv_int(b, "total_count", 100);
    pack_kv_int(b, "total_price", 10000);
    pack_kv_int(b, "limit", limit);
    pack_kv_int(b, "shards", shards);
    pack_kv_int(b, "open_at", open_at);
    pack_kv_int(b, "end_at", end_at);
    pack_kv_str(b, "split", "equal");
}

void fake_rain_config(struct rr_buf *b, const char *code, int64_t open_at, int64_t end_at,
                      int64_t limit, int64_t shards)
{
    pack_map(b, 8);
    fake_rain_pairs(b, code, open_at, end_at, limit, shards);
}

void fake_rain_code(struct rr_buf *b, const char *code)
{
    pack_map(b, 1);
    pack_kv_str(b, "config_code", code);
}
