/* redrainctl risk: what risk control decided, and what becomes of held packets. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "ledger/risk_book.h"
#include "rain/rain.h"

struct risk_args {
    const char *user;
    const char *rain;
    const char *state;
    const char *before;
    const char *to;
};

static int add_filter(char *path, size_t cap, const char *key, const char *value)
{
    size_t len = strlen(path);
    int n = snprintf(path + len, cap - len, "%c%s=%s", strchr(path, '?') ? '&' : '?', key, value);

    return n > 0 && (size_t)n < cap - len ? CTL_OK : ctl_usage_error("--%s is too long", key);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "-";
}

static void number_of(const json_t *o, const char *key, char out[24])
{
    const json_t *v = json_object_get(o, key);

    if (json_is_integer(v))
        snprintf(out, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else
        snprintf(out, 24, "-");
}

static void print_row(const json_t *r)
{
    char shard[24];
    char no[24];
    char amount[24];
    char at[32] = "";
    time_t seconds = (time_t)(json_integer_value(json_object_get(r, "at")) / 1000);
    struct tm tm;

    number_of(r, "shard", shard);
    number_of(r, "no", no);
    number_of(r, "amount", amount);
    if (gmtime_r(&seconds, &tm))
        strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%-20s  %-4s %-8s %-14s %-12s %-22s %5s %7s %12s  %" JSON_INTEGER_FORMAT
           " of %" JSON_INTEGER_FORMAT "%s%s\n",
           at, text_of(r, "decision"), text_of(r, "state"), text_of(r, "rule"), text_of(r, "user"),
           text_of(r, "code"), shard, no, amount, json_integer_value(json_object_get(r, "seen")),
           json_integer_value(json_object_get(r, "bound")),
           json_object_get(r, "account") ? ", to " : "",
           json_object_get(r, "account") ? text_of(r, "account") : "");
}

static int list(const struct ctl *ctl, const struct risk_args *a)
{
    char path[240] = "/api/v1/risk";
    json_t *answer = NULL;
    const json_t *item;
    size_t i;
    int64_t before;
    int rc = CTL_OK;

    if (a->user)
        rc = ctl_user(a->user);
    if (rc == CTL_OK && a->user)
        rc = add_filter(path, sizeof(path), "user", a->user);
    if (rc == CTL_OK && a->rain && !rain_code_valid(rr_slice_str(a->rain)))
        rc = ctl_usage_error("\"%s\" is not the code of a rain", a->rain);
    if (rc == CTL_OK && a->rain)
        rc = add_filter(path, sizeof(path), "rain", a->rain);
    if (rc == CTL_OK && a->state &&
        strspn(a->state, "abcdefghijklmnopqrstuvwxyz") < strlen(a->state))
        rc = ctl_usage_error("--state: held, released, taken or done");
    if (rc == CTL_OK && a->state)
        rc = add_filter(path, sizeof(path), "state", a->state);
    if (rc == CTL_OK && a->before)
        rc = ctl_number("--before", a->before, 1, INT64_MAX, &before);
    if (rc == CTL_OK && a->before)
        rc = add_filter(path, sizeof(path), "before", a->before);
    if (rc == CTL_OK)
        rc = ctl_api(ctl, "GET", path, NULL, &answer);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json) {
        ctl_print_json(answer);
    } else {
        printf("%-20s  %-4s %-8s %-14s %-12s %-22s %5s %7s %12s  %s\n", "at", "what", "state",
               "rule", "user", "rain", "shard", "no", "amount", "seen");
        json_array_foreach(json_object_get(answer, "items"), i, item) print_row(item);
    }
    json_decref(answer);
    return CTL_OK;
}

static int close_held(const struct ctl *ctl, const char *const *words, const char *to)
{
    json_t *answer = NULL;
    json_t *body = NULL;
    int64_t shard;
    int64_t no;
    int rc = CTL_OK;

    if (!rain_code_valid(rr_slice_str(words[1])))
        return ctl_usage_error("\"%s\" is not the code of a rain", words[1]);
    rc = ctl_number("SHARD", words[2], 0, RR_SHARDS_MAX - 1, &shard);
    if (rc == CTL_OK)
        rc = ctl_number("NO", words[3], 0, RR_PACKETS_MAX, &no);
    if (rc == CTL_OK && to && !risk_account_valid(to))
        rc = ctl_usage_error("--to: 1 to %d of A-Z a-z 0-9 _ . -", RISK_ACCOUNT_MAX);
    if (rc != CTL_OK)
        return rc;
    body = json_pack("{s:s, s:I, s:I, s:s*}", "code", words[1], "shard", (json_int_t)shard, "no",
                     (json_int_t)no, "to", to);
    rc =
        ctl_api(ctl, "POST", to ? "/api/v1/risk/take-back" : "/api/v1/risk/release", body, &answer);
    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(body);
    json_decref(answer);
    return rc;
}

int cmd_risk(struct ctl *ctl)
{
    struct risk_args a = {0};
    const char *words[4] = {NULL, NULL, NULL, NULL};
    const struct ctl_option options[] = {{"--user", &a.user, NULL},
                                         {"--rain", &a.rain, NULL},
                                         {"--state", &a.state, NULL},
                                         {"--before", &a.before, NULL},
                                         {"--to", &a.to, NULL}};
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    if (rc != CTL_OK)
        return rc;
    if (n == 1 && !strcmp(words[0], "list") && !a.to)
        return list(ctl, &a);
    if (n == 4 && !strcmp(words[0], "release") && !a.to)
        return close_held(ctl, words, NULL);
    if (n == 4 && !strcmp(words[0], "take-back") && a.to)
        return close_held(ctl, words, a.to);
    return ctl_usage_error("risk list [--user U] [--rain CODE] [--state held], risk release CODE "
                           "SHARD NO, or risk take-back CODE SHARD NO --to ACCOUNT");
}
