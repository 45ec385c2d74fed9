#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "repair_impl.h"

static const struct {
    const char *name;
    const char *text;
} kinds[] = {
#define X(id, name, text) [REPAIR_##id] = {name, text},
    REPAIR_MAP(X)
#undef X
};

const char *repair_kind_name(enum repair_kind k)
{
    return kinds[k].name;
}

const char *repair_kind_text(enum repair_kind k)
{
    return kinds[k].text;
}

struct repair_entry *repair__add(struct planning *p, enum repair_kind kind)
{
    struct repair_entry *e = NULL;

    if (p->plan->n == REPAIR_ENTRIES_MAX) {
        p->plan->truncated = true;
        return NULL;
    }
    e = &p->plan->entries[p->plan->n++];
    *e = (struct repair_entry){.kind = kind};
    if (p->ask->code)
        memcpy(e->code, p->rain.code, sizeof(e->code));
    return e;
}

void repair__note(struct planning *p, const char *fmt, ...)
{
    size_t len = strlen(p->plan->notes);
    va_list args;

    va_start(args, fmt);
    vsnprintf(p->plan->notes + len, sizeof(p->plan->notes) - len, fmt, args);
    va_end(args);
    len = strlen(p->plan->notes);
    if (len + 1 < sizeof(p->plan->notes))
        memcpy(p->plan->notes + len, "\n", 2);
}

/* ---- choices: "all" or claims with commas ---- */

static bool listed(const char *list, const char *claim)
{
    size_t len = strlen(claim);

    if (!list || len == 0)
        return false;
    if (strcmp(list, "all") == 0)
        return true;
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, claim, len) == 0 && (at[len] == ',' || at[len] == 0))
            return true;
    }
    return false;
}

enum repair_choice repair__choice(const struct repair_ask *ask, const char *claim)
{
    /* Named beats "all". */
    bool all_rejected = ask->reject && strcmp(ask->reject, "all") == 0;

    if (listed(ask->reject, claim) && !(all_rejected && listed(ask->accept, claim)))
        return CHOICE_REJECT;
    return listed(ask->accept, claim) ? CHOICE_ACCEPT : CHOICE_NONE;
}

/* Every claim that was named must be one. */
static bool all_known(const struct repair_plan *plan, const char *list)
{
    const char *at = list;

    while (at && *at && strcmp(list, "all") != 0) {
        size_t len = strcspn(at, ",");
        bool found = *at == 'h'; /* one that is rejected leaves no entry: it is only in Redis */

        for (uint32_t i = 0; i < plan->n && !found; i++)
            found = strlen(plan->entries[i].claim) == len &&
                    strncmp(plan->entries[i].claim, at, len) == 0;
        if (!found)
            return false;
        at += len + (at[len] == ',');
    }
    return true;
}

/* ---- the plan ---- */

static void hash_plan(struct repair_plan *plan)
{
    crypto_hash_sha256_state st;
    unsigned char out[32];

    crypto_hash_sha256_init(&st);
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct repair_entry *e = &plan->entries[i];
        char line[500];
        int n = 0;

        if (e->undecided)
            continue;
        n = snprintf(line, sizeof(line),
                     "%s|%s|%u|%u|%u|%" PRId64 "|%" PRId64 "|%s|%s|%s|%s|%" PRId64 "|%" PRId64 "\n",
                     repair_kind_name(e->kind), e->code, e->shard, e->packet_no, e->seq, e->user_id,
                     e->amount_fen, e->from, e->to, e->biz_type, e->biz_id, e->dead_id,
                     e->conflict_id);
        RR_ASSERT(n > 0 && (size_t)n < sizeof(line));
        crypto_hash_sha256_update(&st, (const unsigned char *)line, (unsigned long long)n);
    }
    crypto_hash_sha256_final(&st, out);
    sodium_bin2hex(plan->hash, sizeof(plan->hash), out, sizeof(out));
}

static enum rr_err plan_rain(struct planning *p)
{
    enum rr_err err = ledger_rain_get(p->l, p->ask->code, &p->rain);

    if (!err)
        err = escrow_read(p->l, &p->rain, p->shards);
    if (!err)
        err = repair__records(p);
    return err ? err : repair__ends(p);
}

enum rr_err repair_plan(struct ledger *l, const struct repair_ask *ask, struct repair_plan *out)
{
    struct planning p = {.l = l, .ask = ask, .plan = out};
    enum rr_err err = RR_OK;

    *out = (struct repair_plan){.n = 0};
    out->entries = rr_xcalloc(REPAIR_ENTRIES_MAX, sizeof(*out->entries));
    err = db_open(l->db);
    if (!err)
        err = ask->code ? plan_rain(&p) : repair__wallets(&p);
    if (!err && !(all_known(out, ask->accept) && all_known(out, ask->reject)))
        err = RR_BAD_REQUEST;
    if (err) {
        repair_plan_fini(out);
        return err;
    }
    for (uint32_t i = 0; i < out->n; i++)
        out->undecided += out->entries[i].undecided;
    hash_plan(out);
    return RR_OK;
}

void repair_plan_fini(struct repair_plan *p)
{
    free(p->entries);
    *p = (struct repair_plan){.n = 0};
}
