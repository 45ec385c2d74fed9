/* load.c - requests by a schedule, or as fast as the answers come; see swarm.h. */
#include <stdlib.h>

#include "base/alloc.h"
#include "protocol/msg.h"
#include "swarm.h"
#include "wire.h"

enum { ANSWERS_AWAITED_US = 8 * 1000 * 1000 };

static void idle_push(struct swarm_run *r, uint32_t index)
{
    r->idle[(r->idle_head + r->idle_n++) % r->conns] = index;
}

static uint32_t idle_pop(struct swarm_run *r)
{
    uint32_t index = r->idle[r->idle_head];

    r->idle_head = (r->idle_head + 1) % r->conns;
    r->idle_n--;
    return index;
}

/* A viewer wins a few packets of a rain and then plays the next one: that is life, and a record of hundreds of wins of one user is not. */
static void ask_grab(struct swarm_conn *c, struct rr_buf *b)
{
    const struct swarm_run *r = &c->swarm->run;
    int64_t rain = r->each > 0 ? c->won / r->each : 0;

    if (rain >= r->codes_n)
        rain = r->codes_n - 1;
    wire_grab(b, c->asked, r->codes[rain], c->won - rain * r->each, false);
}

static void ask(struct swarm_conn *c, int64_t due_us)
{
    struct swarm_run *r = &c->swarm->run;
    struct rr_buf b = {0};

    c->asked = ++c->last_id;
    c->due_us = due_us;
    if (r->kind == SWARM_GRAB)
        ask_grab(c, &b);
    else
        wire_ping(&b, c->asked, due_us / 1000);
    swarm_send(c, &b);
    rr_buf_fini(&b);
    r->sent++;
    r->under_way++;
}

static void busy_push(struct swarm_conn *c, int64_t again_us)
{
    c->due_us = again_us;
    idle_push(&c->swarm->run, c->index);
}

/* In the order in which they were refused: a server's advice changes slowly. */
static void busy_step(struct swarm_run *r, struct swarm_conn *conns, int64_t now_us)
{
    while (r->per_s == 0 && r->idle_n > 0 && now_us < r->until_us) {
        struct swarm_conn *c = &conns[r->idle[r->idle_head]];

        if (c->due_us > now_us)
            return;
        idle_pop(r);
        if (c->state == SWARM_IN)
            ask(c, now_us);
    }
}

void swarm_run_begin(struct swarm *s, int64_t now_us)
{
    struct swarm_run *r = &s->run;

    r->begun_us = now_us;
    r->until_us += now_us;
    r->give_up_us = r->until_us + ANSWERS_AWAITED_US;
    free(r->idle);
    r->idle = rr_xcalloc(r->conns, sizeof(*r->idle));
    r->active = true;
    for (uint32_t i = 0; i < r->conns; i++) {
        s->conns[i].asked = 0;
        if (s->conns[i].state != SWARM_IN)
            continue;
        if (r->per_s > 0)
            idle_push(r, i);
        else
            ask(&s->conns[i], now_us);
    }
}

static int64_t due_at(const struct swarm_run *r, uint64_t k)
{
    return r->begun_us + (int64_t)((double)k * 1e6 / r->per_s);
}

/* Sends what is due. A request for which no socket is free waits, and its wait counts. */
void swarm_run_step(struct swarm *s, int64_t now_us)
{
    struct swarm_run *r = &s->run;

    if (!r->active)
        return;
    busy_step(r, s->conns, now_us);
    while (r->per_s > 0 && r->idle_n > 0) {
        int64_t due_us = due_at(r, r->due);

        if (due_us > now_us || due_us >= r->until_us)
            break;
        r->due++;
        ask(&s->conns[idle_pop(r)], due_us);
    }
    if (now_us >= r->until_us && (r->under_way == 0 || now_us >= r->give_up_us)) {
        r->active = false;
        swarm_say_run(s, now_us);
    }
}

int64_t swarm_run_next_us(const struct swarm *s, int64_t now_us)
{
    const struct swarm_run *r = &s->run;

    if (!r->active)
        return INT64_MAX;
    if (r->per_s > 0 && r->idle_n > 0 && due_at(r, r->due) < r->until_us)
        return due_at(r, r->due);
    if (now_us >= r->until_us)
        return now_us + 1000;
    return r->idle_n > 0 ? now_us + 1000 : r->until_us;
}

void swarm_answer(struct swarm_conn *c, uint32_t id, int64_t code, int64_t retry_after_ms,
                  int64_t now_us)
{
    struct swarm_run *r = &c->swarm->run;

    if (c->asked == 0 || id != c->asked || !r->active)
        return;
    if (code == RESULT_PENDING) {
        r->pending++;
        return;
    }
    c->asked = 0;
    r->under_way--;
    /* What is answered after the end was load, but not throughput. */
    if (now_us <= r->until_us || r->per_s > 0) {
        r->answered++;
        r->results[code >= 0 && code < SWARM_CODES ? code : SWARM_CODES - 1]++;
        hist_record(code == RESULT_OK ? &r->ok_us : &r->other_us, now_us - c->due_us);
        r->ok += code == RESULT_OK;
    }
    if (code == RESULT_OK)
        c->won++;
    if (r->per_s > 0)
        idle_push(r, c->index);
    else if (retry_after_ms > 0)
        busy_push(c, now_us + retry_after_ms * 1000);
    else if (now_us < r->until_us)
        ask(c, now_us);
}

void swarm_run_lost(struct swarm_conn *c)
{
    struct swarm_run *r = &c->swarm->run;

    if (!r->active || c->asked == 0)
        return;
    c->asked = 0;
    r->under_way--;
    r->lost_conns++;
}
