/* sim_kafka.c - topic receive_red_packet and the producers' way to it. Records are real bytes (protocol/record.c). */
#include <string.h>

#include "base/alloc.h"
#include "sim.h"

enum { RECORDS_MAX = 4096, SETTLED_MAX = 4096 };

struct record {
    struct rr_slice bytes;
    bool acked;
    bool lost;
};

struct partition {
    struct record *records; /* RECORDS_MAX */
    int64_t low;
    int64_t high;
};

static struct partition parts[SIM_PARTS];
static bool up;
static uint64_t down_no;
static uint32_t in_flight;

struct sending {
    struct kafka_producer *p;
    uint64_t id;
    uint32_t life;
    int part;
    struct rr_slice bytes;
    int64_t sent_us;
    int64_t report_us; /* from the append to the report */
    bool lost;         /* never gets there */
    bool ack_lost;     /* gets there, the producer does not hear of it */
    bool twice;
    bool ok;
    struct record *at;
};

void kafka_init(void)
{
    for (int i = 0; i < SIM_PARTS; i++) {
        parts[i] = (struct partition){.low = 0};
        parts[i].records = sim_alloc(RECORDS_MAX * sizeof(struct record));
    }
    up = true;
    in_flight = 0;
    down_no = 0;
}

int64_t kafka_high(int part)
{
    return parts[part].high;
}

int64_t kafka_low(int part)
{
    return parts[part].low;
}

bool kafka_up(void)
{
    return up;
}

uint32_t kafka_in_flight(void)
{
    return in_flight;
}

int kafka_part_of(uint32_t shard)
{
    return (int)(shard % SIM_PARTS);
}

static void on_up(void *arg, uint64_t n)
{
    (void)arg;
    if (n == down_no)
        up = true;
}

void kafka_down(int64_t us)
{
    up = false;
    sim_at(us, on_up, NULL, ++down_no);
}

static struct record *append(int part, struct rr_slice bytes)
{
    struct partition *p = &parts[part];

    RR_ASSERT(p->high < RECORDS_MAX);
    p->records[p->high] = (struct record){.bytes = bytes};
    return &p->records[p->high++];
}

uint32_t kafka_fetch(int part, int64_t from, struct kafka_rec *out, uint32_t max)
{
    const struct partition *p = &parts[part];
    uint32_t n = 0;

    for (int64_t i = from > p->low ? from : p->low; i < p->high && n < max; i++) {
        if (!p->records[i].lost)
            out[n++] = (struct kafka_rec){p->records[i].bytes, i};
    }
    return n;
}

/* Acknowledged records go: holes in the log, or its tail, whose offsets are given out again. */
void kafka_lose(void)
{
    int part = (int)sim_rand(SIM_PARTS);
    struct partition *p = &parts[part];
    int64_t n = sim_between(1, 6);
    bool tail = sim_chance(0.5);
    uint32_t acked = 0;

    for (int64_t i = p->high - 1; i >= 0 && i >= p->high - n; i--) {
        acked += p->records[i].acked && !p->records[i].lost;
        p->records[i].lost = true;
    }
    if (tail)
        p->high = p->high > n ? p->high - n : 0;
    if (acked)
        sim_hit(HIT_kafka_lost);
}

/* ---- sending ---- */

static void on_report(void *arg, uint64_t n)
{
    struct sending *s = arg;

    (void)n;
    if (*s->p->life_now != s->life) {
        in_flight--;
        return;
    }
    if (s->p->paused_until_us && *s->p->paused_until_us > sim.now_us) {
        sim_at(*s->p->paused_until_us - sim.now_us, on_report, s, 0);
        return;
    }
    in_flight--;
    s->p->outstanding--;
    s->p->report(s->p->arg, s->id, s->ok);
}

static void report_later(struct sending *s, bool ok, int64_t delay_us)
{
    s->ok = ok;
    if (ok && s->at)
        s->at->acked = true;
    sim_at(delay_us, on_report, s, 0);
}

static void on_second(void *arg, uint64_t n)
{
    struct sending *s = arg;

    (void)n;
    append(s->part, s->bytes);
}

