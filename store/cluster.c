#include "cluster.h"

#include <string.h>

uint16_t cluster_slot(struct rr_slice key)
{
    const char *open = key.len ? memchr(key.p, '{', key.len) : NULL;
    const char *close = NULL;
    uint16_t crc = 0;

    if (open) {
        size_t rest = key.len - (size_t)(open + 1 - key.p);

        close = rest ? memchr(open + 1, '}', rest) : NULL;
        if (close && close > open + 1)
            key = rr_slice_of(open + 1, (size_t)(close - open - 1));
    }
    /* Bit by bit: a key's tag is short, and a table would be 256 numbers to get wrong. */
    for (size_t i = 0; i < key.len; i++) {
        crc = (uint16_t)(crc ^ (unsigned)(unsigned char)key.p[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? (unsigned)crc << 1 ^ 0x1021U : (unsigned)crc << 1);
    }
    return crc % CLUSTER_SLOTS;
}

/* Takes one "$len\r\nbytes\r\n" off *rest. */
static bool take_arg(struct rr_slice *rest, struct rr_slice *arg)
{
    size_t n = 0;
    size_t i = 1;

    if (rest->len < 4 || rest->p[0] != '$')
        return false;
    for (; i < rest->len && rest->p[i] >= '0' && rest->p[i] <= '9'; i++)
        n = n * 10 + (size_t)(rest->p[i] - '0');
    i += 2;
    if (i > rest->len || n + 2 > rest->len - i)
        return false;
    *arg = rr_slice_of(rest->p + i, n);
    *rest = rr_slice_of(rest->p + i + n + 2, rest->len - i - n - 2);
    return true;
}

bool cluster_cmd_slot(const struct redis_cmd *cmd, bool script, uint16_t *slot)
{
    struct rr_slice rest = rr_slice_of(cmd->args.p, cmd->args.len);
    struct rr_slice arg;

    if (cmd->argc < 2 || !take_arg(&rest, &arg))
        return false;
    if (!script && (rr_slice_eq_str(arg, "PUBLISH") || rr_slice_eq_str(arg, "CONFIG") ||
                    rr_slice_eq_str(arg, "CLUSTER")))
        return false;
    if (!take_arg(&rest, &arg))
        return false;
    *slot = cluster_slot(arg);
    return true;
}

bool cluster_addr_eq(const struct redis_addr *a, const struct redis_addr *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* ---- the table of slots ---- */

/* {host, port, …}: a node of a range. An empty host, or "?", is the one that was asked. */
static bool read_node(const redisReply *r, const struct redis_addr *asked, struct redis_addr *out)
{
    struct rr_slice host;

    if (r->type != REDIS_REPLY_ARRAY || r->elements < 2 ||
        r->element[1]->type != REDIS_REPLY_INTEGER || r->element[1]->integer <= 0 ||
        r->element[1]->integer > UINT16_MAX)
        return false;
    out->port = (uint16_t)r->element[1]->integer;
    if (r->element[0]->type == REDIS_REPLY_NIL)
        host = rr_slice_str(asked->host);
    else if (r->element[0]->type == REDIS_REPLY_STRING)
        host = rr_slice_of(r->element[0]->str, (size_t)r->element[0]->len);
    else
        return false;
    if (host.len == 0 || rr_slice_eq_str(host, "?"))
        host = rr_slice_str(asked->host);
    return rr_slice_copy(host, out->host, sizeof(out->host));
}

static enum rr_err primary_index(struct cluster_map *m, const struct redis_addr *a, uint8_t *index)
{
    uint32_t i = 0;

    while (i < m->n && !cluster_addr_eq(&m->primaries[i], a))
        i++;
    if (i == CLUSTER_PRIMARIES_MAX)
        return RR_TOO_BIG;
    if (i == m->n)
        m->primaries[m->n++] = *a;
    *index = (uint8_t)(i + 1);
    return RR_OK;
}

enum rr_err cluster_map_read(const redisReply *r, const struct redis_addr *asked,
                             struct cluster_map *out)
{
    memset(out, 0, sizeof(*out));
    if (r->type != REDIS_REPLY_ARRAY)
        return RR_MALFORMED;
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *range = r->element[i];
        struct redis_addr primary;
        uint8_t index = 0;
        enum rr_err err = RR_OK;

        if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
            range->element[0]->type != REDIS_REPLY_INTEGER ||
            range->element[1]->type != REDIS_REPLY_INTEGER || range->element[0]->integer < 0 ||
            range->element[1]->integer >= CLUSTER_SLOTS ||
            !read_node(range->element[2], asked, &primary))
            return RR_MALFORMED;
        err = primary_index(out, &primary, &index);
        if (err)
            return err;
        for (long long s = range->element[0]->integer; s <= range->element[1]->integer; s++)
            out->owner[s] = index;
    }
    return RR_OK;
}

enum rr_err cluster_map_move(struct cluster_map *m, uint16_t slot, const struct redis_addr *to)
{
    uint8_t index = 0;
    enum rr_err err = primary_index(m, to, &index);

    if (!err)
        m->owner[slot] = index;
    return err;
}

/* ---- redirections ---- */

/* "3999 127.0.0.1:6381"; the address may have colons of its own, and no host. */
static bool read_target(struct rr_slice s, const struct redis_addr *asked, uint16_t *slot,
                        struct redis_addr *to)
{
    const char *space = s.len ? memchr(s.p, ' ', s.len) : NULL;
    const char *colon = s.len ? memrchr(s.p, ':', s.len) : NULL;
    uint32_t number = 0;
    uint32_t port = 0;
    struct rr_slice host;

    if (!space || !colon || colon < space)
        return false;
    for (const char *p = s.p; p < space; p++) {
        if (*p < '0' || *p > '9' || number >= CLUSTER_SLOTS)
            return false;
        number = number * 10 + (uint32_t)(*p - '0');
    }
    for (const char *p = colon + 1; p < s.p + s.len; p++) {
        if (*p < '0' || *p > '9' || port > UINT16_MAX)
            return false;
        port = port * 10 + (uint32_t)(*p - '0');
    }
    host = rr_slice_of(space + 1, (size_t)(colon - space - 1));
    if (host.len == 0 || rr_slice_eq_str(host, "?"))
        host = rr_slice_str(asked->host);
    *slot = (uint16_t)number;
    to->port = (uint16_t)port;
    return space > s.p && number < CLUSTER_SLOTS && port > 0 && port <= UINT16_MAX &&
           rr_slice_copy(host, to->host, sizeof(to->host));
}

enum cluster_hint cluster_hint(struct rr_slice error, const struct redis_addr *asked,
                               uint16_t *slot, struct redis_addr *to)
{
    static const struct {
        const char *word;
        enum cluster_hint hint;
    } words[] = {{"MOVED ", CLUSTER_MOVED},
                 {"ASK ", CLUSTER_ASK},
                 {"TRYAGAIN ", CLUSTER_LATER},
                 {"CLUSTERDOWN ", CLUSTER_LATER}};

    for (size_t i = 0; i < RR_COUNTOF(words); i++) {
        size_t n = strlen(words[i].word);

        if (error.len < n || memcmp(error.p, words[i].word, n) != 0)
            continue;
        if (words[i].hint != CLUSTER_LATER &&
            !read_target(rr_slice_of(error.p + n, error.len - n), asked, slot, to))
            return CLUSTER_LATER;
        return words[i].hint;
    }
    return CLUSTER_NO_HINT;
}
