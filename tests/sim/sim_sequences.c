/* sim_sequences.c - random sequences of what the simulation, and the server, ask of Redis: the life of a shard with right and
 * wrong arguments, at the wrong time, over keys of the wrong type, across restarts, wipes and rollbacks. */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sim_compare.h"

enum { SHARDS = 2, CALLS_MIN = 6, CALLS_MAX = 16, AMOUNTS = 10 };

static uint32_t shard;
static int64_t t0_ms, t1_ms;
static char last_id[48];

static const char *const users[] = {"1", "2",     "7", "1001", "9223372036854775807",
                                    "",  "u:1;2", "-4"};
static const char *const seqs[] = {"-1", "x", "", "r", "1.5", "0x1", "99999999999999999999", "r-1"};
static const char *const numbers[] = {"0",
                                      "1",
                                      "-1",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "007",
                                      "+1",
                                      " 1",
                                      "",
                                      "1.5",
                                      "x",
                                      "1e3",
                                      "-0",
                                      "5000",
                                      "42"};
static const char *const parts[] = {"list", "state", "users", "outbox", "fence", "tmp:1", "tmp:2"};
static const char *const fields[] = {"st", "rid",     "t0",  "t1",   "limit",
                                     "n",  "granted", "fen", "room", "sold_out_at"};

#define PICK(list) list[sim_rand(sizeof(list) / sizeof((list)[0]))]

static void key(const char *part)
{
    cmp_word("redpkt:{c:%" PRIu32 "}:%s", shard, part);
}

static void number(void)
{
    cmp_word("%s", PICK(numbers));
}

/* Now and then something else than what belongs there. */
static void int_or_odd(int64_t value)
{
    if (sim_chance(0.03))
        number();
    else
        cmp_word("%" PRId64, value);
}

/* Never a whole number of minutes: both clocks may drift by seconds before a TTL comes out different. */
static void ttl_s(void)
{
    if (sim_chance(0.03))
        cmp_word("%s", sim_chance(0.5) ? "0" : "-5");
    else
        cmp_word("%" PRId64, 30 + 60 * sim_between(0, 4));
}

static void ttl_ms(void)
{
    cmp_word("%" PRId64, 30000 + 60000 * sim_between(0, 4));
}

/* ---- a shard's life ---- */

static struct {
    char text[AMOUNTS][24];
    uint32_t n;
    char hash[2 * SHA_DIGEST_LENGTH + 1];
} fill;

static void fill_draw(uint32_t n)
{
    char joined[AMOUNTS * 25] = "";
    unsigned char sum[SHA_DIGEST_LENGTH];
    size_t used = 0;

    fill.n = n;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(fill.text[i], sizeof(fill.text[i]), "%" PRId64, sim_between(1, 2000));
        if (sim_chance(0.01))
            snprintf(fill.text[i], sizeof(fill.text[i]), "%s", PICK(numbers));
        used += (size_t)snprintf(joined + used, sizeof(joined) - used, "%s%s", i ? "," : "",
                                 fill.text[i]);
    }
    SHA1((const unsigned char *)joined, used, sum);
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(fill.hash + 2 * i, 3, "%02x", sum[i]);
    if (sim_chance(0.03))
        fill.hash[0] = 'x';
}

static void fill_push(const char *part)
{
    if (fill.n) {
        cmp_word("RPUSH");
        key(part);
        for (uint32_t i = 0; i < fill.n; i++)
            cmp_word("%s", fill.text[i]);
        cmp_run(NULL, 0);
    }
    if (sim_chance(0.7)) {
        cmp_word("EXPIRE");
        key(part);
        ttl_s();
        cmp_run(NULL, 0);
    }
}

static void op_seal(void)
{
    fill_draw((uint32_t)sim_rand(AMOUNTS + 1));
    fill_push("tmp:1");
    if (sim_chance(0.05)) { /* the state alone is lost */
        cmp_word("DEL");
        key("state");
        cmp_run(NULL, 0);
    }
    key("list");
    key("state");
    key("users");
    key("outbox");
    key("tmp:1");
    int_or_odd(fill.n);
    cmp_word("%s", fill.hash);
    int_or_odd(sim_between(1, 3));
    cmp_word("room");
    cmp_run(&script_pool_seal, 5);
}

