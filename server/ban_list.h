/* ban_list.h - who may not come in, in a worker's memory: asked at every HELLO, so nothing here waits
 * for anybody. Bounded by cap. Thread: the worker's loop. */
#ifndef SERVER_BAN_LIST_H
#define SERVER_BAN_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/bans.h"

struct ban {
    enum ban_scope scope;
    uint64_t who;
    int64_t until_ms; /* wall clock; INT64_MAX: for good */
};

struct ban_list;

struct ban_list *ban_list_create(uint32_t cap);
void ban_list_destroy(struct ban_list *l); /* NULL-safe */
/* Replaces an earlier one; until_ms <= now_ms takes it off. RR_FULL: cap hold. */
RR_MUST_CHECK enum rr_err ban_list_set(struct ban_list *l, const struct ban *b, int64_t now_ms);
/* The whole list anew, the newest first. True: somebody is on it who was not. More than cap: the rest is left out. */
bool ban_list_replace(struct ban_list *l, const struct ban *bans, uint32_t n, int64_t now_ms);
bool ban_list_has(const struct ban_list *l, enum ban_scope scope, uint64_t who, int64_t now_ms);
uint32_t ban_list_count(const struct ban_list *l);

#endif
