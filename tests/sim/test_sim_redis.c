/* test_sim_redis.c - the simulated Redis against a real one: random sequences of script calls and commands run on both; every
 * reply, and all keys with all contents, must be the same. Both have the same time and run id: on the real one the scripts read
 * them from a key (the rewrites below). A TTL is compared to the minute.
 *   test_sim_redis [FIRST [SEQUENCES]]: a difference names its seed, which alone shows it again. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/store/redis_fixture.h"
#include "base/alloc.h"
#include "sim_compare.h"

enum { SEQUENCES = 10000, WORDS_MAX = 64, CALLS_MAX = 400, SCRIPTS_MAX = 48, EVERY_CALL = 10 };
#define ENV "cmp:env"
#define BASE_US INT64_C(1700000000000000)

/* '*' is what Redis' own clock makes of it: not before the last id. */
static const char *const rewrites[][2] = {
    {"redis.call('TIME')", "redis.call('HMGET', '" ENV "', 's', 'us')"},
    {"redis.call('INFO', 'server')", "redis.call('HGET', '" ENV "', 'info')"},
    {"redis.call('XADD', KEYS[4], '*',",
     "redis.call('XADD', KEYS[4], (function(k) local ms = tonumber(redis.call('HGET', '" ENV
     "', 'ms')) if redis.call('EXISTS', k) == 1 then local i = redis.call('XINFO', 'STREAM', k) "
     "for j = 1, #i, 2 do if i[j] == 'last-generated-id' then "
     "ms = math.max(ms, tonumber(string.match(i[j + 1], '^%d+'))) end end end "
     "return string.format('%.0f', ms) .. '-*' end)(KEYS[4]),"},
    {NULL, NULL},
};

/* rdb_dump() of the real one. */
static const char dump_text[] =
    "local lines = {} "
    "for _, k in ipairs(redis.call('KEYS', '*')) do "
    "  if k ~= '" ENV "' and string.sub(k, 1, 5) ~= 'snap:' then "
    "    local t, ttl, p = redis.call('TYPE', k).ok, redis.call('PTTL', k), {} "
    "    local l = k .. ' ' .. (t == 'stream' and 'x' or string.sub(t, 1, 1)) "
    "    if ttl >= 0 then l = l .. '!' .. math.floor(ttl / 60000) end "
    "    if t == 'string' then l = l .. redis.call('GET', k) "
    "    elseif t == 'list' then p = redis.call('LRANGE', k, 0, -1) "
    "    elseif t == 'hash' then "
    "      local h = redis.call('HGETALL', k) "
    "      for i = 1, #h, 2 do p[#p + 1] = h[i] .. '=' .. h[i + 1] end "
    "      table.sort(p) "
    "    else "
    "      local i = redis.call('XINFO', 'STREAM', k) "
    "      for j = 1, #i, 2 do if i[j] == 'last-generated-id' then l = l .. i[j + 1] end end "
    "      for _, e in ipairs(redis.call('XRANGE', k, '-', '+')) do "
    "        p[#p + 1] = e[1] .. ',' .. table.concat(e[2], ',') end "
    "    end "
    "    for _, x in ipairs(p) do l = l .. '|' .. x end "
    "    lines[#lines + 1] = l .. '\\n' "
    "  end "
    "end "
    "table.sort(lines) "
    "return table.concat(lines)";

/* A clock that jumps: TTLs are half a minute off whole minutes, and so stay clear of the real time that went by. */
static const char pass_text[] =
    "for _, k in ipairs(redis.call('KEYS', '*')) do "
    "  local ttl = redis.call('PTTL', k) "
    "  if ttl >= 0 then "
    "    ttl = math.floor(ttl / 60000) * 60000 + 30000 - tonumber(ARGV[1]) "
    "    if ttl <= 0 then redis.call('UNLINK', k) else redis.call('PEXPIRE', k, ttl) end "
    "  end "
    "end";