static void op_open(void)
{
    t0_ms = cmp_now_ms() + sim_between(-2, 8);
    t1_ms = t0_ms + sim_between(0, 300);
    key("state");
    int_or_odd(t0_ms);
    int_or_odd(t1_ms);
    cmp_run(&script_pool_open, 1);
}

static void op_extend(void)
{
    key("state");
    int_or_odd(t1_ms + sim_between(-20, 100));
    cmp_run(&script_pool_extend, 1);
}

static void op_close(void)
{
    key("list");
    key("state");
    cmp_word("%s", sim_chance(0.5) ? "1" : "0");
    cmp_run(&script_pool_close, 2);
}

static void op_state(void)
{
    key("state");
    key("list");
    cmp_run(&script_pool_state, 2);
}

static void op_retire(void)
{
    key("list");
    key("state");
    key("users");
    key("outbox");
    ttl_s();
    cmp_run(&script_pool_retire, 4);
}

static void op_grab(void)
{
    uint32_t items = sim_chance(0.02) ? 0 : 1 + (uint32_t)sim_rand(sim_chance(0.2) ? 12 : 4);
    struct rval r;

    key("list");
    key("state");
    key("users");
    key("outbox");
    int_or_odd(sim_chance(0.1) ? sim_between(0, 3) : 100);
    cmp_word("c");
    cmp_word("%" PRIu32, shard);
    for (uint32_t i = 0; i < items; i++) {
        cmp_word("%s", sim_chance(0.02) ? PICK(users) : users[sim_rand(5)]);
        if (sim_chance(0.01))
            cmp_word("%s", PICK(seqs));
        else
            cmp_word("%s%" PRIu64, sim_chance(0.1) ? "r" : "", sim_chance(0.6) ? 0 : sim_rand(5));
    }
    if (sim_chance(0.005))
        cmp_word("1"); /* a user without a seq */
    r = cmp_run(&script_pool_grab, 4);
    if (r.type == R_ARRAY && r.n == 10 && r.el[8].s.len)
        snprintf(last_id, sizeof(last_id), "%s", r.el[8].s.p);
}

static void op_outbox_read(void)
{
    key("outbox");
    int_or_odd(sim_chance(0.3) ? sim_between(0, 40) : 0);
    int_or_odd(sim_between(1, 4));
    cmp_word("%s", sim_chance(0.4) ? last_id : "");
    cmp_run(&script_outbox_read, 1);
}

static void op_xdel(void)
{
    cmp_word("XDEL");
    key("outbox");
    cmp_word("%s", last_id[0] ? last_id : "1-1");
    if (sim_chance(0.2))
        cmp_word("%" PRId64 "-0", cmp_now_ms());
    cmp_run(NULL, 0);
}

/* What the state says; quietly wrong at times. */
static struct rstr state_rid(void)
{
    struct rval r;

    cmp_word("HGET");
    key("state");
    cmp_word("rid");
    r = cmp_run(NULL, 0);
    return r.type == R_STR && sim_chance(0.95) ? r.s : rstr_of("");
}

static uint32_t refill_users(void)
{
    uint32_t n = (uint32_t)sim_rand(4);

    if (!n)
        return 0;
    cmp_word("HSET");
    key("tmp:2");
    for (uint32_t i = 0; i < n; i++) {
        cmp_word("%s", users[i]);
        cmp_word("%s0:%" PRIu32 ":%" PRId64, sim_chance(0.2) ? "-;" : "", i, sim_between(1, 99));
    }
    cmp_run(NULL, 0);
    cmp_word("EXPIRE");
    key("tmp:2");
    ttl_s();
    cmp_run(NULL, 0);
    return n;
}

