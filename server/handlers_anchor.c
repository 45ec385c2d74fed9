/* handlers_anchor.c - what the anchor of a room may ask. Dispatch has checked that s is the anchor
 * of its room. */
#include "handlers.h"

#include "base/alloc.h"
#include "base/log.h"
#include "console_job.h"
#include "protocol/pack.h"
#include "protocol/unpack.h"
#include "packet_spec.h"
#include "rain_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rr_err on_create(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = rain_job_new(w, s, m->id, RAIN_JOB_CREATE);

    why->field = packet_spec(j, &m->u.create);
    if (why->field) {
        rain_job_free(j);
        return RR_BAD_REQUEST;
    }
    j->spec.by = KIND_BY_ANCHOR;
    j->spec.sender_id = s->user_id;
    j->spec.anchor_id = s->user_id;
    return rain_job_submit(j, DB_LANE_ANCHOR);
}

static enum rr_err submit_for_code(struct worker *w, struct session *s, const struct msg *m,
                                   struct rr_slice code, enum rain_job_kind kind,
                                   struct refusal *why, struct rain_job **out)
{
    struct rain_job *j = NULL;

    if (!rain_code_valid(code)) {
        why->field = "code";
        return RR_BAD_REQUEST;
    }
    j = rain_job_new(w, s, m->id, kind);
    memcpy(j->code, code.p, RR_CODE_LEN);
    *out = j;
    return RR_OK;
}

enum rr_err on_prepare(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = submit_for_code(w, s, m, m->u.prepare.code, RAIN_JOB_PREPARE, why, &j);

    return err ? err : rain_job_submit(j, DB_LANE_ANCHOR);
}

enum rr_err on_start(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = submit_for_code(w, s, m, m->u.start.code, RAIN_JOB_START, why, &j);

    if (err)
        return err;
    j->countdown_ms = m->u.start.has_countdown_ms ? m->u.start.countdown_ms : 5000;
    j->duration_ms = m->u.start.duration_ms;
    return rain_job_submit(j, DB_LANE_ANCHOR);
}

enum rr_err on_extend(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = submit_for_code(w, s, m, m->u.extend.code, RAIN_JOB_EXTEND, why, &j);

    if (err)
        return err;
    j->add_ms = m->u.extend.add_ms;
    return rain_job_submit(j, DB_LANE_ANCHOR);
}

enum rr_err on_close(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = submit_for_code(w, s, m, m->u.close.code, RAIN_JOB_CLOSE, why, &j);

    return err ? err : rain_job_submit(j, DB_LANE_ANCHOR);
}

enum rr_err on_cancel(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rain_job *j = NULL;
    enum rr_err err = submit_for_code(w, s, m, m->u.cancel.code, RAIN_JOB_CANCEL, why, &j);

    return err ? err : rain_job_submit(j, DB_LANE_ANCHOR);
}

struct running_query {
    const char *room_id;
    bool found;
};

static void find_running(void *arg, struct rain_entry *e)
{
    struct running_query *q = arg;

    q->found |= !e->over && strcmp(e->live.room_id, q->room_id) == 0;
}

enum rr_err on_stats(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct running_query q = {.room_id = room_id_of(s->room)};
    struct rain_job *j = NULL;
    enum rr_err err = RR_OK;

    if (m->u.stats.has_code)
        err = submit_for_code(w, s, m, m->u.stats.code, RAIN_JOB_SHOW, why, &j);
    else
        j = rain_job_new(w, s, m->id, RAIN_JOB_LIST);
    if (err)
        return err;
    rains_each(w->rains, find_running, &q);
    j->live = q.found;
    return rain_job_submit(j, DB_LANE_ANCHOR);
}

struct announcement {
    struct session_ref ref;
    struct audit_row note;
};

static void announced(void *arg, enum rr_err err, uint64_t epoch, uint64_t seq)
{
    struct announcement *a = arg;
    struct session *s = session_by_id(a->ref.worker->sessions, a->ref.session_id);

    (void)epoch;
    (void)seq;
    if (err == RR_PENDING)
        err = RR_UNAVAILABLE;
    if (s && err)
        reply_error(a->ref.worker, s, a->ref.req_id, err, NULL);
    else if (s)
        reply_ok(a->ref.worker, s, a->ref.req_id);
    console_note(a->ref.worker, &a->note, err);
    free(a);
}

enum rr_err on_announce(struct worker *w, struct session *s, const struct msg *m,
                        struct refusal *why)
{
    struct announcement *a = NULL;
    struct rr_buf b = {0};

    if (!rain_utf8_valid(m->u.announce.text)) {
        why->field = "text";
        return RR_BAD_REQUEST;
    }
    if (!w->bus_up)
        return RR_UNAVAILABLE;
    a = rr_xcalloc(1, sizeof(*a));
    a->ref = (struct session_ref){.worker = w, .session_id = s->id, .req_id = m->id};
    a->note = console_note_row(s, "ANNOUNCE", m->u.announce.text);
    pack_map(&b, 2);
    pack_kv_slice(&b, "text", m->u.announce.text);
    pack_kv_int(&b, "at", worker_rain_now_ms(w));
    w->bus->push_room(w->bus->impl, room_id_of(s->room), "ANNOUNCE", rr_slice_of(b.p, b.len), NULL,
                      false, announced, a);
    rr_buf_fini(&b);
    return RR_OK;
}

