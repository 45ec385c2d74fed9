#include "risk/rules.h"

#include <stdatomic.h>

#include "base/err.h"

enum { DAY_MS = 86400000 };

static const struct {
    const char *name;
    const char *text;
    enum risk_stage stage;
} rows[] = {
#define X(id, name_, stage_, option, zh, en)                                                       \
    [RISK_##id] = {.name = #name_, .text = en, .stage = RISK_STAGE_##stage_},
    RISK_MAP(X)
#undef X
};

const char *risk_rule_name(enum risk_rule rule)
{
    return rule < RISK_RULES ? rows[rule].name : "none";
}

const char *risk_rule_text(enum risk_rule rule)
{
    return rule < RISK_RULES ? rows[rule].text : "";
}

enum risk_stage risk_rule_stage(enum risk_rule rule)
{
    RR_ASSERT(rule < RISK_RULES);
    return rows[rule].stage;
}

void risk_rules_read(struct risk_rules *r, const struct rr_conf *c)
{
#define X(id, name, stage, option, zh, en) r->v[RISK_##id] = c->risk_##option;
    RISK_MAP(X)
#undef X
    r->day_offset_ms = c->risk_utc_offset_min * 60000;
}

int32_t risk_day(int64_t wall_ms, int64_t day_offset_ms)
{
    int64_t ms = wall_ms + day_offset_ms;

    return (int32_t)(ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS));
}

int64_t risk_day_start_ms(int32_t day, int64_t day_offset_ms)
{
    return (int64_t)day * DAY_MS - day_offset_ms;
}

void risk_cell_set(struct risk_cell *cell, const struct risk_rules *r)
{
    for (int i = 0; i < RISK_RULES; i++)
        atomic_store_explicit(&cell->v[i], r->v[i], memory_order_relaxed);
    atomic_store_explicit(&cell->day_offset_ms, r->day_offset_ms, memory_order_relaxed);
}

void risk_cell_get(const struct risk_cell *cell, struct risk_rules *out)
{
    *out = (struct risk_rules){.day_offset_ms = 0};
    if (!cell)
        return;
    for (int i = 0; i < RISK_RULES; i++)
        out->v[i] = atomic_load_explicit(&cell->v[i], memory_order_relaxed);
    out->day_offset_ms = atomic_load_explicit(&cell->day_offset_ms, memory_order_relaxed);
}