/* ARGV 1, 2: the beginning of names to copy from, and to ("": all but copies); what was there before goes. */
static const char snapshot_text[] =
    "local from, to = ARGV[1], ARGV[2] "
    "for _, k in ipairs(redis.call('KEYS', '*')) do "
    "  local copy = string.sub(k, 1, 5) == 'snap:' "
    "  if k ~= '" ENV "' and copy == (to ~= '') then redis.call('UNLINK', k) end "
    "end "
    "for _, k in ipairs(redis.call('KEYS', '*')) do "
    "  local copy = string.sub(k, 1, 5) == 'snap:' "
    "  if k ~= '" ENV "' and copy == (from ~= '') then "
    "    redis.call('COPY', k, to .. string.sub(k, #from + 1)) end "
    "end";

static struct redis_fixture redis;
static struct {
    const struct store_script *script; /* NULL: of this test */
    char sha[41];
} loaded[SCRIPTS_MAX];
static uint32_t loaded_n;
static char sha_dump[41], sha_pass[41], sha_snapshot[41];
static uint64_t first_seed = 1, sequences = SEQUENCES;

static struct rdb *model;
static struct rdb *saved;
static uint64_t life;
static char run_id[RR_RID_LEN + 1];
static struct rstr words[WORDS_MAX];
static uint32_t words_n;
static struct call {
    const char *what;
    const char *reply; /* of the model; NULL: not looked at */
} calls[CALLS_MAX];
static uint32_t calls_n;
static bool dump_each;
static uint64_t calls_all, errors_all;

int64_t redis_now_us(void)
{
    return BASE_US + sim.now_us;
}

const char *redis_run_id(void)
{
    return run_id;
}

/* ---- what was answered: each of these often, or the sequences miss their aim ---- */

/* pool_grab: the first letters of its items. */
static struct {
    const struct store_script *script;
    const char *word;
    uint64_t n;
} answers[] = {
    {&script_pool_seal, "sealed", 0},   {&script_pool_seal, "exists", 0},
    {&script_pool_seal, "length", 0},   {&script_pool_seal, "hash", 0},
    {&script_pool_seal, "leftover", 0}, {&script_pool_open, "opened", 0},
    {&script_pool_open, "noop", 0},     {&script_pool_open, "none", 0},
    {&script_pool_open, "rid", 0},      {&script_pool_extend, "ok", 0},
    {&script_pool_extend, "none", 0},   {&script_pool_extend, "closed", 0},
    {&script_pool_extend, "rid", 0},    {&script_pool_close, "closed", 0},
    {&script_pool_close, "early", 0},   {&script_pool_close, "none", 0},
    {&script_pool_state, "ok", 0},      {&script_pool_state, "none", 0},
    {&script_pool_retire, "ok", 0},     {&script_pool_retire, "open", 0},
    {&script_pool_fence, "ok", 0},      {&script_pool_refill, "applied", 0},
    {&script_pool_refill, "done", 0},   {&script_pool_refill, "run", 0},
    {&script_pool_refill, "lost", 0},   {&script_pool_refill, "moved", 0},
    {&script_pool_refill, "tmp", 0},    {&script_pool_grab, "O", 0},
    {&script_pool_grab, "R", 0},        {&script_pool_grab, "N", 0},
    {&script_pool_grab, "E", 0},        {&script_pool_grab, "B", 0},
    {&script_pool_grab, "Q", 0},        {&script_pool_grab, "L", 0},
    {&script_pool_grab, "S", 0},        {&script_pool_grab, "X", 0},
    {&script_pool_grab, "D", 0},
};
static const uint64_t ENOUGH = 50;

static void answer_count(const struct store_script *script, const struct rval *v)
{
    const struct rval *word = v->type == R_ARRAY && v->n ? &v->el[0] : v;

    if (script == &script_pool_grab && v->type == R_ARRAY)
        word = &v->el[9];
    for (size_t i = 0; word->type == R_STR && i < RR_COUNTOF(answers); i++) {
        const char *p = word->s.p;

        if (answers[i].script != script)
            continue;
        if (script != &script_pool_grab) {
            answers[i].n += strcmp(p, answers[i].word) == 0;
            continue;
        }
        for (; p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL)
            answers[i].n += *p == answers[i].word[0];
    }
}