static void op_recover(void)
{
    static const char *const states[] = {"P", "O", "O", "O", "C"};
    char rid[RR_RID_LEN + 1];
    struct rstr from;
    uint32_t floor_no = (uint32_t)sim_rand(4);
    uint32_t n_users = 0;

    cmp_word("epoch");
    cmp_word("%016" PRIx64, sim_rand(UINT64_MAX));
    cmp_run(&script_pool_epoch, 1);
    snprintf(rid, sizeof(rid), "%.32s%08" PRIx64, cmp_run_id(), sim_rand(UINT32_MAX));
    if (sim_chance(0.9)) {
        key("fence");
        key("state");
        cmp_word("%s", rid);
        cmp_word("%d", 86430);
        cmp_run(&script_pool_fence, 2);
    }
    from = state_rid();
    if (sim_chance(0.1))
        cmp_restart();
    fill_draw(sim_chance(0.1) ? 0 : (uint32_t)sim_rand(AMOUNTS));
    fill_push("tmp:1");
    n_users = refill_users();
    for (uint32_t times = sim_chance(0.1) ? 2 : 1; times; times--) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
            key(parts[i]);
        cmp_word("%s", rid);
        cmp_word("%s", from.p);
        int_or_odd(fill.n + floor_no);
        int_or_odd(floor_no);
        int_or_odd(sim_between(0, 5000));
        cmp_word("%s", PICK(states));
        cmp_word("%" PRId64, sim_chance(0.2) ? 0 : t0_ms);
        cmp_word("%" PRId64, t1_ms);
        int_or_odd(sim_between(1, 3));
        cmp_word("room");
        int_or_odd(n_users);
        cmp_word("%s", fill.hash);
        cmp_word("c");
        cmp_word("%" PRIu32, shard);
        for (uint64_t i = sim_rand(3); i; i--)
            cmp_word("%s:0:%" PRIu64 ":5", PICK(users), i);
        cmp_run(&script_pool_refill, 7);
    }
}

/* ---- locks and sums ---- */

static void op_lock(void)
{
    cmp_word("lock");
    cmp_word("%s", PICK(users));
    if (sim_chance(0.6)) {
        ttl_ms();
        cmp_run(&script_lock, 1);
    } else {
        cmp_run(&script_unlock, 1);
    }
}

static void op_sums(void)
{
    if (sim_chance(0.5)) {
        cmp_word("total:%s", users[sim_rand(2)]);
        number();
        cmp_run(&script_user_total_max, 1);
        return;
    }
    cmp_word("counts");
    cmp_word("prices");
    cmp_word("c%" PRIu64, sim_rand(2));
    number();
    number();
    cmp_run(&script_stats_max, 2);
}

/* ---- rooms and users' logs ---- */

static void op_room(void)
{
    switch (sim_rand(4)) {
    case 0:
        cmp_word("meta");
        cmp_word("log");
        cmp_word("live");
        cmp_word("done");
        cmp_word("channel");
        cmp_word("%016" PRIx64, sim_rand(UINT64_MAX));
        cmp_word("%" PRIu64, sim_rand(5));
        cmp_word("payload %" PRIu64, sim_rand(100));
        cmp_word("%s", sim_chance(0.3) ? "" : users[sim_rand(4)]);
        cmp_word("%d", sim_chance(0.4));
        cmp_word("500");
        cmp_word("2");
        ttl_s();
        cmp_run(&script_room_push, 4);
        break;
    case 1: {
        struct rval r;
        uint64_t seq = sim_rand(4);

        cmp_word("HGET");
        cmp_word("meta");
        cmp_word("epoch");
        r = cmp_run(NULL, 0);
        cmp_word("meta");
        cmp_word("log");
        cmp_word("live");
        cmp_word("sanctions");
        cmp_word("%s", r.type == R_STR ? r.s.p : "0000000000000000");
        cmp_word("%" PRIu64, seq);
        cmp_word("%" PRIu64, seq + 1);
        cmp_word("%d", 3);
        cmp_run(&script_room_load, 4);
        break;
    }
    case 2:
        cmp_word("members");
        cmp_word("delivery");
        cmp_word("%s", sim_chance(0.3) ? "" : users[sim_rand(4)]);
        cmp_word("%" PRIu64, sim_rand(1000));
        cmp_word("15000");
        cmp_word("%d", 30000);
        cmp_run(&script_room_count, 2);
        break;
    default:
        cmp_word("userlog");
        if (sim_chance(0.3)) {
            cmp_run(&script_user_log, 1);
            return;
        }
        cmp_word("channel");
        cmp_word("message");
        cmp_word("item %" PRIu64, sim_rand(100));
        cmp_word("3");
        ttl_s();
        cmp_run(&script_user_push, 1);
    }
}

/* ---- single commands, on keys of any type; arguments: k key, f field, n number, i id, t TTL ---- */

