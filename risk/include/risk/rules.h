/* rules.h - the numbers of the rules, and the cell through which threads see a change of them.
 * Thread: any; a cell is written by one. */
#ifndef RISK_RULES_H
#define RISK_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "risk/risk_map.h"

enum risk_rule {
#define X(id, name, stage, option, zh, en) RISK_##id,
    RISK_MAP(X)
#undef X
        RISK_RULES,
    RISK_NONE = RISK_RULES
};

enum risk_stage { RISK_STAGE_DENY, RISK_STAGE_HOLD };

/* Names never NULL; RISK_NONE is "none". */
const char *risk_rule_name(enum risk_rule rule);
const char *risk_rule_text(enum risk_rule rule); /* English */
enum risk_stage risk_rule_stage(enum risk_rule rule);

struct risk_rules {
    int64_t v[RISK_RULES]; /* 0: off */
    int64_t day_offset_ms; /* added to UTC before days are counted */
};

void risk_rules_read(struct risk_rules *r, const struct rr_conf *c);
/* Days since 1970 in the place the rules count for. */
int32_t risk_day(int64_t wall_ms, int64_t day_offset_ms);
/* When that day began, ms since 1970. */
int64_t risk_day_start_ms(int32_t day, int64_t day_offset_ms);

/* What all threads of a process read. Zero-initialised: every rule is off. A reader may see half of
 * a change: each rule stands alone. */
struct risk_cell {
    _Atomic int64_t v[RISK_RULES];
    _Atomic int64_t day_offset_ms;
};
void risk_cell_set(struct risk_cell *cell, const struct risk_rules *r);
/* cell NULL: every rule is off. */
void risk_cell_get(const struct risk_cell *cell, struct risk_rules *out);

#endif