/* ---- text of replies ---- */

static char *text_joined(const char *open, char **list, size_t n)
{
    size_t room = 16;
    char *out = NULL;
    size_t used = 0;

    for (size_t i = 0; i < n; i++)
        room += strlen(list[i]) + 1;
    out = sim_alloc(room);
    used = (size_t)snprintf(out, room, "%s", open);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, room - used, "%s ", list[i]);
    snprintf(out + used, room - used, "]");
    return out;
}

static char *text_one(char kind, const char *text, size_t len)
{
    char *out = sim_alloc(len + 2);

    out[0] = kind;
    memcpy(out + 1, text, len);
    return out;
}

/* Redis adds which script it was. */
static size_t error_len(const char *text, size_t len)
{
    const char *end = memmem(text, len, " script: ", 9);

    return end ? (size_t)(end - text) : len;
}

static char *text_of_model(const struct rval *v)
{
    char number[24];
    char **list = NULL;

    switch (v->type) {
    case R_NIL: return text_one('_', "", 0);
    case R_INT:
        snprintf(number, sizeof(number), "%lld", (long long)v->i);
        return text_one(':', number, strlen(number));
    case R_STR: return text_one('$', v->s.p, v->s.len);
    case R_STATUS: return text_one('+', v->s.p, v->s.len);
    case R_ERROR: return text_one('-', v->s.p, v->s.len);
    case R_ARRAY: break;
    }
    list = sim_alloc((v->n + 1) * sizeof(*list));
    for (uint32_t i = 0; i < v->n; i++)
        list[i] = text_of_model(&v->el[i]);
    return text_joined("[", list, v->n);
}

static char *text_of_real(const redisReply *r)
{
    char number[24];
    char **list = NULL;

    switch (r->type) {
    case REDIS_REPLY_NIL: return text_one('_', "", 0);
    case REDIS_REPLY_INTEGER:
        snprintf(number, sizeof(number), "%lld", r->integer);
        return text_one(':', number, strlen(number));
    case REDIS_REPLY_STRING: return text_one('$', r->str, r->len);
    case REDIS_REPLY_STATUS: return text_one('+', r->str, r->len);
    case REDIS_REPLY_ERROR: return text_one('-', r->str, error_len(r->str, r->len));
    default: break;
    }
    list = sim_alloc((r->elements + 1) * sizeof(*list));
    for (size_t i = 0; i < r->elements; i++)
        list[i] = text_of_real(r->element[i]);
    return text_joined("[", list, r->elements);
}

/* ---- calls on both sides ---- */

static void expect(const char *what, const char *reply)
{
    assert_true(calls_n < CALLS_MAX);
    calls[calls_n++] = (struct call){what, reply};
}

static void append(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    assert_int_equal(redisvAppendCommand(redis.ctx, fmt, ap), REDIS_OK);
    va_end(ap);
}

static void env_send(void)
{
    append("HSET " ENV " s %lld us %lld ms %lld info %s%s%s", redis_now_us() / 1000000,
           redis_now_us() % 1000000, redis_now_us() / 1000,
           "# Server\r\nredis_version:7.0.15\r\nrun_id:", run_id, "\r\ntcp_port:0\r\n");
    expect("env", NULL);
}

static void dump_send(void)
{
    append("EVALSHA %s 0", sha_dump);
    expect("all keys", text_one('$', rdb_dump(model), strlen(rdb_dump(model))));
}

void cmp_word(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    int n = 0;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < sizeof(text) && words_n < WORDS_MAX);
    words[words_n++] = rstr_copy(text, (size_t)n);
}

