/* report.c - see report.h. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "protocol/msg.h"
#include "viewer.h"

static int64_t last_position(const struct crowd *c)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        if (c->viewers[i].room_seq > last)
            last = c->viewers[i].room_seq;
    }
    return last;
}

/* Viewers who have not got the last push that anybody got. */
static uint32_t viewers_behind(const struct crowd *c)
{
    int64_t last = last_position(c);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_viewers; i++)
        n += c->viewers[i].base_seq >= 0 && c->viewers[i].room_seq < last;
    return n;
}

void report_progress(const struct crowd *c, int64_t now_us, uint64_t grabs_per_s)
{
    const struct crowd_stats *s = &c->stats;
    fprintf(stderr,
            "{\"t\":%" PRId64 ",\"connected\":%" PRIu64 ",\"joined\":%" PRIu64
            ",\"position\":%" PRId64 ",\"behind\":%" PRIu32 ",\"push_received\":%" PRIu64
            ",\"grabs\":%" PRIu64 ",\"grabs_per_s\":%" PRIu64 ",\"told\":%" PRIu64
            ",\"pending\":%" PRIu64 ",\"losers\":%" PRIu64 "}\n",
            crowd_wall_ms(c, now_us), s->connected, s->joined, last_position(c), viewers_behind(c),
            s->push_received, s->grabs, grabs_per_s, s->told, s->pending, crowd_losers(c));
}

/* Of the rain whose announcement took longest to reach everybody. */
static int64_t push_spread_us(const struct crowd *c)
{
    int64_t spread_us = 0;
    for (uint32_t i = 0; i < c->n_rains; i++) {
        int64_t one_us = c->rains[i].last_push_us - c->rains[i].first_push_us;
        if (one_us > spread_us)
            spread_us = one_us;
    }
    return spread_us;
}

static uint64_t slots_skipped(const struct crowd *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->n_viewers; i++) {
        for (uint32_t k = 0; k < c->viewers[i].n_books; k++)
            n += c->viewers[i].books[k].skipped;
    }
    return n;
}

static void print_ms(const char *key, int64_t us)
{
    printf("\"%s\":%" PRId64 ".%03d,", key, us / 1000, (int)(us % 1000));
}

static void print_codes(const struct crowd *c)
{
    const char *comma = "";
    printf("\"codes\":{");
    for (uint32_t i = 0; i < CROWD_CODES; i++) {
        if (c->stats.codes[i] == 0)
            continue;
        const char *name = i < CROWD_CODES - 1 ? result_name((enum result_code)i) : "UNKNOWN";
        printf("%s\"%s\":%" PRIu64, comma, name, c->stats.codes[i]);
        comma = ",";
    }
    printf("},");
}

static uint64_t grabs_per_s(const struct crowd *c, int64_t now_us)
{
    int64_t open_us = crowd_open_us(c, now_us);
    return open_us > 0 ? c->stats.grabs * 1000000 / (uint64_t)open_us : 0;
}

static void print_table(const struct crowd *c, int64_t now_us, uint64_t unanswered)
{
    const struct crowd_stats *s = &c->stats;
    printf("viewers     %u, joined %" PRIu64 ", got the announcement %" PRIu64
           " (within %.1f ms)\n",
           c->n_viewers, s->joined_ever, s->push_received, (double)push_spread_us(c) / 1000.0);
    printf("grabs       %" PRIu64 " (%" PRIu64 "/s)\n", s->grabs, grabs_per_s(c, now_us));
    printf("told wins   %" PRIu64 " (%" PRId64 " fen), %" PRIu64 " viewers without a win\n",
           s->told, s->told_fen, crowd_losers(c));
    printf("told after  p50 %.1f ms, p99 %.1f ms\n",
           (double)hist_permille(&c->told_us, 500) / 1000.0,
           (double)hist_permille(&c->told_us, 990) / 1000.0);
    printf("uncertain   %" PRIu64 " were pending, %" PRIu64 " without a final answer\n", s->pending,
           unanswered);
    printf("connections %" PRIu64 " lost, %" PRIu64 " came back, %" PRIu64 " refused\n",
           s->disconnects, s->reconnects, s->refused);
}

/* By the clients' own logs: how many pushes came between a viewer's first JOIN and the last push anybody saw, and how many of
 * them he got. */
static void print_seqs(const struct crowd *c)
{
    int64_t last = last_position(c);
    uint64_t expected = 0;
    uint64_t got = 0;

    for (uint32_t i = 0; i < c->n_viewers; i++) {
        const struct viewer *v = &c->viewers[i];
        if (v->base_seq < 0)
            continue;
        expected += (uint64_t)(last - v->base_seq);
        got += v->seqs;
    }
    printf("\"seq_expected\":%" PRIu64 ",\"seq_delivered\":%" PRIu64 ",\"seq_missing\":%" PRIu64
           ",\"stalls\":%" PRIu64 ",\"storms\":%" PRIu64 ",",
           expected, got, expected > got ? expected - got : 0, c->stats.stalls, c->storms);
}

void report_final(const struct crowd *c, int64_t now_us, uint64_t unanswered)
{
    const struct crowd_stats *s = &c->stats;
    if (!c->opts->json)
        print_table(c, now_us, unanswered);
    printf("{\"viewers\":%u,\"joined\":%" PRIu64 ",\"push_received\":%" PRIu64 ",\"grabs\":%" PRIu64
           ",\"told\":%" PRIu64 ",\"told_fen\":%" PRId64 ",\"losers\":%" PRIu64
           ",\"pending\":%" PRIu64 ",\"grabs_per_s\":%" PRIu64 ",",
           c->n_viewers, s->joined_ever, s->push_received, s->grabs, s->told, s->told_fen,
           crowd_losers(c), s->pending, grabs_per_s(c, now_us));
    print_ms("told_p50_ms", hist_permille(&c->told_us, 500));
    print_ms("told_p99_ms", hist_permille(&c->told_us, 990));
    print_ms("told_max_ms", c->told_us.max);
    print_ms("push_last_ms", push_spread_us(c));
    printf("\"unanswered\":%" PRIu64 ",", unanswered);
    print_codes(c);
    print_seqs(c);
    printf("\"moves\":%" PRIu64 ",\"reconnects\":%" PRIu64 ",\"disconnects\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"told_conflicts\":%" PRIu64 ",\"config_by_join\":%" PRIu64
           ",\"push_gaps\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"bad_messages\":%" PRIu64
           ",\"slots_skipped\":%" PRIu64 ",\"clock_rtt_us\":%" PRId64 "}\n",
           s->moves, s->reconnects, s->disconnects, s->refused, s->told_conflicts,
           s->config_by_join, s->push_gaps, s->skipped, s->bad_messages, slots_skipped(c),
           c->clock.rtt_us);
    fflush(stdout);
}
