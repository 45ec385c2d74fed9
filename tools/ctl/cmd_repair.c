/* redrainctl repair: what would mend the books, shown first; --apply does exactly what was shown. Reads MySQL and Redis directly. */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "ctl.h"
#include "ledger/repair.h"
#include "rain/rain.h"
#include "store/store_sync.h"

enum { LOG_MAX = 200 };

struct repair_options {
    bool apply;
    bool wallets;
    bool make_good;
    bool log;
    const char *accept;
    const char *reject;
    const char *plan;
    const char *by;
    const char *code;
};

/* ---- what is shown ---- */

static json_t *entry_json(const struct repair_entry *e)
{
    json_t *o = json_pack("{s:s, s:s, s:b, s:s, s:s, s:I, s:s, s:s, s:s}", "kind",
                          repair_kind_name(e->kind), "claim", e->claim, "undecided", e->undecided,
                          "from", e->from, "to", e->to, "amount", (json_int_t)e->amount_fen,
                          "biz_type", e->biz_type, "biz_id", e->biz_id, "finding", e->finding);
    if (e->before[0])
        json_object_set_new(o, "before", json_string(e->before));
    if (e->after[0])
        json_object_set_new(o, "after", json_string(e->after));
    return o;
}

static json_t *plan_json(const struct repair_plan *p, bool applied, uint32_t done)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < p->n; i++)
        json_array_append_new(list, entry_json(&p->entries[i]));
    return json_pack("{s:s, s:b, s:I, s:I, s:b, s:s, s:o}", "plan", p->hash, "applied", applied,
                     "done", (json_int_t)done, "undecided", (json_int_t)p->undecided, "truncated",
                     p->truncated, "notes", p->notes, "entries", list);
}

static void print_entries(const struct repair_plan *p)
{
    if (p->n)
        printf("%-14s %-8s %14s  %-34s %-24s %s\n", "repair", "claim", "fen", "from", "to",
               "finding");
    for (uint32_t i = 0; i < p->n; i++) {
        const struct repair_entry *e = &p->entries[i];

        printf("%-14s %-8s %+14" PRId64 "  %-34s %-24s %s%s\n", repair_kind_name(e->kind), e->claim,
               e->amount_fen, e->from[0] ? e->from : "-", e->to[0] ? e->to : "-", e->finding,
               e->undecided ? "  [undecided]" : "");
        if (e->before[0])
            printf("%23s before: %s\n%23s after:  %s\n", "", e->before, "", e->after);
    }
    if (p->notes[0])
        printf("%s", p->notes);
    if (p->truncated)
        printf("only the first %d are shown: apply them, then ask again\n", REPAIR_ENTRIES_MAX);
}

static void print_plan(const struct repair_plan *p)
{
    uint32_t ready = p->n - p->undecided;

    print_entries(p);
    if (p->undecided)
        printf("undecided      %u: a viewer may have been told these wins. Say --accept or "
               "--reject with the claims, or all\n",
               p->undecided);
    if (ready)
        printf("plan           %s\nnothing was changed; to do it: the same command with --apply "
               "--plan %s\n",
               p->hash, p->hash);
    else if (!p->undecided)
        printf("nothing to repair\n");
}

/* ---- plan and apply ---- */

static const char *operator_name(const char *by)
{
    const struct passwd *pw = NULL;

    if (by)
        return by;
    pw = getpwuid(getuid());
    return pw ? pw->pw_name : "unknown";
}

static int run(const struct ctl *ctl, struct ledger *ledger, const struct repair_ask *ask,
               const struct repair_options *o)
{
    struct repair_plan plan = {0};
    uint32_t done = 0;
    int rc = CTL_OK;
    enum rr_err err = o->apply
                          ? repair_apply(ledger, ask, o->plan, operator_name(o->by), &plan, &done)
                          : repair_plan(ledger, ask, &plan);

    if (plan.entries && ctl->json) {
        json_t *json = plan_json(&plan, o->apply && err == RR_OK, done);
        ctl_print_json(json);
        json_decref(json);
    } else if (plan.entries && o->apply) {
        print_entries(&plan);
        printf("applied        %u of %u\n", done, plan.n - plan.undecided);
    } else if (plan.entries) {
        print_plan(&plan);
    }
    if (err == RR_CONFLICT && done == 0 && plan.entries && strcmp(plan.hash, o->plan) != 0)
        rc = ctl_fail("CONFLICT: the books have changed since that plan; this is the new one: %s",
                      plan.hash);
    else if (err == RR_NOT_FOUND)
        rc = ctl_fail("NOT_FOUND: no rain has the code %s", ask->code ? ask->code : "");
    else if (err == RR_BAD_REQUEST)
        rc = ctl_fail("BAD_REQUEST: --accept or --reject names a claim that is not there");
    else if (err != RR_OK)
        rc = ctl_fail("%s: %s", rr_err_name(err), ledger_error(ledger));
    repair_plan_fini(&plan);
    return rc;
}