static const char *sha_of(const struct store_script *script)
{
    for (uint32_t i = 0; i < loaded_n; i++) {
        if (loaded[i].script == script)
            return loaded[i].sha;
    }
    fail_msg("script %s is not loaded", script->name);
    return "";
}

struct rval cmp_run(const struct store_script *script, uint32_t keys)
{
    const char *argv[WORDS_MAX + 3];
    size_t lens[WORDS_MAX + 3];
    char **list = sim_alloc((words_n + 1) * sizeof(*list));
    struct rstr model_argv[WORDS_MAX + 1];
    uint32_t n = 0;
    struct rval out;
    char number[16];

    snprintf(number, sizeof(number), "%u", keys);
    if (script) {
        argv[n++] = "EVALSHA";
        argv[n++] = sha_of(script);
        argv[n++] = number;
    }
    for (uint32_t i = 0; i < n; i++)
        lens[i] = strlen(argv[i]);
    for (uint32_t i = 0; i < words_n; i++) {
        list[i] = text_one('\'', words[i].p, words[i].len);
        argv[n] = words[i].p;
        lens[n++] = words[i].len;
        model_argv[i + 1] = words[i];
    }
    model_argv[0] = rstr_of(number);
    assert_int_equal(redisAppendCommandArgv(redis.ctx, (int)n, argv, lens), REDIS_OK);
    out = script ? lua_run(model, script, model_argv, words_n + 1)
                 : rdb_command(model, words, words_n);
    expect(text_joined(script ? script->name : "", list, words_n), text_of_model(&out));
    words_n = 0;
    answer_count(script, &out);
    calls_all++;
    errors_all += out.type == R_ERROR;
    if (dump_each)
        dump_send();
    return out;
}

void cmp_time_passes(int64_t ms, uint32_t minutes)
{
    sim.now_us += ms * 1000 + (int64_t)minutes * 60 * SIM_S;
    if (minutes) {
        append("EVALSHA %s 0 %lld", sha_pass, (long long)minutes * 60000);
        expect("time passes", NULL);
    }
    env_send();
}

int64_t cmp_now_ms(void)
{
    return redis_now_us() / 1000;
}

const char *cmp_run_id(void)
{
    return run_id;
}

void cmp_restart(void)
{
    snprintf(run_id, sizeof(run_id), "%016llx%016llx%08x", (unsigned long long)sim.seed,
             (unsigned long long)++life, 0U);
    env_send();
}

void cmp_wipe(void)
{
    model = rdb_create();
    saved = NULL;
    append("FLUSHALL SYNC");
    expect("wiped", NULL);
    env_send();
}

static void snapshot_send(const char *from, const char *to)
{
    append("EVALSHA %s 0 %s %s", sha_snapshot, from, to);
    expect("snapshot", NULL);
}

void cmp_snapshot(void)
{
    saved = rdb_copy(model);
    snapshot_send("", "snap:");
}

void cmp_rollback(void)
{
    if (!saved)
        return;
    model = rdb_copy(saved);
    snapshot_send("snap:", "");
}

/* ---- a sequence ---- */

static void compare(uint64_t seed)
{
    for (uint32_t i = 0; i < calls_n; i++) {
        redisReply *r = NULL;
        const char *real = NULL;

        if (redisGetReply(redis.ctx, (void **)&r) != REDIS_OK)
            fail_msg("seed %llu: no answer: %s", (unsigned long long)seed, redis.ctx->errstr);
        real = text_of_real(r);
        if (!calls[i].reply ? r->type == REDIS_REPLY_ERROR : strcmp(real, calls[i].reply) != 0) {
            for (uint32_t k = 0; k <= i; k++)
                print_message("%3u %s\n    %s\n", k, calls[k].what,
                              calls[k].reply ? calls[k].reply : "");
            fail_msg("seed %llu, call %u: %s\nmodel %s\nredis %s", (unsigned long long)seed, i,
                     calls[i].what, calls[i].reply ? calls[i].reply : "", real);
        }
        freeReplyObject(r);
    }
}

