/* corpus_session.c - whole sessions for fuzz_session, one file each: corpus_session FOLDER
 * Seeds, not tests: a fuzzer that had to find HELLO, JOIN and GRAB by itself would never leave the
 * first line of dispatch. */
#include "fuzz_session.h"

#include "protocol/msg.h"
#include "protocol/pack.h"

#include <stdio.h>

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"

static void step(struct rr_buf *out, enum session_step what, unsigned who, const void *p,
                 size_t len)
{
    const unsigned char head[3] = {(unsigned char)(what << 3 | who), (unsigned char)(len & 255),
                                   (unsigned char)(len >> 8)};

    rr_buf_append(out, head, sizeof(head));
    rr_buf_append(out, p, len);
}

/* A client's message with every field any of them needs. */
static void frame(struct rr_buf *out, unsigned who, enum msg_op op, const char *token)
{
    struct rr_buf b = {0};

    pack_array(&b, 3);
    pack_int(&b, op);
    pack_int(&b, 7);
    pack_map(&b, 13);
    pack_kv_str(&b, "token", token);
    pack_kv_str(&b, "room", "r1");
    pack_kv_str(&b, "code", CODE);
    pack_kv_int(&b, "seq", 0);
    pack_kv_str(&b, "epoch", "0000000000000001");
    pack_kv_int(&b, "t0", 1);
    pack_kv_str(&b, "text", "hi");
    pack_kv_str(&b, "biz_id", "b");
    pack_kv_int(&b, "total", 1000);
    pack_kv_int(&b, "count", 10);
    pack_kv_int(&b, "add_ms", 1000);
    pack_kv_str(&b, "user", "7");
    pack_kv_int(&b, "secs", 5);
    step(out, STEP_FRAME, who, b.p, b.len);
    rr_buf_fini(&b);
}

/* Connected, known, in r1, where a rain is open. */
static void enter(struct rr_buf *out, unsigned who, const char *token)
{
    step(out, STEP_CONNECT, who, "", 0);
    frame(out, who, MSG_HELLO, token);
    frame(out, who, MSG_JOIN, token);
    step(out, STEP_SUBSCRIBED, who, "\0", 1);
    step(out, STEP_LOADED, who, "\1\0\0", 3);
    step(out, STEP_NEXT_SEQ, who, "\0\0", 2);
}

static void rain(struct rr_buf *out)
{
    step(out, STEP_BUS_PUSH, 0, "\0\0\0\xff\3\1", 6);
    step(out, STEP_RUN, 0, "\xff", 1);
}

static void grabbing(struct rr_buf *out, const char *pool, const char *report)
{
    enter(out, 0, "7 viewer *");
    enter(out, 1, "8 viewer *");
    rain(out);
    frame(out, 0, MSG_GRAB, "");
    frame(out, 1, MSG_GRAB, "");
    step(out, STEP_TIME, 0, "\1\0", 2);
    step(out, STEP_POOL, 0, pool, 8);
    step(out, STEP_TIME, 0, "\x50\0", 2);
    step(out, STEP_REPORT, 0, report, 1);
    step(out, STEP_DISCONNECT, 1, "", 0);
    step(out, STEP_REPORT, 0, report, 1);
    step(out, STEP_TIME, 0, "\3\1", 2);
    step(out, STEP_POOL, 0, pool, 8);
    step(out, STEP_REPORT, 0, "\1", 1);
}

static void everything(struct rr_buf *out, const char *token)
{
    step(out, STEP_CONNECT, 2, "", 0);
    frame(out, 2, MSG_STATS, token); /* before HELLO */
    enter(out, 2, token);
    rain(out);
#define SEND_C2S(op) frame(out, 2, op, token);
#define SEND_S2C(op)
#define X(name, op, dir, doc) SEND_##dir(MSG_##name)
    MSG_MAP(X)
#undef X
    for (int i = 0; i < 12; i++)
        step(out, STEP_JOB, 0, "\0\3", 2);
    frame(out, 2, MSG_JOIN, token);
    step(out, STEP_BUS_STATE, 0, "\0", 1);
    frame(out, 2, MSG_SAY, token);
    step(out, STEP_BUS_STATE, 0, "\1", 1);
    step(out, STEP_BUSY, 2, "\1", 1);
    rain(out);
    frame(out, 2, MSG_PING, token);
    step(out, STEP_BUSY, 2, "\0", 1);
    step(out, STEP_WRITABLE, 2, "", 0);
    step(out, STEP_TIME, 0, "\x50\1", 2);
}

static int write_file(const char *folder, const char *name, struct rr_buf *b)
{
    char path[4096];
    FILE *f = NULL;
    size_t n = 0;
    int ok = 0;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "wb");
    if (f) {
        n = fwrite(b->p, 1, b->len, f);
        ok = fclose(f) == 0 && n == b->len && !b->failed;
    }
    rr_buf_fini(b);
    return ok;
}

int main(int argc, char **argv)
{
    struct rr_buf b = {0};
    int ok = argc == 2;

    if (ok) {
        grabbing(&b, "\0\7\0\1\1\0\0\0", "\1");
        ok = write_file(argv[1], "grab-won", &b);
        grabbing(&b, "\0\7\0\1\1\0\0\0", "\0");
        ok = ok && write_file(argv[1], "grab-report-failed", &b);
        grabbing(&b, "\1\7\0\1\1\0\0\0", "\1");
        ok = ok && write_file(argv[1], "grab-unknown", &b);
        grabbing(&b, "\0\7\x78\1\1\3\1\2", "\1");
        ok = ok && write_file(argv[1], "grab-refused", &b);
        everything(&b, "7 viewer *");
        ok = ok && write_file(argv[1], "viewer", &b);
        everything(&b, "9 anchor *");
        ok = ok && write_file(argv[1], "anchor", &b);
        everything(&b, "5 guest ,r1,");
        ok = ok && write_file(argv[1], "guest", &b);
    }
    if (!ok)
        fprintf(stderr, "usage: corpus_session EXISTING_FOLDER\n");
    return ok ? 0 : 1;
}
