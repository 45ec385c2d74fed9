/* handlers_token.c - who a connection is: HELLO and REFRESH. Everything about a user comes from his
 * token, and from nowhere else. */
#include "handlers.h"

#include "base/alloc.h"
#include "protocol/pack.h"
#include "rain_job.h"

#include <stdlib.h>
#include <string.h>

/* A guest without a token has nothing that expires; far enough, and adding to it does not overflow. */
#define NEVER_S (INT64_MAX / 2)

static void take_claims(struct session *s, const struct token_claims *c)
{
    s->user_id = c->user_id;
    s->token_exp_s = c->exp_s;
    s->may_send = c->may_send;
    s->level = c->level;
    s->since_s = c->since_s;
    s->role = c->role == TOKEN_ROLE_ANCHOR  ? ROLE_ANCHOR
              : c->role == TOKEN_ROLE_GUEST ? ROLE_GUEST
                                            : ROLE_VIEWER;
    s->all_rooms = c->all_rooms;
    free(s->rooms);
    s->rooms = c->rooms ? rr_xstrdup(c->rooms) : NULL;
    free(s->name);
    s->name = c->name[0] ? rr_xstrdup(c->name) : NULL;
}

static void take_guest(struct session *s)
{
    s->token_exp_s = NEVER_S;
    s->role = ROLE_GUEST;
    s->all_rooms = true;
}

static enum rr_err verify(struct worker *w, struct rr_slice token, struct token_claims *out)
{
    struct token_rules rules = {.audience = w->conf->token_audience,
                                .leeway_s = w->conf->token_leeway_s,
                                .now_s = rr_wall_ms(w->clock) / 1000};
    enum rr_err err = token_verify(w->keys, token, &rules, out);

    if (err)
        rr_metric_add(&w->metrics->auth_failures_total, 1);
    return err;
}

static void pack_who(struct rr_buf *b, const struct session *s)
{
    pack_kv_str(b, "role",
                s->role == ROLE_ANCHOR  ? "anchor"
                : s->role == ROLE_GUEST ? "guest"
                                        : "viewer");
    pack_kv_bool(b, "may_send", s->may_send);
    if (s->token_exp_s != NEVER_S)
        pack_kv_int(b, "expires", s->token_exp_s * 1000);
}

/* What waited for the user while no socket of his was here. */
static void user_log_arrived(void *arg, enum rr_err err, const struct room_kept *items, uint32_t n)
{
    struct session_ref *ref = arg;
    struct session *s = session_by_id(ref->worker->sessions, ref->session_id);

    for (uint32_t i = 0; !err && s && i < n; i++) {
        struct rr_buf b = {0};

        msg_push(&b, NULL, 0, 0, items[i].biz_code, items[i].payload);
        reply_send(ref->worker, s, &b);
        rr_buf_fini(&b);
    }
    free(ref);
}

/* True when s knows now who he is; else it is closed. */
static bool identify(struct worker *w, struct session *s, const struct msg *m)
{
    struct token_claims claims;
    enum rr_err err = RR_OK;

    if (!m->u.hello.has_token) {
        take_guest(s);
        return true;
    }
    err = verify(w, m->u.hello.token, &claims);
    if (err) {
        session_close(s, err == RR_ENDED ? CLOSE_EXPIRED : CLOSE_BAD_TOKEN);
        return false;
    }
    take_claims(s, &claims);
    token_claims_fini(&claims);
    return true;
}

enum rr_err on_hello(struct worker *w, struct session *s, const struct msg *m, struct refusal *why)
{
    struct rr_buf b = {0};

    if (s->state != SESSION_NEW) {
        why->reason = "HELLO was sent before";
        return RR_CONFLICT;
    }
    if (m->u.hello.has_ver && m->u.hello.ver != RR_PROTOCOL_VERSION) {
        session_close(s, CLOSE_VERSION);
        return RR_OK;
    }
    if (!m->u.hello.has_token && !w->conf->server_guests) {
        why->field = "token";
        return RR_BAD_REQUEST;
    }
    if (!identify(w, s, m))
        return RR_OK;
    if (ban_watch_has(w->bans, s)) {
        ban_watch_close(w->bans, s);
        return RR_OK;
    }
    /* Guests are nobody: the limits of their address hold for them. */
    if (s->user_id && limiter_user_enter(w->limiter, s) != RR_OK) {
        rr_metric_add(&w->metrics->connections_refused_user_total, 1);
        session_close(s, CLOSE_CONN_LIMIT);
        return RR_OK;
    }
    session_set_state(s, SESSION_AUTHED, NULL);
    msg_reply_begin(&b, m->id, RESULT_OK, 5 + (uint32_t)(s->token_exp_s != NEVER_S));
    pack_kv_user(&b, "user", s->user_id);
    pack_kv_str(&b, "name", session_name(s));
    pack_who(&b, s);
    pack_kv_int(&b, "now", worker_rain_now_ms(w));
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    if (w->bus_up && s->user_id)
        w->bus->user_log(w->bus->impl, s->user_id, user_log_arrived, session_ref_new(w, s, m->id));
    return RR_OK;
}

/* The new token counts at once, also where it allows less. True: s had to leave its room. */
static bool replace_claims(struct session *s, const struct token_claims *c)
{
    bool other = !c->all_rooms && (s->all_rooms || strcmp(s->rooms, c->rooms) != 0);
    bool leaves = false;

    take_claims(s, c);
    if (!other)
        return false;
    leaves = s->state == SESSION_JOINED && !session_may_enter(s, room_id_of(s->room));
    /* A JOIN on its way was judged by the old token. */
    if (leaves || s->state != SESSION_JOINED)
        hub_leave(s);
    return leaves;
}

/* What is wrong with a token is answered and changes nothing: the connection lives as long as the
 * token it has. */
enum rr_err on_refresh(struct worker *w, struct session *s, const struct msg *m,
                       struct refusal *why)
{
    struct token_claims claims;
    struct rr_buf b = {0};
    bool leaves = false;

    if (verify(w, m->u.refresh.token, &claims) != RR_OK)
        return RR_UNAUTHORIZED;
    if (claims.user_id != s->user_id) {
        token_claims_fini(&claims);
        why->reason = "another user's token";
        return RR_NOT_ELIGIBLE;
    }
    leaves = replace_claims(s, &claims);
    token_claims_fini(&claims);
    rr_metric_add(&w->metrics->tokens_refreshed_total, 1);
    msg_reply_begin(&b, m->id, RESULT_OK, 3 + (uint32_t)leaves);
    pack_who(&b, s);
    if (leaves)
        pack_kv_bool(&b, "left", true);
    reply_send(w, s, &b);
    rr_buf_fini(&b);
    return RR_OK;
}
