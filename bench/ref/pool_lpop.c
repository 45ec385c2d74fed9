/* pool_lpop.c - the least a pool can do: amounts in lists, one LPOP per grab, pipelined. Same number of lists as the rain has
 * shards, same packets, one connection, as many commands under way as the product has grabs under way.
 * No user, no limit, no state, no record of who got what: a bound, not an equal.
 *   REDISCLI_AUTH=… redrain-ref-pool-lpop PORT COUNT LISTS WINDOW */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int cmp(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void fail(const redisContext *c, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, c && c->errstr[0] ? c->errstr : "unexpected answer");
    exit(1);
}

static void take(redisContext *c, int type)
{
    redisReply *r = NULL;

    if (redisGetReply(c, (void **)&r) != REDIS_OK || !r || r->type != type)
        fail(c, "reply");
    freeReplyObject(r);
}

static void fill(redisContext *c, long count, long lists)
{
    for (long i = 0; i < lists; i++)
        redisAppendCommand(c, "DEL ref:{%ld}:list", i);
    for (long i = 0; i < count; i++)
        redisAppendCommand(c, "RPUSH ref:{%ld}:list %ld", i % lists, 1 + i % 199);
    for (long i = 0; i < lists + count; i++)
        take(c, REDIS_REPLY_INTEGER);
}

/* LPOPs in windows that slide by half, so that the server never waits for us. */
static double pop(redisContext *c, long count, long lists, long window, int type, double *wait_s)
{
    double *sent_s = calloc((size_t)count, sizeof(*sent_s));
    double from_s = now_s();
    long sent = 0;
    double end_s = 0;
    int done = 0;

    for (long got = 0; got < count;) {
        long half = window / 2 > 0 ? window / 2 : 1;

        while (sent < count && sent < got + window) {
            sent_s[sent] = now_s();
            redisAppendCommand(c, "LPOP ref:{%ld}:list", sent % lists);
            sent++;
        }
        do
            if (redisBufferWrite(c, &done) != REDIS_OK)
                fail(c, "write");
        while (!done);
        for (long i = 0; i < half && got < sent; i++, got++) {
            take(c, type);
            wait_s[got] = now_s() - sent_s[got];
        }
    }
    end_s = now_s();
    free(sent_s);
    qsort(wait_s, (size_t)count, sizeof(*wait_s), cmp);
    return (double)count / (end_s - from_s);
}

int main(int argc, char **argv)
{
    long count = argc == 5 ? atol(argv[2]) : 0;
    long lists = argc == 5 ? atol(argv[3]) : 0;
    long window = argc == 5 ? atol(argv[4]) : 0;
    double *wait_s = calloc((size_t)count + 1, sizeof(*wait_s));
    redisContext *c = NULL;
    redisReply *r = NULL;
    double wins = 0;
    double losses = 0;
    long p50 = 0;
    long p99 = 0;

    if (count <= 0 || lists <= 0 || window <= 0) {
        fprintf(stderr, "usage: PORT COUNT LISTS WINDOW\n");
        return 2;
    }
    c = redisConnect("127.0.0.1", atoi(argv[1]));
    if (!c || c->err)
        fail(c, "connect");
    r = redisCommand(c, "AUTH %s", getenv("REDISCLI_AUTH"));
    if (!r || r->type != REDIS_REPLY_STATUS)
        fail(c, "AUTH");
    freeReplyObject(r);
    fill(c, count, lists);
    wins = pop(c, count, lists, window, REDIS_REPLY_STRING, wait_s);
    p50 = (long)(wait_s[count / 2] * 1e6);
    p99 = (long)(wait_s[count * 99 / 100] * 1e6);
    losses = pop(c, count, lists, window, REDIS_REPLY_NIL, wait_s);
    printf("{\"wins_per_s\":%.0f,\"losses_per_s\":%.0f,\"win_p50_us\":%ld,\"win_p99_us\":%ld}\n",
           wins, losses, p50, p99);
    redisFree(c);
    free(wait_s);
    return 0;
}
