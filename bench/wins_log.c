/* wins_log.c - see wins_log.h. User ids are digits and codes base64url, checked where they enter:
 * no JSON escapes needed. */
#include <inttypes.h>

#include "base/buf.h"
#include "wins_log.h"

enum rr_err wins_log_open(struct wins_log *w, const char *path)
{
    enum rr_err err = RR_SYSTEM;
    struct rr_buf name = {0};

    *w = (struct wins_log){0};
    if (!path)
        return RR_OK;
    rr_buf_printf(&name, "%s.pending", path);
    if (name.failed)
        goto out;
    w->wins = fopen(path, "we");
    w->pending = fopen(name.p, "we");
    if (w->wins && w->pending)
        err = RR_OK;
out:
    rr_buf_fini(&name);
    return err;
}

void wins_log_told(struct wins_log *w, const char *user, const char *code, const struct grant *g,
                   int64_t t_ms)
{
    if (!w->wins)
        return;
    fprintf(w->wins,
            "{\"user\":\"%s\",\"code\":\"%s\",\"seq\":%" PRId64 ",\"shard\":%" PRId64
            ",\"packet_no\":%" PRId64 ",\"amount\":%" PRId64 ",\"t\":%" PRId64 "}\n",
            user, code, g->seq, g->shard, g->packet_no, g->amount_fen, t_ms);
}

void wins_log_pending(struct wins_log *w, const char *user, const char *code, int64_t seq,
                      int64_t t_ms)
{
    if (!w->pending)
        return;
    fprintf(w->pending, "{\"user\":\"%s\",\"code\":\"%s\",\"seq\":%" PRId64 ",\"t\":%" PRId64 "}\n",
            user, code, seq, t_ms);
}

void wins_log_flush(struct wins_log *w)
{
    if (w->wins)
        fflush(w->wins);
    if (w->pending)
        fflush(w->pending);
}

static enum rr_err close_one(FILE *f)
{
    if (!f)
        return RR_OK;
    int bad = ferror(f);
    return fclose(f) || bad ? RR_SYSTEM : RR_OK;
}

enum rr_err wins_log_close(struct wins_log *w)
{
    enum rr_err wins = close_one(w->wins);
    enum rr_err pending = close_one(w->pending);
    *w = (struct wins_log){0};
    return wins ? wins : pending;
}