static const struct {
    const char *name;
    const char *args;
} commands[] = {
    {"HGETALL", "k"}, {"HSCAN", "k0C"},  {"LRANGE", "knn"},  {"LTRIM", "knn"}, {"LPOP", "k"},
    {"LPOP", "kn"},   {"RPUSH", "kn"},   {"LLEN", "k"},      {"XLEN", "k"},    {"HLEN", "k"},
    {"HSET", "kfn"},  {"HSET", "kfnf"},  {"HDEL", "kf"},     {"HDEL", "kfff"}, {"HGET", "kf"},
    {"HMGET", "kff"}, {"HSETNX", "kfn"}, {"HINCRBY", "kfn"}, {"GET", "k"},     {"SET", "kn"},
    {"SET", "knN"},   {"XDEL", "ki"},    {"XRANGE", "kii"},  {"XADD", "kiff"}, {"DEL", "k"},
    {"UNLINK", "kk"}, {"RENAME", "kk"},  {"PERSIST", "k"},   {"EXPIRE", "kt"}, {"EXISTS", "kk"},
    {"LREM", "k0n"},  {"SET", "knPt"},   {"XTRIM", "kM0"},
};

static void word_of(char kind)
{
    switch (kind) {
    case 'k': key(PICK(parts)); break;
    case 'f': cmp_word("%s", PICK(fields)); break;
    case 'n': sim_chance(0.5) ? number() : cmp_word("%" PRId64, sim_between(-4, 8)); break;
    case 't': ttl_s(); break;
    case '0': cmp_word("0"); break;
    case 'N': cmp_word("NX"); break;
    case 'P': cmp_word("EX"); break;
    case 'M': cmp_word("MAXLEN"); break;
    case 'C':
        cmp_word("COUNT");
        cmp_word("500");
        break;
    case 'i':
        switch (sim_rand(6)) {
        case 0: cmp_word("-"); break;
        case 1: cmp_word("+"); break;
        case 2: cmp_word("(%s", last_id[0] ? last_id : "0-1"); break;
        case 3: cmp_word("%" PRId64, cmp_now_ms()); break;
        case 4: cmp_word("%" PRId64 "-%" PRIu64, cmp_now_ms(), sim_rand(3)); break;
        default: cmp_word("%s", last_id[0] ? last_id : "0-0");
        }
    }
}

static void op_command(void)
{
    size_t i = sim_rand(sizeof(commands) / sizeof(commands[0]));

    cmp_word("%s", commands[i].name);
    for (const char *p = commands[i].args; *p; p++)
        word_of(*p);
    cmp_run(NULL, 0);
}

static void op_look(void)
{
    cmp_word("HSCAN");
    key("users");
    word_of('0');
    word_of('C');
    cmp_run(NULL, 0);
}

static void op_fault(void)
{
    switch (sim_rand(5)) {
    case 0: cmp_restart(); break;
    case 1: cmp_wipe(); break;
    case 2: cmp_snapshot(); break;
    case 3: cmp_rollback(); break;
    default: cmp_time_passes(0, (uint32_t)sim_between(1, 3));
    }
}

static const struct {
    uint32_t weight;
    void (*run)(void);
} ops[] = {
    {40, op_grab}, {6, op_open},    {3, op_seal},   {4, op_extend},
    {6, op_close}, {4, op_state},   {3, op_retire}, {8, op_outbox_read},
    {6, op_xdel},  {7, op_recover}, {4, op_lock},   {4, op_sums},
    {5, op_room},  {7, op_command}, {4, op_look},   {6, op_fault},
};

static void op_any(void)
{
    uint32_t sum = 0;
    uint32_t at = 0;

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        sum += ops[i].weight;
    at = (uint32_t)sim_rand(sum);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (at < ops[i].weight) {
            ops[i].run();
            return;
        }
        at -= ops[i].weight;
    }
}

void sequence_play(void)
{
    uint32_t calls = (uint32_t)sim_between(CALLS_MIN, CALLS_MAX);
    uint32_t shards = 1 + (uint32_t)sim_rand(SHARDS);

    shard = 0;
    last_id[0] = 0;
    t0_ms = t1_ms = cmp_now_ms();
    for (; sim_chance(0.9) && shard < shards; shard++) {
        op_seal();
        if (sim_chance(0.8))
            op_open();
    }
    for (uint32_t i = 0; i < calls; i++) {
        shard = (uint32_t)sim_rand(shards);
        cmp_time_passes(sim_chance(0.05) ? -sim_between(1, 20) : sim_between(0, 15), 0);
        op_any();
    }
}
