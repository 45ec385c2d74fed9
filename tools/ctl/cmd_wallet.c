/* redrainctl wallet: what a platform can do to wallets, and their log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "ledger/wallet_op.h"
#include "protocol/limits.h"

struct wallet_options {
    const char *biz_id;
    const char *of;
    const char *limit;
    const char *before;
};

static int call_and_print(const struct ctl *ctl, const char *method, const char *path,
                          const json_t *body)
{
    json_t *answer = NULL;
    int rc = ctl_api(ctl, method, path, body, &answer);

    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(answer);
    return rc;
}

/* Deposits have a route of their own, which takes any printable biz id. */
static int deposit(const struct ctl *ctl, const char *user, const char *amount, const char *biz_id)
{
    char path[80];
    int64_t fen;
    int rc = ctl_user(user);

    if (rc == CTL_OK)
        rc = ctl_number("FEN", amount, 1, RR_FEN_MAX, &fen);
    if (rc == CTL_OK && !biz_id)
        rc = ctl_usage_error("--biz-id is missing: a name of this deposit, so that a repeat of the "
                             "command pays once");
    if (rc != CTL_OK)
        return rc;
    json_t *body = json_pack("{s:I, s:s}", "amount", (json_int_t)fen, "biz_id", biz_id);
    snprintf(path, sizeof(path), "/api/v1/wallets/%s/deposit", user);
    rc = body ? call_and_print(ctl, "POST", path, body)
              : ctl_usage_error("--biz-id must be text in UTF-8");
    json_decref(body);
    return rc;
}

/* words: USER [TO] FEN. */
static int operate(const struct ctl *ctl, enum wallet_op op, const char *const *words,
                   const struct wallet_options *o)
{
    bool has_to = wallet_op_has_to(op);
    json_t *answer = NULL;
    char path[80];
    int64_t fen;
    int rc = ctl_user(words[0]);

    if (rc == CTL_OK && has_to)
        rc = ctl_user(words[1]);
    if (rc == CTL_OK)
        rc = ctl_number("FEN", words[has_to ? 2 : 1], 1, RR_FEN_MAX, &fen);
    if (rc == CTL_OK && !(o->biz_id && wallet_key_valid(rr_slice_str(o->biz_id))))
        rc = ctl_usage_error("--biz-id: a name of this operation, 1 to %d printable characters, so "
                             "that a repeat of the command does it once",
                             RR_BIZ_ID_MAX);
    if (rc == CTL_OK && wallet_op_has_of(op) && !o->of)
        rc = ctl_usage_error("--of is missing: the biz id of what is given back");
    if (rc != CTL_OK)
        return rc;
    json_t *body = json_pack("{s:s, s:I}", "user", words[0], "amount", (json_int_t)fen);
    if (has_to)
        json_object_set_new(body, "to", json_string(words[1]));
    if (wallet_op_has_of(op))
        json_object_set_new(body, "of", json_string(o->of));
    snprintf(path, sizeof(path), "/api/v1/wallet/%s", wallet_op_name(op));
    rc = ctl_api_key(ctl, path, o->biz_id, body, &answer);
    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(answer);
    json_decref(body);
    return rc;
}

static int show(const struct ctl *ctl, const char *user)
{
    char path[80];
    int rc = ctl_user(user);

    if (rc != CTL_OK)
        return rc;
    snprintf(path, sizeof(path), "/api/v1/wallets/%s", user);
    return call_and_print(ctl, "GET", path, NULL);
}

/* ---- the log ---- */

static const char *number_or_dash(const json_t *row, const char *key, char *buf, size_t cap)
{
    const json_t *v = json_object_get(row, key);

    if (!json_is_integer(v))
        return "-";
    snprintf(buf, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return buf;
}

static void print_log(const json_t *answer)
{
    const json_t *row;
    size_t i;

    printf("%-10s  %-20s %-8s %14s %14s %14s  %-12s %s\n", "id", "time (UTC)", "account", "before",
           "delta", "after", "type", "biz id");
    json_array_foreach(json_object_get(answer, "log"), i, row)
    {
        time_t s = (time_t)(json_integer_value(json_object_get(row, "at")) / 1000);
        struct tm tm;
        char at[32];
        char before[24];
        char after[24];

        strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&s, &tm));
        printf("%-10" JSON_INTEGER_FORMAT "  %-20s %-8s %14s %+14" JSON_INTEGER_FORMAT
               " %14s  %-12s %s\n",
               json_integer_value(json_object_get(row, "id")), at,
               json_string_value(json_object_get(row, "account")),
               number_or_dash(row, "before", before, sizeof(before)),
               json_integer_value(json_object_get(row, "delta")),
               number_or_dash(row, "after", after, sizeof(after)),
               json_string_value(json_object_get(row, "type")),
               json_string_value(json_object_get(row, "biz_id")));
    }
}

static int show_log(const struct ctl *ctl, const char *user, const struct wallet_options *o)
{
    json_t *answer = NULL;
    char path[160];
    int64_t limit = 50;
    int64_t before = INT64_MAX;
    int rc = ctl_user(user);

    if (rc == CTL_OK && o->limit)
        rc = ctl_number("--limit", o->limit, 1, 500, &limit);
    if (rc == CTL_OK && o->before)
        rc = ctl_number("--before", o->before, 1, INT64_MAX, &before);
    if (rc != CTL_OK)
        return rc;
    snprintf(path, sizeof(path), "/api/v1/wallets/%s/log?limit=%" PRId64 "&before=%" PRId64, user,
             limit, before);
    rc = ctl_api(ctl, "GET", path, NULL, &answer);
    if (rc == CTL_OK && ctl->json)
        ctl_print_json(answer);
    else if (rc == CTL_OK)
        print_log(answer);
    json_decref(answer);
    return rc;
}

int cmd_wallet(struct ctl *ctl)
{
    struct wallet_options o = {0};
    const char *words[4] = {NULL, NULL, NULL, NULL};
    const struct ctl_option options[] = {{"--biz-id", &o.biz_id, NULL},
                                         {"--of", &o.of, NULL},
                                         {"--limit", &o.limit, NULL},
                                         {"--before", &o.before, NULL}};
    enum wallet_op op = WALLET_NONE;
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    if (rc != CTL_OK)
        return rc;
    if (n == 2 && !strcmp(words[0], "log") && !o.biz_id && !o.of)
        return show_log(ctl, words[1], &o);
    if (o.limit || o.before)
        return ctl_usage_error("--limit and --before belong to wallet log USER");
    if (n == 2 && !strcmp(words[0], "show") && !o.biz_id && !o.of)
        return show(ctl, words[1]);
    if (n > 0)
        op = wallet_op_parse(rr_slice_str(words[0]));
    if (op == WALLET_NONE || n != (wallet_op_has_to(op) ? 4u : 3u) ||
        (o.of && !wallet_op_has_of(op)))
        return ctl_usage_error("wallet deposit|withdraw|debit|freeze USER FEN --biz-id ID, wallet "
                               "unfreeze|refund USER FEN --of ID --biz-id ID, wallet transfer FROM "
                               "TO FEN --biz-id ID, wallet show USER, wallet log USER");
    if (op == WALLET_DEPOSIT)
        return deposit(ctl, words[1], words[2], o.biz_id);
    return operate(ctl, op, words + 1, &o);
}
