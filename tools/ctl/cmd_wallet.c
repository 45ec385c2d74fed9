/* redrainctl wallet deposit|show. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "protocol/limits.h"

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

static int show(const struct ctl *ctl, const char *user)
{
    char path[80];
    int rc = ctl_user(user);

    if (rc != CTL_OK)
        return rc;
    snprintf(path, sizeof(path), "/api/v1/wallets/%s", user);
    return call_and_print(ctl, "GET", path, NULL);
}

int cmd_wallet(struct ctl *ctl)
{
    const char *biz_id = NULL;
    const char *words[3] = {NULL, NULL, NULL};
    const struct ctl_option options[] = {{"--biz-id", &biz_id, NULL}};
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    if (rc != CTL_OK)
        return rc;
    if (n == 3 && !strcmp(words[0], "deposit"))
        return deposit(ctl, words[1], words[2], biz_id);
    if (n == 2 && !strcmp(words[0], "show") && !biz_id)
        return show(ctl, words[1]);
    return ctl_usage_error("wallet deposit USER FEN --biz-id ID, or wallet show USER");
}
