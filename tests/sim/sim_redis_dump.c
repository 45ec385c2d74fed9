/* sim_redis_dump.c - the whole data as text, for comparisons. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_rdb.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *key_dump(const struct rkey *k)
{
    char ttl[24] = "";
    char last[48] = "";
    size_t room = 128 + k->name.len + k->str.len;
    char **parts = sim_alloc((k->n + 1) * sizeof(*parts));
    char *out = NULL;
    size_t used = 0;

    for (uint32_t i = 0; i < k->n; i++) {
        size_t len = 64;
        int at = 0;

        if (k->type == 'x') {
            for (uint32_t j = 0; j < k->entries[i].n; j++)
                len += k->entries[i].fields[j].len + 1;
            parts[i] = sim_alloc(len);
            at = snprintf(parts[i], len, "%" PRIu64 "-%" PRIu64, k->entries[i].ms,
                          k->entries[i].seq);
            for (uint32_t j = 0; j < k->entries[i].n; j++)
                at += snprintf(parts[i] + at, len - (size_t)at, ",%s", k->entries[i].fields[j].p);
        } else if (k->type == 'h') {
            len += k->items[2 * i].len + k->items[2 * i + 1].len;
            parts[i] = sim_alloc(len);
            snprintf(parts[i], len, "%s=%s", k->items[2 * i].p, k->items[2 * i + 1].p);
        } else {
            len += k->items[i].len;
            parts[i] = sim_alloc(len);
            snprintf(parts[i], len, "%s", k->items[i].p);
        }
        room += len;
    }
    if (k->type == 'h')
        qsort(parts, k->n, sizeof(*parts), by_text);
    out = sim_alloc(room);
    if (k->expire_ms)
        snprintf(ttl, sizeof(ttl), "!%" PRId64, (k->expire_ms - redis_now_us() / 1000) / 60000);
    if (k->type == 'x')
        snprintf(last, sizeof(last), "%" PRIu64 "-%" PRIu64, k->last_ms, k->last_seq);
    used = (size_t)snprintf(out, room, "%s %c%s%s%s", k->name.p, k->type, ttl, last,
                            k->type == 's' ? k->str.p : "");
    for (uint32_t i = 0; i < k->n; i++)
        used += (size_t)snprintf(out + used, room - used, "|%s", parts[i]);
    return out;
}

char *rdb_dump(const struct rdb *db)
{
    char **lines = sim_alloc((db->n + 1) * sizeof(*lines));
    size_t room = 1;
    size_t used = 0;
    uint32_t n = 0;
    char *out = NULL;

    for (uint32_t i = 0; i < db->n; i++) {
        if (key_expired(&db->keys[i]))
            continue;
        lines[n] = key_dump(&db->keys[i]);
        room += strlen(lines[n++]) + 1;
    }
    qsort(lines, n, sizeof(*lines), by_text);
    out = sim_alloc(room);
    for (uint32_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, room - used, "%s\n", lines[i]);
    return out;
}
