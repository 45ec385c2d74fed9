/* sim_client.c - viewers: they follow the rules of web-demo/grabber.js and keep what they were told. Some users have two
 * devices on two servers. `again` is true once this (code, seq) was sent without a final answer. */
#include <string.h>

#include "sim.h"
#include "sim_sql.h"

enum { ASK_AGAIN_US = 1500 * SIM_MS, ASK_AGAIN_MAX_US = 6 * SIM_S, CLIENTS = 2 * SIM_USERS };

struct client {
    bool there;
    int server;
    uint32_t seq;
    bool again;
    uint32_t asks;  /* the newest question */
    uint32_t asked; /* of this seq */
    int64_t wait_us;
    bool open; /* a question is out */
    bool done;
};

struct told {
    uint32_t n; /* times */
    uint32_t shard;
    uint32_t no;
    int64_t amount_fen;
    bool no_final; /* a final "no" reached some device */
    enum rr_err why;
};

static struct client clients[CLIENTS];
static struct told told[SIM_USERS][SIM_LIMIT + 1];
static bool going;

static uint32_t user_of(uint32_t client)
{
    return client % SIM_USERS;
}

static void ask(uint32_t id);

static void on_wait(void *arg, uint64_t n)
{
    uint32_t id = (uint32_t)(uintptr_t)arg;
    struct client *c = &clients[id];

    if (c->done || n != c->asks)
        return;
    c->wait_us = c->wait_us * 2 > ASK_AGAIN_MAX_US ? ASK_AGAIN_MAX_US : c->wait_us * 2;
    /* A link that does not answer is left; the next server is as good. */
    if (sim_chance(0.5))
        c->server = (c->server + 1) % SIM_SERVERS;
    ask(id);
}

static void wait_for(uint32_t id, int64_t us)
{
    sim_at(us, on_wait, (void *)(uintptr_t)id, clients[id].asks);
}

static void ask(uint32_t id)
{
    struct client *c = &clients[id];
    bool again = c->again;

    c->asks++;
    c->asked++;
    c->again = true;
    c->open = true;
    sim_trace("user %u.%u asks server %d seq %u%s", user_of(id) + 1, id / SIM_USERS, c->server,
              c->seq, again ? " again" : "");
    wait_for(id, c->wait_us + sim_between(0, 200 * SIM_MS));
    /* The rain is over and told: what is still open is answered from SQL (MY_GRANTS). */
    if (sql_settled() && c->asked > 3 && again) {
        struct sql_grant g;

        if (sql_grant_of((int64_t)user_of(id) + 1, c->seq, &g)) {
            told_amount(id, c->seq, g.shard, g.packet_no, g.amount_fen);
            client_reply(id, c->server, c->asks, RR_OK, c->seq, g.shard, g.packet_no, g.amount_fen,
                         true);
        } else {
            client_reply(id, c->server, c->asks, RR_ENDED, c->seq, 0, 0, 0, true);
        }
        return;
    }
    if (!sim.chaos || !sim_chance(0.03))
        server_submit(c->server, id, c->seq, again, c->asks);
}

static void next_seq(uint32_t id, uint32_t seq)
{
    struct client *c = &clients[id];

    c->seq = seq;
    c->again = false;
    c->asked = 0;
    c->open = false;
    c->wait_us = ASK_AGAIN_US;
    c->asks++;
    if (seq > sim.plan.limit || seq >= SIM_LIMIT + 1)
        c->done = true;
    else
        wait_for(id, !sim_chance(sim.plan.late) ? sim_between(5 * SIM_MS, 700 * SIM_MS)
                                                : sim_between(SIM_S, sim.plan.duration_us));
}

static bool final_no(enum rr_err rc)
{
    return rc == RR_SOLD_OUT || rc == RR_ENDED || rc == RR_LIMIT;
}

void client_reply(uint32_t id, int server, uint32_t ask_no, enum rr_err rc, uint32_t seq,
                  uint32_t shard, uint32_t no, int64_t amount_fen, bool final)
{
    struct client *c = &clients[id];

    (void)server;
    (void) final;
    (void)shard;
    (void)no;
    sim_trace("user %u.%u hears %s seq %u amount %lld", user_of(id) + 1, id / SIM_USERS,
              rr_err_name(rc), seq, (long long)amount_fen);
    if (c->done)
        return;
    if (rc == RR_OK) {
        if (seq >= c->seq)
            next_seq(id, seq + 1);
        return;
    }
    if (rc == RR_PENDING || ask_no != c->asks)
        return; /* a "no" counts only as the answer to the newest question */
    if (final_no(rc)) {
        struct told *t = &told[user_of(id)][c->seq];

        t->no_final = true;
        t->why = rc;
        c->done = true;
    } else if (rc == RR_BAD_SEQ) {
        next_seq(id, seq);
    } else {
        bool unknown = c->asked > 1;

        c->again = unknown;
        wait_for(id, sim_between(300 * SIM_MS, 900 * SIM_MS));
    }
}