static int show_log(const struct ctl *ctl, struct ledger *ledger, const char *code)
{
    struct repair_row *rows = rr_xcalloc(LOG_MAX, sizeof(*rows));
    json_t *list = json_array();
    uint32_t n = 0;
    enum rr_err err = repair_log(ledger, code, rows, LOG_MAX, &n);

    for (uint32_t i = 0; i < n; i++) {
        const struct repair_row *r = &rows[i];
        time_t s = (time_t)(r->applied_at_ms / 1000);
        struct tm tm;
        char at[32];

        strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&s, &tm));
        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "id",
                      (json_int_t)r->id, "at", at, "who", r->who, "code", r->code, "kind", r->kind,
                      "biz_type", r->biz_type, "user", (json_int_t)r->user_id, "amount",
                      (json_int_t)r->amount_fen, "biz_id", r->biz_id, "finding", r->finding,
                      "before", r->before, "after", r->after, "plan", r->plan));
        if (!ctl->json)
            printf("%" PRId64 "  %s  %s  %s %s  %+" PRId64 " fen  %s\n    %s\n    before: %s\n"
                   "    after:  %s\n",
                   r->id, at, r->who, r->kind, r->code, r->amount_fen, r->biz_id, r->finding,
                   r->before, r->after[0] ? r->after : "(broke off: apply again)");
    }
    if (!err && ctl->json) {
        json_t *o = json_pack("{s:O}", "repairs", list);
        ctl_print_json(o);
        json_decref(o);
    }
    json_decref(list);
    free(rows);
    return err ? ctl_fail("%s: %s", rr_err_name(err), ledger_error(ledger)) : CTL_OK;
}

static int check_options(const struct repair_options *o, size_t words)
{
    if (o->log)
        return o->apply || o->wallets || o->accept || o->reject || o->plan
                   ? ctl_usage_error("repair --log [CODE] takes nothing else")
                   : CTL_OK;
    if (o->wallets == (words == 1))
        return ctl_usage_error("repair CODE, or repair --wallets, or repair --log [CODE]");
    if (o->wallets && (o->accept || o->reject))
        return ctl_usage_error("--accept and --reject are about the wins of a rain");
    if (o->make_good && !o->wallets)
        return ctl_usage_error("--make-good goes with --wallets");
    if (o->apply != (o->plan != NULL))
        return ctl_usage_error("--apply does a plan that was shown: --apply --plan HASH");
    return CTL_OK;
}

int cmd_repair(struct ctl *ctl)
{
    struct repair_options o = {.apply = false};
    const struct ctl_option options[] = {
        {"--apply", NULL, &o.apply},   {"--wallets", NULL, &o.wallets},
        {"--log", NULL, &o.log},       {"--make-good", NULL, &o.make_good},
        {"--accept", &o.accept, NULL}, {"--reject", &o.reject, NULL},
        {"--plan", &o.plan, NULL},     {"--by", &o.by, NULL}};
    struct ledger *ledger = NULL;
    struct store_sync *store = NULL;
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), &o.code, 1, &n);

    if (rc == CTL_OK)
        rc = check_options(&o, n);
    if (rc != CTL_OK)
        return rc;
    if (o.code && !rain_code_valid(rr_slice_str(o.code)))
        return ctl_usage_error("\"%s\" is not the code of a rain", o.code);
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    struct store_opts sopts = {.url = ctl->conf.redis_url,
                               .topology = store_topology_of(ctl->conf.redis_topology),
                               .sentinel_master = ctl->conf.redis_sentinel_master,
                               .namespace_ = ctl->conf.server_namespace,
                               .worker_name = "redrainctl",
                               .timeout_ms = ctl->conf.redis_timeout_ms};
    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed");
    if (store_sync_create(&store, &sopts) != RR_OK) {
        ledger_destroy(ledger);
        return ctl_fail("redis.url is malformed");
    }
    struct repair_ask ask = {.code = o.code,
                             .accept = o.accept,
                             .reject = o.reject,
                             .make_good = o.make_good,
                             .pool = store_sync_pool(store)};
    rc = o.log ? show_log(ctl, ledger, o.code) : run(ctl, ledger, &ask, &o);
    store_sync_destroy(store);
    ledger_destroy(ledger);
    return rc;
}
