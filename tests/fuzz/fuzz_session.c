/* fuzz_session.c - sequences of frames from several sockets through dispatch, with the answers of
 * Redis, Kafka and MySQL in between: no crash, no leak, no session that is lost, and the counters
 * of frames are exact after every step.
 * Input: steps of 1 byte (enum session_step in the upper 5 bits, the socket in the lower 3), 2 bytes
 * length (little endian), and that many bytes. See corpus_session.c. */
#include "fuzz.h"

#include "base/log.h"
#include "fake_worker.h"
#include "fuzz_session.h"
#include "protocol/pack.h"

#include <stdlib.h>
#include <string.h>

struct run {
    struct fake_worker *f;
    uint32_t calls_done; /* answered so far, of each kind */
    uint32_t records_done;
    uint32_t jobs_done;
    uint32_t loads_done;
    uint64_t seq;
};

static uint8_t byte_at(struct rr_slice in, size_t i)
{
    return i < in.len ? (uint8_t)in.p[i] : 0;
}

static void answer_pool(struct run *r, struct rr_slice in)
{
    static const enum rr_err outcomes[] = {RR_OK,    RR_SOLD_OUT, RR_LIMIT,      RR_NOT_STARTED,
                                           RR_ENDED, RR_BUSY,     RR_RECOVERING, RR_BAD_SEQ};
    struct pool_grab_result results[POOL_GRAB_MAX];
    struct pool_grab_reply reply = {.now_ms = fake_now_ms(r->f), .left = byte_at(in, 1)};
    struct fake_pool_call *c = &r->f->calls[r->calls_done % FAKE_POOL_CALLS];

    if (r->calls_done == r->f->calls_n)
        return;
    r->calls_done++;
    if (!c->done)
        return;
    memset(reply.rid, 'a', RR_RID_LEN);
    reply.t0_ms = reply.now_ms + byte_at(in, 2) - 100;
    reply.t1_ms = reply.now_ms + 1000;
    reply.granted = byte_at(in, 3);
    if (byte_at(in, 4) & 1)
        memcpy(reply.outbox_id, "1-0", 4);
    for (uint32_t i = 0; i < c->n; i++)
        results[i] = (struct pool_grab_result){
            .rc = outcomes[byte_at(in, 5 + i) % RR_COUNTOF(outcomes)],
            .replay = byte_at(in, 5 + i) & 8,
            .packet_no = i,
            .amount_fen = 1 + i,
        };
    fake_pool_answer(r->f, r->calls_done - 1,
                     byte_at(in, 0) % 4 == 1   ? RR_PENDING
                     : byte_at(in, 0) % 4 == 2 ? RR_UNAVAILABLE
                                               : RR_OK,
                     results, byte_at(in, 0) % 4 == 1 || byte_at(in, 0) % 4 == 2 ? NULL : &reply);
}

static void answer_job(struct run *r, struct rr_slice in)
{
    struct rain_job *j = NULL;

    if (r->jobs_done == r->f->jobs_n)
        return;
    j = r->f->jobs[r->jobs_done];
    j->rains_n = j->kind == RAIN_JOB_LIST ? byte_at(in, 1) % RAIN_JOB_LIST_MAX : 1;
    fake_job_done(r->f, r->jobs_done++, (enum rr_err)(byte_at(in, 0) % RR_ERR_COUNT));
}

static void answer_load(struct run *r, struct rr_slice in)
{
    struct room_snapshot snap = {
        .epoch = byte_at(in, 0) % 3, .seq = byte_at(in, 1), .complete = byte_at(in, 2) & 1};
    struct fake_load *l = &r->f->bus.loads[r->loads_done % FAKE_CALLS_MAX];

    if (r->loads_done == r->f->bus.loads_n)
        return;
    r->loads_done++;
    if (!l->done)
        return;
    /* The port's promise: complete is about the asked epoch. */
    snap.complete = snap.complete && snap.epoch == l->epoch && snap.seq == l->seq;
    fake_bus_load(&r->f->bus, r->loads_done - 1, byte_at(in, 2) & 2 ? RR_PENDING : RR_OK,
                  byte_at(in, 2) & 2 ? NULL : &snap);
}

/* A push of r1: a rain's configuration, or anything. */
static void bus_push(struct run *r, struct rr_slice in)
{
    struct rr_buf b = {0};
    struct room_msg m = {.epoch = 1,
                         .seq = byte_at(in, 0) & 1 ? byte_at(in, 1) : ++r->seq,
                         .biz_code = rr_slice_str("RED_PACKET_CONFIG")};

    fake_rain_config(&b, byte_at(in, 0) & 2 ? RAIN_B : RAIN_A,
                     fake_now_ms(r->f) + byte_at(in, 2) * 10 - 1000,
                     fake_now_ms(r->f) + byte_at(in, 3) * 100, byte_at(in, 4), byte_at(in, 5));
    if (byte_at(in, 0) & 4)
        m.biz_code = rr_slice_str("RED_PACKET_END");
    m.payload = rr_slice_of(b.p, b.len);
    if (byte_at(in, 0) & 8)
        m.payload = rr_slice_of("\xc0", 1);
    hub_on_room_msg(r->f->w.hub, "r1", &m);
    rr_buf_fini(&b);
}

