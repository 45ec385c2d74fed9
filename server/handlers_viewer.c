/* handlers_viewer.c - what every client may ask: rooms, heartbeat, grab, my grants, chat. */
#include "handlers.h"

#include "base/alloc.h"
#include "base/log.h"
#include "grab_books.h"
#include "protocol/pack.h"
#include "rain/split.h"
#include "rain_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A JOIN on its way: in a room with an open rain the user's next seq is read first, one call to
 * Redis. */
struct join_lookup {
    struct session_ref ref;
    uint32_t join_no; /* the session's when it asked */
    char room_id[RR_ROOM_ID_MAX + 1];
    uint64_t epoch;
    uint64_t seq;
    char code[RR_CODE_LEN + 1];
};

static void next_set(struct session *s, const char code[RR_CODE_LEN + 1], uint32_t seq)
{
    if (!s->next)
        s->next = rr_xcalloc(1, sizeof(*s->next));
    s->next->seq = seq;
    memcpy(s->next->code, code, sizeof(s->next->code));
}

static void next_forget(struct session *s)
{
    free(s->next);
    s->next = NULL;
}

static void join_looked_up(void *arg, enum rr_err err, uint32_t next)
{
    struct join_lookup *l = arg;
    struct session *s = session_by_id(l->ref.worker->sessions, l->ref.session_id);

    if (s && s->join_no != l->join_no) {
        join_answer(l->ref.worker, s, l->ref.req_id, RR_CONFLICT, NULL);
    } else if (s && s->state != SESSION_CLOSING) {
        if (err == RR_OK)
            next_set(s, l->code, next);
        hub_join(l->ref.worker->hub, s, l->ref.req_id, l->room_id, l->epoch, l->seq);
    }
    free(l);
}

struct open_rain_query {
    const char *room_id;
    int64_t now_ms;
    const struct rain_entry *found;
};

static void find_open_rain(void *arg, struct rain_entry *e)
{
    struct open_rain_query *q = arg;

    if (!e->over && strcmp(e->live.room_id, q->room_id) == 0 && q->now_ms >= e->live.t0_ms &&
        (!q->found || e->live.t0_ms > q->found->live.t0_ms))
        q->found = e;
}

static bool kicked(const struct worker *w, const struct session *s, const char *room_id,
                   struct refusal *why)
{
    int64_t left_us =
        sanctions_left_us(w->sanctions, SANCTION_KICK, room_id, s->user_id, rr_mono_us(w->clock));

    if (left_us <= 0)
        return false;
    why->reason = "removed by the anchor";
    why->retry_after_ms = left_us / 1000 + 1;
    return true;
}

/* Also when the room was loaded for it: only then may be known who was kicked there before this
 * worker began. */
void join_resume(void *worker, struct session *s, uint32_t req_id, const char *room_id,
                 uint64_t epoch, uint64_t seq)
{
    struct worker *w = worker;
    struct open_rain_query q = {.room_id = room_id, .now_ms = worker_rain_now_ms(w)};
    struct pool_shard at;
    struct join_lookup *l = NULL;
    struct refusal why = {0};

    next_forget(s);
    if (kicked(w, s, room_id, &why)) {
        reply_error(w, s, req_id, RR_NOT_ELIGIBLE, &why);
        return;
    }
    rains_each(w->rains, find_open_rain, &q);
    /* Who comes back with his position knows his next seq, or repeats an open grab and is told: after a server died all of them
     * come at once, and Redis is not asked. */
    if (!q.found || !w->bus_up || s->role == ROLE_GUEST ||
        hub_recovers(w->hub, room_id, epoch, seq)) {
        hub_join(w->hub, s, req_id, room_id, epoch, seq);
        return;
    }
    l = rr_xcalloc(1, sizeof(*l));
    l->ref = (struct session_ref){.worker = w, .session_id = s->id, .req_id = req_id};
    l->join_no = s->join_no;
    l->epoch = epoch;
    l->seq = seq;
    snprintf(l->room_id, sizeof(l->room_id), "%s", room_id);
    memcpy(l->code, q.found->live.code, sizeof(l->code));
    memcpy(at.code, l->code, sizeof(at.code));
    at.shard = rain_home_shard(s->user_id, q.found->live.shards);
    w->pool->next_seq(w->pool->impl, &at, s->user_id, join_looked_up, l);
}

enum rr_err on_join(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    char room_id[RR_ROOM_ID_MAX + 1];
    uint64_t epoch = 0;

    if (!rain_room_id_valid(m->u.join.room) ||
        !rr_slice_copy(m->u.join.room, room_id, sizeof(room_id))) {
        why->field = "room";
        return RR_BAD_REQUEST;
    }
    if (!session_may_enter(s, room_id))
        return RR_NOT_ELIGIBLE;
    if (kicked(w, s, room_id, why))
        return RR_NOT_ELIGIBLE;
    if (m->u.join.has_epoch) {
        char hex[17];

        memcpy(hex, m->u.join.epoch.p, 16); /* 16 bytes, by the field table */
        hex[16] = 0;
        if (strspn(hex, "0123456789abcdef") != 16) {
            why->field = "epoch";
            return RR_BAD_REQUEST;
        }
        epoch = strtoull(hex, NULL, 16);
    }
    s->join_no++; /* an earlier JOIN still on its way is answered CONFLICT */
    join_resume(w, s, m->id, room_id, epoch, (uint64_t)m->u.join.seq);
    return RR_OK;
}

