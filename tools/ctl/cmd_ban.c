/* redrainctl ban: who may not come in. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

struct ban_args {
    const char *user;
    const char *address;
    const char *hash;
    const char *reason;
    const char *secs;
    const char *by;
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "-";
}

static void time_of(const json_t *o, const char *key, char out[32])
{
    const json_t *v = json_object_get(o, key);
    time_t seconds = (time_t)(json_integer_value(v) / 1000);
    struct tm tm;

    snprintf(out, 32, "for good");
    if (json_is_integer(v) && gmtime_r(&seconds, &tm))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int list(const struct ctl *ctl)
{
    json_t *answer = NULL;
    const json_t *b;
    size_t i;
    int rc = ctl_api(ctl, "GET", "/api/v1/bans", NULL, &answer);

    if (rc != CTL_OK)
        return rc;
    if (ctl->json) {
        ctl_print_json(answer);
    } else {
        printf("%-20s  %-20s  %-8s %-20s %-12s %s\n", "at", "until", "what", "who", "by", "reason");
        json_array_foreach(json_object_get(answer, "bans"), i, b)
        {
            char at[32];
            char until[32];

            time_of(b, "at", at);
            time_of(b, "until", until);
            printf("%-20s  %-20s  %-8s %-20s %-12s %s\n", at, until, text_of(b, "scope"),
                   text_of(b, json_object_get(b, "user") ? "user" : "hash"), text_of(b, "by"),
                   text_of(b, "reason"));
        }
    }
    json_decref(answer);
    return CTL_OK;
}

static const char *operator_name(const char *by)
{
    const struct passwd *pw = by ? NULL : getpwuid(getuid());

    return by ? by : pw ? pw->pw_name : "unknown";
}

static int change(const struct ctl *ctl, const struct ban_args *a, bool add)
{
    json_t *answer = NULL;
    json_t *body = NULL;
    int64_t secs = 0;
    int rc = CTL_OK;

    if ((a->user != NULL) + (a->address != NULL) + (a->hash != NULL) != 1)
        return ctl_usage_error("one of --user, --address, --hash");
    if (a->user)
        rc = ctl_user(a->user);
    if (rc == CTL_OK && a->secs)
        rc = ctl_number("--secs", a->secs, 1, INT64_C(3155760000), &secs);
    if (rc != CTL_OK)
        return rc;
    body = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s}", "user", a->user, "address", a->address,
                     "hash", a->hash, "reason", a->reason, "by", operator_name(a->by));
    if (secs)
        json_object_set_new(body, "secs", json_integer(secs));
    rc = ctl_api(ctl, "POST", add ? "/api/v1/bans/add" : "/api/v1/bans/remove", body, &answer);
    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(body);
    json_decref(answer);
    return rc;
}

int cmd_ban(struct ctl *ctl)
{
    struct ban_args a = {0};
    const char *words[1] = {NULL};
    const struct ctl_option options[] = {{"--user", &a.user, NULL}, {"--address", &a.address, NULL},
                                         {"--hash", &a.hash, NULL}, {"--reason", &a.reason, NULL},
                                         {"--secs", &a.secs, NULL}, {"--by", &a.by, NULL}};
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    if (rc != CTL_OK)
        return rc;
    if (n == 1 && !strcmp(words[0], "list"))
        return list(ctl);
    if (n == 1 && !strcmp(words[0], "add") && a.reason)
        return change(ctl, &a, true);
    if (n == 1 && !strcmp(words[0], "remove") && !a.reason && !a.secs)
        return change(ctl, &a, false);
    return ctl_usage_error(
        "ban list, ban add --user U|--address IP --reason TEXT [--secs S], or ban "
        "remove --user U|--address IP|--hash H");
}
