/* redrainctl fu: campaigns of five cards, as the books have them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "ctl.h"
#include "ledger/fu_book.h"

enum { LIST_MAX = 100 };

static json_t *five(const uint32_t v[FU_CARDS])
{
    json_t *list = json_array();

    for (unsigned i = 0; i < FU_CARDS; i++)
        json_array_append_new(list, json_integer(v[i]));
    return list;
}

/* Without the seed and the packet's biz id: who knows them draws what he likes, or stands in the packet's way. */
static json_t *campaign_json(const struct fu_campaign *c)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "code", c->code, "room",
        c->spec.room_id, "state", fu_state_name(c->state), "sender", (json_int_t)c->spec.sender_id,
        "pool", (json_int_t)c->spec.pool_fen, "split", rain_split_name(c->spec.split), "winners",
        (json_int_t)c->winners, "winners_max", (json_int_t)c->spec.winners_max, "created_at",
        (json_int_t)c->created_at_ms, "share_at", (json_int_t)c->spec.share_at_ms, "ended_at",
        (json_int_t)c->ended_at_ms);

    json_object_set_new(o, "rain", c->rain_code[0] ? json_string(c->rain_code) : json_null());
    json_object_set_new(o, "reason", c->reason[0] ? json_string(c->reason) : json_null());
    return o;
}

static void print_row(const struct fu_campaign *c)
{
    time_t seconds = (time_t)(c->spec.share_at_ms / 1000);
    char at[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%s  %-10s %s  %12" PRId64 " fen %7" PRIu32 " in  %-22s %s%s%s\n", c->code,
           fu_state_name(c->state), at, c->spec.pool_fen, c->winners,
           c->rain_code[0] ? c->rain_code : "-", c->spec.room_id, c->reason[0] ? "  " : "",
           c->reason);
}

static int failed(struct ledger *l, enum rr_err err)
{
    if (err == RR_NOT_FOUND)
        return ctl_fail("there is no such campaign");
    return ctl_fail("%s: %s", rr_err_name(err), ledger_error(l));
}

static int list(const struct ctl *ctl, struct ledger *l, const char *room)
{
    struct fu_campaign *all = rr_xcalloc(LIST_MAX, sizeof(*all));
    uint32_t n = 0;
    enum rr_err err = ledger_fu_list(l, room, all, LIST_MAX, &n);

    for (uint32_t i = 0; !err && i < n; i++) {
        json_t *o = NULL;

        if (!ctl->json) {
            print_row(&all[i]);
            continue;
        }
        o = campaign_json(&all[i]);
        ctl_print_json(o);
        json_decref(o);
    }
    free(all);
    return err ? failed(l, err) : CTL_OK;
}

static int show(const struct ctl *ctl, struct ledger *l, const char *code)
{
    struct fu_campaign c;
    json_t *o = NULL;
    enum rr_err err = ledger_fu_get(l, code, &c);

    if (err)
        return failed(l, err);
    o = campaign_json(&c);
    json_object_set_new(o, "text", json_string(c.spec.text));
    if (ctl->json) {
        json_object_set_new(o, "weights", five(c.spec.weight));
        json_object_set_new(o, "stock", five(c.spec.stock));
        json_object_set_new(o, "left", five(c.left));
    }
    ctl_print(ctl, o);
    for (unsigned i = 0; i < FU_CARDS && !ctl->json; i++)
        printf("card %u         weight %" PRIu32 ", stock %" PRIu32 ", left %" PRIu32 "\n", i + 1,
               c.spec.weight[i], c.spec.stock[i], c.left[i]);
    json_decref(o);
    return CTL_OK;
}

int cmd_fu(struct ctl *ctl)
{
    const char *room = NULL;
    const char *words[2] = {NULL, NULL};
    const struct ctl_option options[] = {{"--room", &room, NULL}};
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    struct ledger *l = NULL;
    size_t n = 0;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);
    bool lists = rc == CTL_OK && n == 1 && strcmp(words[0], "list") == 0;

    if (rc != CTL_OK)
        return rc;
    if (!lists && !(n == 2 && strcmp(words[0], "show") == 0 && !room))
        return ctl_usage_error("fu list [--room R], or fu show CODE");
    ledger_global_init();
    if (ledger_create(&l, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed");
    rc = lists ? list(ctl, l, room) : show(ctl, l, words[1]);
    ledger_destroy(l);
    return rc;
}