static void pass_time(struct run *r, struct rr_slice in)
{
    uint32_t first = r->f->bus.counts_n;

    fake_advance(r->f, (int64_t)byte_at(in, 0) * (byte_at(in, 1) & 1 ? 1000000 : 5000));
    hub_tick(r->f->w.hub);
    for (uint32_t i = first; i < r->f->bus.counts_n; i++) {
        if (r->f->bus.counts[i % FAKE_CALLS_MAX].done)
            fake_bus_count(&r->f->bus, i, RR_OK, byte_at(in, 2));
    }
}

static void step(struct run *r, enum session_step what, int who, struct rr_slice in)
{
    struct fake_worker *f = r->f;
    struct fake_next *next = NULL;

    switch (what) {
    case STEP_FRAME:
        if (f->people[who] && f->people[who]->state != SESSION_CLOSING)
            dispatch(&f->w, f->people[who], in);
        break;
    case STEP_CONNECT: fake_connect(f, who); break;
    case STEP_DISCONNECT: fake_disconnect(f, who); break;
    case STEP_SUBSCRIBED: hub_on_subscribed(f->w.hub, byte_at(in, 0) & 1 ? "r2" : "r1"); break;
    case STEP_LOADED: answer_load(r, in); break;
    case STEP_POOL: answer_pool(r, in); break;
    case STEP_REPORT:
        if (r->records_done < f->records_n)
            fake_report(f, r->records_done++, byte_at(in, 0) & 1);
        break;
    case STEP_JOB: answer_job(r, in); break;
    case STEP_BUS_PUSH: bus_push(r, in); break;
    case STEP_TIME: pass_time(r, in); break;
    case STEP_RUN: (void)hub_run(f->w.hub, byte_at(in, 0)); break;
    case STEP_BUSY: f->conns[who].busy = byte_at(in, 0) & 1; break;
    case STEP_WRITABLE:
        if (f->people[who])
            session_on_writable(f->people[who]);
        break;
    case STEP_NEXT_SEQ:
        next = f->nexts_n ? &f->nexts[(f->nexts_n - 1) % FAKE_POOL_CALLS] : NULL;
        if (next && next->done) {
            pool_next_fn done = next->done;

            next->done = NULL;
            done(next->arg, byte_at(in, 0) & 1 ? RR_UNAVAILABLE : RR_OK, byte_at(in, 1));
        }
        break;
    case STEP_BUS_STATE:
        f->w.bus_up = byte_at(in, 0) & 1;
        hub_on_bus_state(f->w.hub, f->w.bus_up);
        break;
    case STEP_CONTROL: control_message(&f->w, in); break;
    case STEP_PRODUCER: f->produce_err = byte_at(in, 0) & 1 ? RR_FULL : RR_OK; break;
    case STEP_COUNT: break;
    }
}

static void check(const struct fake_worker *f)
{
    const struct session_counters *c = session_table_counters(f->w.sessions);

    RR_ASSERT(c->expected == c->sent + c->dropped + c->closed + c->queued);
    RR_ASSERT(session_count(f->w.sessions) <= FAKE_PEOPLE);
    for (int i = 0; i < FAKE_PEOPLE; i++) {
        const struct session *s = f->people[i];

        RR_ASSERT(!s || session_by_id(f->w.sessions, s->id) == s);
        RR_ASSERT(!s || (s->state == SESSION_JOINED) == (s->room != NULL));
        RR_ASSERT(!s || (s->state == SESSION_CLOSING) == (f->conns[i].close_code != 0));
    }
}

/* Small tables are full soon, and cost little to make: a worker's own has room for 65,536 grabs. */
struct grab_pending *__wrap_grab_pending_create(const struct grab_pending_opts *o);
struct grab_pending *__real_grab_pending_create(const struct grab_pending_opts *o);

struct grab_pending *__wrap_grab_pending_create(const struct grab_pending_opts *o)
{
    struct grab_pending_opts small = *o;

    small.cap = 16;
    return __real_grab_pending_create(&small);
}

/* One world for all inputs, made new after each. */
static struct fake_worker *world(void)
{
    static struct fake_worker *f;

    if (f)
        return f;
    setenv("REDRAIN_LIMITS_SLOTS", "1024", 1);
    setenv("REDRAIN_SERVER_MAX_CONNECTIONS", "16", 1);
    rr_log_init("fuzz", RR_LOG_ERROR);
    f = fake_worker_create();
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.f = world()};

    for (size_t at = 0; at + 3 <= size;) {
        size_t len = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
        unsigned what = data[at] >> 3;
        int who = data[at] & 7;

        at += 3;
        if (len > size - at)
            len = size - at;
        if (what < STEP_COUNT)
            step(&r, (enum session_step)what, who, rr_slice_of(data + at, len));
        check(r.f);
        at += len;
    }
    fake_worker_reset(r.f);
    return 0;
}