static void on_arrival(void *arg, uint64_t n)
{
    struct sending *s = arg;
    int64_t left_us = s->sent_us + SIM_MESSAGE_TIMEOUT_US - sim.now_us;
    bool gone = *s->p->life_now != s->life;

    /* A stopped process sends nothing; some of it was in the kernel's hands, and arrives however late. */
    if (!gone && s->p->paused_until_us && *s->p->paused_until_us > sim.now_us) {
        sim_at(*s->p->paused_until_us - sim.now_us + sim_between(100, 50 * SIM_MS), on_arrival, s,
               n);
        return;
    }
    if (left_us <= 0 && up && n == 0 && !gone && sim_chance(0.5)) {
        report_later(s, false, sim_between(0, 2 * SIM_S));
        return;
    }
    /* What still waits in a dead process' queue is gone; what is on its way may arrive. */
    if (gone && (n > 0 || sim_chance(0.5))) {
        in_flight--;
        return;
    }
    if (s->lost || (!up && left_us <= 0)) {
        report_later(s, false, left_us + sim_between(0, 2 * SIM_S));
        return;
    }
    if (!up) {
        sim_at(100 * SIM_MS, on_arrival, s, n + 1);
        return;
    }
    s->at = append(s->part, s->bytes);
    if (s->twice)
        sim_at(sim_between(100, 300 * SIM_MS), on_second, s, 0);
    if (s->ack_lost)
        report_later(s, false, left_us + sim_between(0, 2 * SIM_S));
    else
        report_later(s, true, s->report_us);
    /* Dead after the produce: whoever waits for the report never gets it. */
    if (!gone && !s->p->quiet && sim_fault(HIT_produced_no_report))
        server_crash((int)(intptr_t)s->p->arg, sim_between(200 * SIM_MS, 3 * SIM_S));
}

static struct rr_slice encode(const struct grant_record *r)
{
    struct rr_buf b = {0};
    struct rr_slice out;
    char *p = NULL;

    RR_ASSERT(grant_record_encode(r, &b) == RR_OK);
    p = sim_alloc(b.len);
    memcpy(p, b.p, b.len);
    out = rr_slice_of(p, b.len);
    rr_buf_fini(&b);
    return out;
}

enum rr_err kafka_send(struct kafka_producer *p, const struct grant_record *r, uint64_t id)
{
    struct sending *s = NULL;
    int part = kafka_part_of(r->shard);
    int64_t at_us = 0;

    if (p->life != *p->life_now) {
        p->life = *p->life_now;
        p->outstanding = 0;
        p->fatal_until_us = p->full_until_us = 0;
        memset(p->last_arrival_us, 0, sizeof(p->last_arrival_us));
    }
    if (!p->quiet && sim_fault(HIT_queue_full))
        p->full_until_us = sim.now_us + sim_between(1, 800 * SIM_MS);
    if (!p->quiet && sim_fault(HIT_producer_fatal))
        p->fatal_until_us = sim.now_us + sim_between(10 * SIM_MS, 2 * SIM_S);
    if (p->full_until_us > sim.now_us)
        return RR_FULL;
    if (p->fatal_until_us > sim.now_us)
        return RR_UNAVAILABLE;
    s = sim_alloc(sizeof(*s));
    *s = (struct sending){.p = p,
                          .id = id,
                          .life = *p->life_now,
                          .part = part,
                          .bytes = encode(r),
                          .sent_us = sim.now_us,
                          .report_us = sim_between(100, 3 * SIM_MS)};
    at_us = sim.now_us + sim_between(200, 5 * SIM_MS);
    if (sim.chaos && sim_chance(sim.plan.slow)) { /* a slow broker */
        at_us += sim_chance(0.6) ? sim_between(10 * SIM_MS, 1800 * SIM_MS)
                                 : sim_between(1 * SIM_S, 4900 * SIM_MS);
    } else if (sim.chaos && sim_chance(0.02)) {
        s->lost = true;
    } else if (sim.chaos && sim_chance(0.02)) {
        s->ack_lost = true;
    }
    if (sim_fault(HIT_report_late))
        s->report_us = sim_between(1 * SIM_S, 6 * SIM_S);
    s->twice = sim_fault(HIT_kafka_duplicate);
    if (at_us < p->last_arrival_us[part])
        at_us = p->last_arrival_us[part];
    p->last_arrival_us[part] = at_us;
    p->outstanding++;
    in_flight++;
    sim_at(at_us - sim.now_us, on_arrival, s, 0);
    return RR_OK;
}
