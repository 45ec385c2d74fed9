/* redrainctl token: a viewer's JWT, signed with the first HS256 key of token.keys_file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "ctl.h"
#include "token/token.h"

enum { TTL_DEFAULT_S = 3600, TTL_MAX_S = 366 * 86400 };

struct wanted {
    const char *user;
    const char *role;
    const char *rooms;
    const char *name;
    const char *ttl;
    const char *level;
    const char *since;
    bool may_send;
};

static int fill_rooms(const char *rooms, struct token_claims *out)
{
    struct rr_buf list = {0};

    if (!strcmp(rooms, "*")) {
        out->all_rooms = true;
        return CTL_OK;
    }
    rr_buf_printf(&list, ",%s,", rooms);
    out->rooms = list.p; /* freed by token_claims_fini */
    return CTL_OK;
}

static int fill_claims(const struct wanted *w, struct token_claims *out)
{
    int64_t ttl_s = TTL_DEFAULT_S;
    int rc = ctl_number("--user", w->user, 1, INT64_MAX, &out->user_id);

    if (rc == CTL_OK && w->ttl)
        rc = ctl_number("--ttl", w->ttl, 1, TTL_MAX_S, &ttl_s);
    if (rc == CTL_OK && w->level)
        rc = ctl_number("--level", w->level, 0, INT32_MAX, &out->level);
    if (rc == CTL_OK && w->since)
        rc = ctl_number("--since", w->since, 0, (int64_t)time(NULL), &out->since_s);
    if (rc != CTL_OK)
        return rc;
    if (!w->role || !token_role_parse(w->role, &out->role))
        return ctl_usage_error("--role must be viewer, anchor or guest");
    if (!w->rooms || !w->rooms[0])
        return ctl_usage_error("--rooms is missing: a,b or '*'");
    if (w->name && strlen(w->name) > RR_NAME_MAX_BYTES)
        return ctl_usage_error("--name: at most %d bytes", RR_NAME_MAX_BYTES);
    if (w->name)
        strcpy(out->name, w->name); /* length checked above */
    out->may_send = w->may_send;
    out->exp_s = (int64_t)time(NULL) + ttl_s;
    return fill_rooms(w->rooms, out);
}

static int print_token(const struct ctl *ctl, const struct token_claims *claims)
{
    struct token_keys *keys = NULL;
    struct rr_buf jwt = {0};
    char message[512];
    int rc = CTL_OK;

    if (token_keys_load(ctl->conf.token_keys_file, &keys, message, sizeof(message)) != RR_OK)
        return ctl_fail("%s", message);
    enum rr_err err =
        token_sign_hs256(keys, claims, ctl->conf.token_audience, (int64_t)time(NULL), &jwt);
    if (err == RR_OK && ctl->json) {
        json_t *o = json_pack("{s:s, s:I}", "token", jwt.p, "exp", (json_int_t)claims->exp_s);
        ctl_print_json(o);
        json_decref(o);
    } else if (err == RR_OK) {
        puts(jwt.p);
    } else if (err == RR_NOT_FOUND) {
        rc = ctl_fail("%s holds no HS256 key to sign with", ctl->conf.token_keys_file);
    } else {
        rc = ctl_usage_error("--rooms are 1 to %d of A-Z a-z 0-9 _ - each, --name is text without "
                             "control characters",
                             RR_ROOM_ID_MAX);
    }
    rr_buf_fini(&jwt);
    token_keys_free(keys);
    return rc;
}

int cmd_token(struct ctl *ctl)
{
    struct wanted w = {0};
    struct token_claims claims = {0};
    const struct ctl_option options[] = {
        {"--user", &w.user, NULL},   {"--role", &w.role, NULL},   {"--rooms", &w.rooms, NULL},
        {"--name", &w.name, NULL},   {"--ttl", &w.ttl, NULL},     {"--may-send", NULL, &w.may_send},
        {"--level", &w.level, NULL}, {"--since", &w.since, NULL},
    };
    size_t n;

    int rc = ctl_options(ctl, options, RR_COUNTOF(options), NULL, 0, &n);
    if (rc == CTL_OK)
        rc = fill_claims(&w, &claims);
    if (rc == CTL_OK)
        rc = print_token(ctl, &claims);
    token_claims_fini(&claims);
    return rc;
}
