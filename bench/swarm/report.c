/* report.c - one line of JSON per answer; see swarm.h. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "protocol/msg.h"
#include "swarm.h"

static void put_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%" PRIu64 ",\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64
           ",\"p999_us\":%" PRId64 ",\"max_us\":%" PRId64 "}",
           name, h->n, hist_permille(h, 500), hist_permille(h, 990), hist_permille(h, 999), h->max);
}

static void put_cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    printf(",\"client_cpu_us\":%" PRId64,
           (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec);
}

static void end_line(void)
{
    put_cpu();
    printf("}\n");
    fflush(stdout);
}

void swarm_say_ready(const struct swarm *s, int64_t now_us)
{
    printf("{\"event\":\"ready\",\"in\":%u,\"us\":%" PRId64, s->in, now_us - s->begun_us);
    end_line();
}

void swarm_say_seen(const struct swarm *s)
{
    const struct swarm_seen *e = &s->seen;
    uint32_t from = e->bcasts_n > BCASTS_MAX ? e->bcasts_n - BCASTS_MAX : 0;

    printf("{\"event\":\"seen\",\"in\":%u,\"dropped\":%" PRIu64
           ",\"last_code\":%d,\"pushes\":%" PRIu64 ",\"deliveries\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"gaps\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"broadcasts\":%u",
           s->in, s->dropped, s->last_code, e->pushes, e->deliveries, e->bytes, e->gaps, e->repeats,
           e->bcasts_n);
    put_hist("delay", &e->delay_us);
    printf(",\"each\":[");
    for (uint32_t i = from; i < e->bcasts_n; i++) {
        const struct bcast *b = &e->bcasts[i % BCASTS_MAX];

        printf("%s[%" PRId64 ",%u,%" PRId64 ",%" PRId64 "]", i > from ? "," : "", b->stamp_us, b->n,
               b->first_us - b->stamp_us, b->last_us - b->stamp_us);
    }
    printf("]");
    end_line();
}

void swarm_say_run(const struct swarm *s, int64_t now_us)
{
    const struct swarm_run *r = &s->run;
    const char *comma = "";
    int64_t told = 0;

    for (uint32_t i = 0; i < s->opts->n; i++)
        told += s->conns[i].won;
    printf("{\"event\":\"run\",\"us\":%" PRId64 ",\"took_us\":%" PRId64 ",\"sent\":%" PRIu64
           ",\"answered\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"pending\":%" PRIu64
           ",\"unanswered\":%" PRIu64 ",\"lost_conns\":%" PRIu64
           ",\"in\":%u,\"told_in_all\":%" PRId64 ",\"codes\":{",
           r->until_us - r->begun_us, now_us - r->begun_us, r->sent, r->answered, r->ok, r->pending,
           r->under_way, r->lost_conns, s->in, told);
    for (uint32_t i = 0; i < SWARM_CODES; i++) {
        if (r->results[i] == 0)
            continue;
        const char *name = i < SWARM_CODES - 1 ? result_name((enum result_code)i) : "UNKNOWN";
        printf("%s\"%s\":%" PRIu64, comma, name, r->results[i]);
        comma = ",";
    }
    printf("}");
    put_hist("ok_us", &r->ok_us);
    put_hist("other_us", &r->other_us);
    end_line();
}

void swarm_say_storm(const struct swarm *s, int64_t now_us)
{
    printf("{\"event\":\"storm\",\"us\":%" PRId64 ",\"entered\":%" PRIu64 ",\"failed\":%" PRIu64,
           now_us - s->storm.begun_us, s->storm.entered, s->storm.failed);
    put_hist("enter_us", &s->storm.enter_us);
    end_line();
}