static void join_reply(struct worker *w, struct session *s, uint32_t req_id,
                       const struct hub_join_answer *a)
{
    char epoch[17];
    struct rr_buf b = {0};

    snprintf(epoch, sizeof(epoch), "%016" PRIx64, a->epoch);
    msg_reply_begin(&b, req_id, RESULT_OK,
                    6 + (uint32_t)a->recovered + (uint32_t)(s->next != NULL));
    pack_kv_str(&b, "room", a->room_id);
    pack_kv_str(&b, "epoch", epoch);
    pack_kv_int(&b, "seq", (int64_t)a->seq);
    pack_kv_bool(&b, "recovered", a->recovered);
    pack_kv_int(&b, "online", a->online);
    pack_cstr(&b, "rains");
    pack_array(&b, a->kept_n);
    for (uint32_t i = 0; i < a->kept_n; i++) {
        pack_map(&b, 2);
        pack_kv_slice(&b, "biz_code", a->kept[i].biz_code);
        pack_kv_raw(&b, "payload", a->kept[i].payload);
    }
    if (s->next) {
        pack_cstr(&b, "next");
        pack_map(&b, 1);
        pack_kv_int(&b, s->next->code, s->next->seq);
    }
    if (a->recovered) {
        pack_cstr(&b, "missed");
        pack_array(&b, a->missed_n);
        for (uint32_t i = 0; i < a->missed_n; i++)
            pack_raw(&b, a->missed[i]);
    }
    next_forget(s);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
}

void join_answer(void *worker, struct session *s, uint32_t req_id, enum rr_err err,
                 const struct hub_join_answer *a)
{
    struct worker *w = worker;

    struct refusal superseded = {.reason = "another JOIN or a LEAVE came after it"};

    if (err) {
        reply_error(w, s, req_id, err, err == RR_CONFLICT ? &superseded : NULL);
        return;
    }
    rr_metric_add(&w->metrics->joins_total, 1);
    join_reply(w, s, req_id, a);
}

enum rr_err on_leave(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    (void)why;
    hub_leave(s);
    reply_ok(w, s, m->id);
    return RR_OK;
}

enum rr_err on_ping(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    double t1 = worker_rain_now_ms_exact(w);
    struct rr_buf b = {0};

    (void)why;
    msg_reply_begin(&b, m->id, RESULT_OK, 3);
    pack_kv_int(&b, "t0", m->u.ping.t0);
    pack_cstr(&b, "t1");
    pack_double(&b, t1);
    pack_cstr(&b, "t2");
    pack_double(&b, worker_rain_now_ms_exact(w));
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    return RR_OK;
}

enum rr_err on_grab(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    enum rr_err err = RR_OK;

    if (s->account)
        s->account->grabs++;
    if (m->u.grab.again && rain_code_valid(m->u.grab.code) && !rains_find(w->rains, m->u.grab.code))
        err = grab_books_unknown(w, s, m, why);
    else
        err = grab_path_submit(w->grabs, s, m, why);
    if (err)
        grab_path_failed(s, err);
    return err;
}

enum rr_err on_my_grants(struct worker *w, struct session *s, const struct msg *m,
                         struct refusal *why)
{
    struct rain_job *j = rain_job_new(w, s, m->id, RAIN_JOB_GRANTS);

    if (m->u.my_grants.has_code &&
        (!rain_code_valid(m->u.my_grants.code) ||
         !rr_slice_copy(m->u.my_grants.code, j->code, sizeof(j->code)))) {
        rain_job_free(j);
        why->field = "code";
        return RR_BAD_REQUEST;
    }
    if (!m->u.my_grants.has_code) {
        enum rr_err err = limiter_user(w->limiter, s, LIMIT_USER_GRANTS, &why->retry_after_ms);

        if (err) {
            rain_job_free(j);
            return err;
        }
    } else {
        struct rain_entry *e = rains_find(w->rains, m->u.my_grants.code);

        j->shards = e ? e->live.shards : 0;
    }
    j->before_ms = m->u.my_grants.before;
    return rain_job_submit(j, DB_LANE_VIEWER);
}

enum rr_err on_say(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    int64_t left_us = 0;
    struct rr_buf b = {0};
    struct rr_slice text = m->u.say.text;

    if (!rain_utf8_valid(text)) {
        why->field = "text";
        return RR_BAD_REQUEST;
    }
    left_us = sanctions_left_us(w->sanctions, SANCTION_MUTE, room_id_of(s->room), s->user_id,
                                rr_mono_us(w->clock));
    if (left_us > 0) {
        why->retry_after_ms = left_us / 1000 + 1;
        why->reason = "muted";
        return RR_NOT_ELIGIBLE;
    }
    if (!w->bus_up)
        return RR_UNAVAILABLE;
    pack_map(&b, 4);
    pack_kv_user(&b, "user", s->user_id);
    pack_kv_str(&b, "name", session_name(s));
    pack_kv_slice(&b, "text", text);
    pack_kv_int(&b, "at", worker_rain_now_ms(w));
    w->bus->publish(w->bus->impl, room_id_of(s->room), "SAY", rr_slice_of(b.p, b.len));
    rr_buf_fini(&b);
    reply_ok(w, s, m->id);
    return RR_OK;
}