/* Kick and mute reach the user wherever his sockets are: by the control channel, to every worker.
 */
static enum rr_err send_control(struct worker *w, struct session *s, const struct msg *m,
                                const char *kind, int64_t user_id, int64_t secs)
{
    struct audit_row note;
    char what[32];
    char detail[64];
    struct rr_buf b = {0};

    if (!w->bus_up)
        return RR_UNAVAILABLE;
    /* Kept first: a worker that loads the room between the two hears the message. */
    snprintf(what, sizeof(what), "%s:%" PRId64, kind, user_id);
    w->bus->sanction(w->bus->impl, room_id_of(s->room), what, secs);
    pack_map(&b, 4);
    pack_kv_str(&b, "kind", kind);
    pack_kv_str(&b, "room", room_id_of(s->room));
    pack_kv_user(&b, "user", user_id);
    pack_kv_int(&b, "secs", secs);
    w->bus->control(w->bus->impl, rr_slice_of(b.p, b.len));
    rr_buf_fini(&b);
    snprintf(detail, sizeof(detail), "user=%" PRId64 " secs=%" PRId64, user_id, secs);
    note = console_note_row(s, m->op == MSG_KICK ? "KICK" : "MUTE", rr_slice_str(detail));
    console_note(w, &note, RR_OK);
    reply_ok(w, s, m->id);
    return RR_OK;
}

enum rr_err on_kick(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    (void)why;
    return send_control(w, s, m, "kick", m->u.kick.user, m->u.kick.secs);
}

enum rr_err on_mute(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    (void)why;
    return send_control(w, s, m, "mute", m->u.mute.user, m->u.mute.secs);
}

static void tell_secs(struct worker *w, struct session *s, const char *biz_code, int64_t secs)
{
    struct rr_buf payload = {0};
    struct rr_buf b = {0};

    pack_map(&payload, 1);
    pack_kv_int(&payload, "secs", secs);
    msg_push(&b, NULL, 0, 0, rr_slice_str(biz_code), rr_slice_of(payload.p, payload.len));
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    rr_buf_fini(&payload);
}

static void control_user(struct worker *w, const char *room_id, bool kick, int64_t user_id,
                         int64_t secs)
{
    struct session *s = NULL;
    int64_t now_us = rr_mono_us(w->clock);

    /* First: writing an answer may close another socket of his, and the list would end there. */
    session_table_flush(w->sessions);
    s = session_by_user(w->sessions, user_id);
    if (sanctions_set(w->sanctions, kick ? SANCTION_KICK : SANCTION_MUTE, room_id, user_id,
                      now_us + secs * 1000000, now_us) != RR_OK)
        log_warn("sanctions_full", "a kick or mute holds for open sockets only");
    while (s) {
        struct session *next = session_user_next(s); /* closing takes s off the list */

        if (s->state == SESSION_JOINED && strcmp(room_id_of(s->room), room_id) == 0) {
            tell_secs(w, s, kick ? "KICKED" : "MUTED", secs);
            if (kick)
                session_close(s, CLOSE_BANNED);
        }
        s = next;
    }
}

void room_sanctioned(void *worker, const char *room_id, const struct room_sanction *x)
{
    struct worker *w = worker;
    int64_t now_us = rr_mono_us(w->clock);
    int64_t left_ms = x->until_ms - worker_rain_now_ms(w);
    bool kick = x->what.len > 5 && memcmp(x->what.p, "kick:", 5) == 0;
    int64_t user_id = 0;

    if (left_ms <= 0 || (!kick && !(x->what.len > 5 && memcmp(x->what.p, "mute:", 5) == 0)) ||
        unpack_user_id(rr_slice_of(x->what.p + 5, x->what.len - 5), &user_id))
        return;
    if (sanctions_set(w->sanctions, kick ? SANCTION_KICK : SANCTION_MUTE, room_id, user_id,
                      now_us + left_ms * 1000, now_us) != RR_OK)
        log_warn("sanctions_full", "a kick or mute of a loaded room does not hold");
}

void control_message(struct worker *w, struct rr_slice payload)
{
    char room_id[RR_ROOM_ID_MAX + 1];
    struct unpack_value map;
    struct rr_slice kind;
    struct rr_slice room;
    struct rr_slice user;
    struct rr_slice cursor = payload;
    int64_t user_id = 0;
    int64_t secs = 0;

    if (unpack_scan(payload, RR_DEPTH_MAX) || unpack_next(&cursor, &map) ||
        unpack_get_str(&map, "kind", &kind)) {
        log_warn("control_malformed", "ignored");
        return;
    }
    if (rr_slice_eq_str(kind, "ban")) {
        if (ban_watch_control(w->bans, &map) != RR_OK)
            log_warn("control_malformed", "a ban, ignored");
        return;
    }
    if (unpack_get_str(&map, "room", &room) || unpack_get_str(&map, "user", &user) ||
        unpack_user_id(user, &user_id) || !rr_slice_copy(room, room_id, sizeof(room_id))) {
        log_warn("control_malformed", "ignored");
        return;
    }
    if (unpack_get_int(&map, "secs", &secs) ||
        (!rr_slice_eq_str(kind, "kick") && !rr_slice_eq_str(kind, "mute")))
        return; /* of a newer version */
    control_user(w, room_id, rr_slice_eq_str(kind, "kick"), user_id, secs);
}
