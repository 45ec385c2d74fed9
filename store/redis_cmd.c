#include "redis_cmd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Digits are written by hand: a batch of grabs has hundreds of arguments. */
static size_t format_u64(char *end, uint64_t v)
{
    char *p = end;

    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return (size_t)(end - p);
}

void redis_cmd_arg(struct redis_cmd *c, struct rr_slice arg)
{
    char head[24];
    char *end = head + sizeof(head) - 2;
    size_t n = format_u64(end, arg.len);

    end[-(ptrdiff_t)n - 1] = '$';
    end[0] = '\r';
    end[1] = '\n';
    rr_buf_append(&c->args, end - n - 1, n + 3);
    rr_buf_append(&c->args, arg.p, arg.len);
    rr_buf_append(&c->args, "\r\n", 2);
    c->argc++;
}

void redis_cmd_str(struct redis_cmd *c, const char *arg)
{
    redis_cmd_arg(c, rr_slice_str(arg));
}

void redis_cmd_int(struct redis_cmd *c, int64_t arg)
{
    char text[24];
    char *end = text + sizeof(text);
    size_t n = format_u64(end, arg < 0 ? 0 - (uint64_t)arg : (uint64_t)arg);

    if (arg < 0)
        end[-(ptrdiff_t)++n] = '-';
    redis_cmd_arg(c, rr_slice_of(end - n, n));
}

void redis_cmd_strs(struct redis_cmd *c, ...)
{
    const char *s = NULL;
    va_list ap;

    va_start(ap, c);
    while ((s = va_arg(ap, const char *)) != NULL)
        redis_cmd_str(c, s);
    va_end(ap);
}

void redis_cmd_keys(struct redis_cmd *c, const struct store_key *keys, uint32_t n)
{
    redis_cmd_int(c, n);
    for (uint32_t i = 0; i < n; i++)
        redis_cmd_str(c, keys[i].s);
}

void redis_cmd_fini(struct redis_cmd *c)
{
    rr_buf_fini(&c->args);
    c->argc = 0;
}

void redis_cmd_write(const struct redis_cmd *c, const struct store_script *script, bool body,
                     struct rr_buf *out)
{
    if (!script) {
        rr_buf_printf(out, "*%" PRIu32 "\r\n", c->argc);
    } else if (body) {
        rr_buf_printf(out, "*%" PRIu32 "\r\n$4\r\nEVAL\r\n$%" PRIu32 "\r\n", c->argc + 2,
                      script->len);
        rr_buf_append(out, script->src, script->len);
        rr_buf_append(out, "\r\n", 2);
    } else {
        rr_buf_printf(out, "*%" PRIu32 "\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n", c->argc + 2,
                      script->sha1);
    }
    rr_buf_append(out, c->args.p, c->args.len);
    out->failed |= c->args.failed;
}

enum rr_err redis_error_kind(const char *text, size_t len)
{
    /* Redis raises all of these before a command or a script has written anything: our scripts'
     * first write is one that it refuses when memory is short. An error inside a script carries the
     * same word in front. */
    static const struct {
        const char *word;
        enum rr_err err;
    } kinds[] = {
        {"NOSCRIPT ", RR_NOT_FOUND},      {"LOADING ", RR_UNAVAILABLE},
        {"READONLY ", RR_UNAVAILABLE},    {"OOM ", RR_UNAVAILABLE},
        {"MISCONF ", RR_UNAVAILABLE},     {"BUSY ", RR_BUSY},
        {"NOREPLICAS ", RR_UNAVAILABLE},  {"MASTERDOWN ", RR_UNAVAILABLE},
        {"CLUSTERDOWN ", RR_UNAVAILABLE}, {"MOVED ", RR_UNAVAILABLE},
        {"ASK ", RR_UNAVAILABLE},         {"TRYAGAIN ", RR_UNAVAILABLE},
        {"NOAUTH ", RR_UNAVAILABLE},      {"WRONGPASS ", RR_UNAVAILABLE},
    };

    for (size_t i = 0; i < RR_COUNTOF(kinds); i++) {
        size_t n = strlen(kinds[i].word);

        if (len >= n && memcmp(text, kinds[i].word, n) == 0)
            return kinds[i].err;
    }
    return RR_PENDING;
}
