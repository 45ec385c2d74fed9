#include "rain/kind.h"

#include "base/err.h"

static const struct rain_kind_rule rules[] = {
#define X(name, value, wire, zh, en, creators, list, rules, open_ms, unstarted_ms)                 \
    {KIND_##name, wire, zh, en, creators, list, rules, open_ms, unstarted_ms},
    RAIN_KIND_MAP(X)
#undef X
};

const struct rain_kind_rule *rain_kind_rule(enum rain_kind kind)
{
    for (size_t i = 0; i < RR_COUNTOF(rules); i++) {
        if (rules[i].kind == kind)
            return &rules[i];
    }
    return NULL;
}

const char *rain_kind_name(enum rain_kind kind)
{
    const struct rain_kind_rule *rule = rain_kind_rule(kind);

    return rule ? rule->wire : "?";
}

enum rain_kind rain_kind_parse(struct rr_slice name)
{
    for (size_t i = 0; i < RR_COUNTOF(rules); i++) {
        if (rr_slice_eq_str(name, rules[i].wire))
            return rules[i].kind;
    }
    return (enum rain_kind)0;
}
