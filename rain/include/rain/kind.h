/* kind.h - the kinds of red packets: one table says how a kind is called, who may create it, which
 *   fields it needs and what its defaults are. Every kind is the same pool, script and ledger.
 * Not here: the rules of the numbers (rain.h), who a viewer is (room), where a list is kept
 *   (ledger, store). */
#ifndef RAIN_KIND_H
#define RAIN_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Who asks. */
enum {
    KIND_BY_ANCHOR = 1 << 0,  /* the anchor, in his room */
    KIND_BY_SENDER = 1 << 1,  /* a user whose token says may_send */
    KIND_BY_BACKEND = 1 << 2, /* the platform, by the admin API */
};
#define KIND_BY_USERS (KIND_BY_ANCHOR | KIND_BY_SENDER | KIND_BY_BACKEND)

enum kind_list {
    KIND_LIST_NEVER, /* for everybody in the room */
    KIND_LIST_MAY,
    KIND_LIST_NEEDED, /* for named users only */
    KIND_LIST_ONE,    /* for exactly one named user */
};

#define KIND_SECOND_MS INT64_C(1000)
#define KIND_DAY_MS (24 * 3600 * KIND_SECOND_MS)

/* rules: may ask for a level or for new users, and pays from the sender's budget of the day.
 * open: how long it stays open when nothing is said; unstarted: after that it is given back.
 *        name        value wire          zh            en                  who              list
 *        rules  open                   unstarted */
#define RAIN_KIND_MAP(X)                                                                           \
    X(RAIN, 1, "rain", "红包雨", "Rain", KIND_BY_ANCHOR | KIND_BY_BACKEND, KIND_LIST_NEVER, false, \
      30 * KIND_SECOND_MS, 7 * KIND_DAY_MS)                                                        \
    X(GROUP, 2, "group", "拼手气红包", "Lucky packet", KIND_BY_USERS, KIND_LIST_NEVER, false,      \
      KIND_DAY_MS, KIND_DAY_MS)                                                                    \
    X(EQUAL, 3, "equal", "普通红包", "Equal packet", KIND_BY_USERS, KIND_LIST_NEVER, false,        \
      KIND_DAY_MS, KIND_DAY_MS)                                                                    \
    X(ENTERPRISE, 4, "enterprise", "企业红包", "Enterprise packet", KIND_BY_USERS,                 \
      KIND_LIST_NEEDED, false, KIND_DAY_MS, KIND_DAY_MS)                                           \
    X(PERSONAL, 5, "personal", "个人红包", "Personal packet", KIND_BY_USERS, KIND_LIST_ONE, false, \
      KIND_DAY_MS, KIND_DAY_MS)                                                                    \
    X(MARKETING, 6, "marketing", "营销红包", "Marketing packet", KIND_BY_BACKEND, KIND_LIST_MAY,   \
      true, KIND_DAY_MS, KIND_DAY_MS)

enum rain_kind {
#define X(name, value, ...) KIND_##name = (value),
    RAIN_KIND_MAP(X)
#undef X
};

struct rain_kind_rule {
    enum rain_kind kind;
    const char *wire;
    const char *zh;
    const char *en;
    unsigned creators; /* KIND_BY_… */
    enum kind_list list;
    bool rules;
    int64_t open_ms;
    int64_t unstarted_ms;
};

/* NULL when there is no such kind. */
const struct rain_kind_rule *rain_kind_rule(enum rain_kind kind);
const char *rain_kind_name(enum rain_kind kind); /* "rain" …, "?" */
/* 0 on unknown name. */
enum rain_kind rain_kind_parse(struct rr_slice name);

#endif