static void sequence_run(uint64_t seed)
{
    sim_core_begin(seed);
    calls_n = 0;
    words_n = 0;
    life = 0;
    dump_each = seed % EVERY_CALL == 0;
    cmp_wipe();
    cmp_restart();
    sequence_play();
    dump_send();
    compare(seed);
}

static void same_as_redis(void **state)
{
    int64_t began = test_now_ms();

    (void)state;
    for (uint64_t i = 0; i < sequences; i++)
        sequence_run(first_seed + i);
    print_message("%llu sequences, %llu calls, %llu errors, %lld ms\n",
                  (unsigned long long)sequences, (unsigned long long)calls_all,
                  (unsigned long long)errors_all, (long long)(test_now_ms() - began));
    for (size_t i = 0; sequences >= SEQUENCES && i < RR_COUNTOF(answers); i++) {
        if (answers[i].n < ENOUGH)
            fail_msg("%s answered %s only %llu times", answers[i].script->name, answers[i].word,
                     (unsigned long long)answers[i].n);
    }
    assert_true(sequences < SEQUENCES ||
                (errors_all > calls_all / 200 && errors_all < calls_all / 4));
}

/* What the rewrites stand for. */
static void clock_and_ids(void **state)
{
    redisReply *r = NULL;
    struct rval v;

    (void)state;
    sim_core_begin(1);
    model = rdb_create();
    cmp_word("TIME");
    v = rdb_command(model, words, words_n);
    words_n = 0;
    r = redis_do(&redis, "TIME");
    assert_int_equal(r->elements, 2);
    assert_int_equal(v.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(r->element[i]->type, REDIS_REPLY_STRING);
        assert_int_equal(v.el[i].type, R_STR);
    }
    freeReplyObject(r);
    assert_non_null(strstr(redis_do_str(&redis, "INFO server"), "\r\nrun_id:"));
    /* '*' does not go back behind the last id. */
    redis_do_str(&redis, "XADD s 9999999999999-5 a b");
    assert_string_equal(redis_do_str(&redis, "XADD s * a b"), "9999999999999-6");
    cmp_word("XADD");
    cmp_word("s");
    cmp_word("9999999999999-5");
    cmp_word("a");
    cmp_word("b");
    rdb_command(model, words, words_n);
    words[2] = rstr_of("*");
    v = rdb_command(model, words, words_n);
    words_n = 0;
    assert_string_equal(v.s.p, "9999999999999-6");
}

static void load(const struct store_script *script, const char *text, char sha[41])
{
    snprintf(sha, 41, "%s", redis_do_str(&redis, "SCRIPT LOAD %s", text));
    assert_int_equal(strlen(sha), 40);
    if (script)
        assert_true(!strstr(text, "'TIME'") && !strstr(text, "'INFO'") && !strstr(text, "'*'"));
}

static int setup(void **state)
{
    (void)state;
    setenv("LC_ALL", "C", 1); /* table.sort is by bytes then */
    redis_start(&redis);
    redis_do_str(&redis, "CONFIG SET appendonly no");
    lua_rewrite(rewrites);
    for (uint32_t i = 0; store_scripts[i]; i++) {
        char *text = lua_text(store_scripts[i]);

        assert_true(loaded_n < SCRIPTS_MAX);
        loaded[loaded_n].script = store_scripts[i];
        load(store_scripts[i], text, loaded[loaded_n++].sha);
        free(text);
    }
    lua_rewrite(NULL);
    load(NULL, dump_text, sha_dump);
    load(NULL, pass_text, sha_pass);
    load(NULL, snapshot_text, sha_snapshot);
    lua_init(MUT_none);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lua_fini();
    redis_stop(&redis);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_and_ids),
        cmocka_unit_test(same_as_redis),
    };

    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 1)
        sequences = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    return cmocka_run_group_tests(tests, setup, teardown);
}