void told_amount(uint32_t id, uint32_t seq, uint32_t shard, uint32_t no, int64_t amount_fen)
{
    struct told *t = NULL;

    if (seq > SIM_LIMIT) {
        sim_violation("user %u was told seq %u", user_of(id) + 1, seq);
        return;
    }
    t = &told[user_of(id)][seq];
    if (t->n && (t->shard != shard || t->no != no || t->amount_fen != amount_fen))
        sim_violation("user %u seq %u: told %u:%u %lld and %u:%u %lld", user_of(id) + 1, seq,
                      t->shard, t->no, (long long)t->amount_fen, shard, no, (long long)amount_fen);
    t->n++;
    t->shard = shard;
    t->no = no;
    t->amount_fen = amount_fen;
    sim_trace("told: user %u seq %u packet %u:%u amount %lld", user_of(id) + 1, seq, shard, no,
              (long long)amount_fen);
}

static void on_first(void *arg, uint64_t n)
{
    uint32_t id = (uint32_t)(uintptr_t)arg;

    (void)n;
    if (!clients[id].done && clients[id].asks == 0)
        ask(id);
}

void clients_init(void)
{
    memset(clients, 0, sizeof(clients));
    memset(told, 0, sizeof(told));
    going = false;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];

        c->there = user_of(i) < sim.plan.users && (i < SIM_USERS || sim_chance(0.2));
        c->done = !c->there;
        c->server = (int)sim_rand(SIM_SERVERS);
        c->wait_us = ASK_AGAIN_US;
    }
}

/* Most tap at the opening, some before, some late, some after the end. */
void clients_go(void)
{
    int64_t opening_us = sim.plan.countdown_us;

    if (going)
        return;
    going = true;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        int64_t at_us = opening_us + sim_between(-300 * SIM_MS, 500 * SIM_MS);

        if (sim_chance(sim.plan.late))
            at_us = opening_us + sim_between(0, sim.plan.duration_us + SIM_S);
        if (clients[i].there)
            sim_at(at_us, on_first, (void *)(uintptr_t)i, 0);
    }
}

/* Whoever has not asked by now stays away. */
void clients_stop(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        clients[i].done = clients[i].done || clients[i].asks == 0;
}

bool clients_done(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (!clients[i].done && clients[i].asks)
            return false;
    }
    return true;
}

/* ---- what the ledger must agree with ---- */

void clients_check(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (!clients[i].done && clients[i].asks)
            sim_violation("unanswered: user %u.%u seq %u", user_of(i) + 1, i / SIM_USERS,
                          clients[i].seq);
    }
    for (uint32_t u = 0; u < sim.plan.users; u++) {
        for (uint32_t seq = 0; seq <= SIM_LIMIT; seq++) {
            const struct told *t = &told[u][seq];
            struct sql_grant g;
            uint32_t rows = sql_grant_of((int64_t)u + 1, seq, &g);

            if (t->n && !rows)
                sim_violation("lost: user %u seq %u was told packet %u:%u, %lld fen", u + 1, seq,
                              t->shard, t->no, (long long)t->amount_fen);
            else if (t->n &&
                     (g.shard != t->shard || g.packet_no != t->no || g.amount_fen != t->amount_fen))
                sim_violation("other: user %u seq %u was told %u:%u %lld, has %u:%u %lld", u + 1,
                              seq, t->shard, t->no, (long long)t->amount_fen, g.shard, g.packet_no,
                              (long long)g.amount_fen);
            if (rows > 1)
                sim_violation("doubled: user %u seq %u is paid %u times", u + 1, seq, rows);
            if (!t->n && t->no_final && rows)
                sim_violation("hidden: user %u seq %u was told %s and has packet %u:%u", u + 1, seq,
                              rr_err_name(t->why), g.shard, g.packet_no);
        }
    }
}
