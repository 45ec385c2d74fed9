/* A whole settler: records from a Kafka (librdkafka's mock cluster) into the books of a MariaDB, told through a Redis. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/conf.h"
#include "protocol/record.h"
#include "rain/split.h"
#include "rains.h"
#include "settler/settler.h"
#include "settler/topic.h"
#include "store/store_sync.h"
#include "testdb.h"

enum { DEADLINE_MS = 30000, PARTITIONS = 2 };

static struct {
    pid_t redis;
    char redis_url[64];
    rd_kafka_t *mock_owner;
    rd_kafka_mock_cluster_t *mock;
    rd_kafka_t *producer;
} env;

static struct run {
    struct rr_conf conf;
    atomic_bool stop;
    pthread_t thread;
    enum rr_err rc;
} runs[2];

static char topic[40];
static char rid[RR_RID_LEN + 1]; /* of the rain of this test */
static struct ledger *l;

static int64_t mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

/* ---- services ---- */

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int port = 0;

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &len) == 0)
        port = ntohs(a.sin_port);
    close(fd);
    return port;
}

static void start_redis(void)
{
    int port = free_port();
    char text[16];

    snprintf(text, sizeof(text), "%d", port);
    snprintf(env.redis_url, sizeof(env.redis_url), "redis://127.0.0.1:%d/0", port);
    env.redis = fork();
    if (env.redis == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "",
               "--appendonly", "no", (char *)NULL);
        _exit(127);
    }
}

static void start_kafka(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why));
    env.mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    env.mock = rd_kafka_mock_cluster_new(env.mock_owner, 1);
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why));
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(env.mock), why,
                      sizeof(why));
    env.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
}

static int setup(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    if (testdb_setup(state))
        return -1;
    start_redis();
    start_kafka();
    return 0;
}

static int teardown(void **state)
{
    if (env.redis > 0) {
        kill(env.redis, SIGKILL);
        waitpid(env.redis, NULL, 0);
    }
    rd_kafka_destroy(env.producer);
    rd_kafka_mock_cluster_destroy(env.mock);
    rd_kafka_destroy(env.mock_owner);
    return testdb_teardown(state);
}

/* ---- settlers ---- */

static void *run_settler(void *arg)
{
    struct run *r = arg;

    r->rc = settler_run(&r->conf, &r->stop, NULL);
    return NULL;
}

static void replace(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
}

static void start_settler(struct run *r)
{
    char message[200] = "";

    assert_int_equal(rr_conf_load(&r->conf, NULL, NULL, 0, message, sizeof(message)), RR_OK);
    replace(&r->conf.mysql_url, testdb_url());
    replace(&r->conf.redis_url, env.redis_url);
    replace(&r->conf.kafka_bootstrap, rd_kafka_mock_cluster_bootstraps(env.mock));
    replace(&r->conf.kafka_topic, topic);
    replace(&r->conf.kafka_group, topic);
    r->conf.settler_batch_max = 20; /* small: queues fill up, partitions are paused and resumed */
    r->conf.settler_task_interval_ms = 20;
    r->conf.settler_verify_interval_s = 1;
    r->conf.fence_wait_ms =
        600000; /* these rains have no pool: a recovery of them must not end here, their rid would change */
    atomic_store(&r->stop, false);
    assert_int_equal(pthread_create(&r->thread, NULL, run_settler, r), 0);
}

static void stop_settler(struct run *r)
{
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    assert_int_equal(r->rc, RR_OK);
    rr_conf_fini(&r->conf);
}

static void begin(void)
{
    static int n;

    l = testdb_open();
    snprintf(topic, sizeof(topic), "grants-%d", ++n);
    rd_kafka_mock_topic_create(env.mock, topic, PARTITIONS, 1);
}

/* A rain that was sent, with its pools in Redis: the settler would recover one without. */
static struct rain_info rain_open(int64_t total_fen, uint32_t count, uint32_t shards)
{
    struct rain_info r = rain_sent(l, total_fen, count, shards, 1);
    struct store_opts so = {.url = env.redis_url, .worker_name = "test"};
    struct store_sync *store = NULL;
    struct pool_seal seal = {.limit = 1};
    int64_t *amounts_fen = rr_xcalloc(count, sizeof(*amounts_fen));

    assert_int_equal(store_sync_create(&store, &so), RR_OK);
    memcpy(seal.at.code, r.code, sizeof(seal.at.code));
    memcpy(seal.room_id, r.spec.room_id, sizeof(seal.room_id));
    for (uint32_t shard = 0; shard < shards; shard++) {
        const struct pool_admin *pool = store_sync_pool(store);

        seal.at.shard = shard;
        seal.count = rain_shard_count(count, shards, shard);
        for (uint32_t no = 0; no < seal.count; no++)
            amounts_fen[no] = rain_amount(l, &r, shard, no);
        seal.amounts_fen = amounts_fen;
        rain_amounts_hash(amounts_fen, seal.count, seal.amounts_hash);
        assert_int_equal(pool->seal(pool->impl, &seal, rid), RR_OK);
        assert_int_equal(pool->open(pool->impl, &seal.at, r.t0_ms, r.t1_ms), RR_OK);
    }
    testdb_execf(l, "UPDATE rp_escrow SET rid = '%s' WHERE code = '%s'", rid, r.code);
    store_sync_destroy(store);
    free(amounts_fen);
    return r;
}

/* ---- records ---- */

static void produce(int32_t partition, const void *bytes, size_t len)
{
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)bytes, len}},
    };

    assert_null(rd_kafka_produceva(env.producer, parts, RR_COUNTOF(parts)));
}

static void produce_record(const struct settle_item *item, int32_t partition)
{
    struct rr_buf b = {0};
    struct grant_record rec = item->rec;

    memcpy(rec.rid, rid, sizeof(rec.rid));
    assert_int_equal(grant_record_encode(&rec, &b), RR_OK);
    produce(partition, b.p, b.len);
    rr_buf_fini(&b);
}

static void flush(void)
{
    assert_int_equal(rd_kafka_flush(env.producer, 10000), 0);
}

static void wait_for(const char *sql, int64_t value)
{
    int64_t until_ms = mono_ms() + DEADLINE_MS;
    int64_t is = testdb_int(l, sql);

    while (is != value && mono_ms() < until_ms) {
        pause_ms(20);
        is = testdb_int(l, sql);
    }
    if (is != value)
        fail_msg("%s: %lld, not %lld", sql, (long long)is, (long long)value);
}

static void assert_clean(void)
{
    int64_t unaccounted_fen = -1;

    assert_int_equal(ledger_verify(l, NULL, NULL, NULL, &unaccounted_fen), RR_OK);
    assert_int_equal(unaccounted_fen, 0);
    assert_int_equal(testdb_int(l, "SELECT MAX(findings) FROM rp_check"), 0);
}

/* Of the only settler there is. */
static enum rr_err metrics_of(struct store_sync *store, struct rr_slice *text)
{
    store_name names[2];
    uint32_t n = 0;
    enum rr_err err = store_sync_kv_names(store, names, RR_COUNTOF(names), &n);

    if (!err && n != 1)
        err = RR_NOT_FOUND;
    return err ? err : store_sync_kv_get(store, names[0], text);
}

/* ---- tests ---- */

static void settler_settles_what_comes(void **state)
{
    struct rain_info r;
    struct store_opts so = {.url = env.redis_url, .worker_name = "test"};
    struct store_sync *store = NULL;
    struct rr_slice metrics = {0};
    int64_t lag_ms = -1;
    int64_t until_ms = 0;

    (void)state;
    begin();
    r = rain_open(100000, 1000, 2);
    for (uint32_t i = 0; i < 1000; i++) {
        struct settle_item item = item_at(l, &r, i % 2, i / 2, 1 + i, 0, 0);

        produce_record(&item, i % 2);
        if (i % 10 == 0) /* some twice */
            produce_record(&item, i % 2);
    }
    produce(0, "garbage", 7);
    produce(1, NULL, 0);
    flush();
    start_settler(&runs[0]);
    wait_for("SELECT COUNT(*) FROM rp_grant", 1000);
    wait_for("SELECT COALESCE(SUM(next_offset), 0) FROM rp_offset", 1102);
    wait_for("SELECT COUNT(*) FROM rp_dead", 2);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 100000);

    assert_int_equal(store_sync_create(&store, &so), RR_OK);
    until_ms = mono_ms() + DEADLINE_MS;
    while (mono_ms() < until_ms && (metrics_of(store, &metrics) != RR_OK ||
                                    !memmem(metrics.p, metrics.len, "settled_total 1000", 18) ||
                                    store_sync_settle_lag(store, &lag_ms) != RR_OK || lag_ms != 0))
        pause_ms(20);
    assert_int_equal(lag_ms, 0);
    assert_non_null(memmem(metrics.p, metrics.len, "duplicates_total 100", 20));
    store_sync_destroy(store);
    stop_settler(&runs[0]);
    assert_clean();
    testdb_close(l);
}

static void settler_goes_on_where_the_books_are(void **state)
{
    struct rain_info r;

    (void)state;
    begin();
    r = rain_open(10000, 300, 1);
    for (uint32_t part = 0; part < 3; part++) {
        for (uint32_t i = part * 100; i < part * 100 + 100; i++) {
            struct settle_item item = item_at(l, &r, 0, i, 1 + i, 0, 0);

            produce_record(&item, 0);
        }
        flush();
        start_settler(&runs[0]);
        wait_for("SELECT COUNT(*) FROM rp_grant", 100 * (part + 1));
        stop_settler(&runs[0]);
    }
    assert_int_equal(testdb_int(l, "SELECT SUM(next_offset) FROM rp_offset"), 300);
    assert_clean();
    testdb_close(l);
}

/* The row is outside the log (it was made for another one): back to the start, nothing is paid twice. */
static void settler_with_an_offset_outside_the_log_starts_over(void **state)
{
    struct rain_info r;

    (void)state;
    begin();
    r = rain_open(10000, 50, 1);
    for (uint32_t i = 0; i < 50; i++) {
        struct settle_item item = item_at(l, &r, 0, i, 1 + i, 0, 0);

        produce_record(&item, 0);
    }
    flush();
    assert_int_equal(ledger_offset_move(l, topic, 0, LEDGER_NO_OFFSET, 5000), RR_OK);
    start_settler(&runs[0]);
    wait_for("SELECT COUNT(*) FROM rp_grant", 50);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_check WHERE detail LIKE 'kafka %'"), 1);
    /* Another settler moved it back and forth meanwhile. */
    assert_int_equal(ledger_offset_move(l, topic, 0, 50, 10), RR_OK);
    for (int i = 0; i < 3; i++)
        produce(0, "garbage", 7);
    flush();
    wait_for("SELECT next_offset FROM rp_offset WHERE part = 0", 53);
    /* And once more, while nothing comes that would show it. */
    assert_int_equal(ledger_offset_move(l, topic, 0, 53, 0), RR_OK);
    wait_for("SELECT next_offset FROM rp_offset WHERE part = 0", 53);
    stop_settler(&runs[0]);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 10000);
    testdb_close(l);
}

/* The database goes away in the middle: the same batch again until it is back. */
static void settler_waits_for_its_database(void **state)
{
    struct rain_info r;
    struct ledger *other = NULL;

    (void)state;
    begin();
    other = testdb_again();
    r = rain_open(10000, 200, 1);
    start_settler(&runs[0]);
    wait_for("SELECT COUNT(*) FROM rp_offset", PARTITIONS);
    testdb_exec(other, "RENAME TABLE account_log TO hidden");
    for (uint32_t i = 0; i < 200; i++) {
        struct settle_item item = item_at(l, &r, 0, i, 1 + i, 0, 0);

        produce_record(&item, 0);
    }
    flush();
    /* It tried at least once: the failed batch left nothing behind. */
    pause_ms(300);
    assert_int_equal(testdb_int(l, "SELECT COUNT(*) FROM rp_grant"), 0);
    testdb_exec(other, "RENAME TABLE hidden TO account_log");
    wait_for("SELECT COUNT(*) FROM rp_grant", 200);
    stop_settler(&runs[0]);
    ledger_destroy(other);
    assert_clean();
    testdb_close(l);
}

static void two_settlers_share_the_partitions(void **state)
{
    struct rain_info r;

    (void)state;
    begin();
    r = rain_open(100000, 2000, 2);
    start_settler(&runs[0]);
    start_settler(&runs[1]);
    for (uint32_t i = 0; i < 2000; i++) {
        struct settle_item item = item_at(l, &r, i % 2, i / 2, 1 + i, 0, 0);

        produce_record(&item, i % 2);
        if (i % 100 == 0)
            flush();
    }
    flush();
    wait_for("SELECT COUNT(*) FROM rp_grant", 2000);
    stop_settler(&runs[0]);
    stop_settler(&runs[1]);
    assert_int_equal(testdb_int(l, "SELECT SUM(next_offset) FROM rp_offset"), 2000);
    assert_int_equal(testdb_int(l, "SELECT SUM(balance) FROM wallet"), 100000);
    assert_clean();
    testdb_close(l);
}

static void settler_stops_while_it_waits(void **state)
{
    (void)state;
    begin();
    testdb_exec(l, "DROP TABLE rp_schema");
    start_settler(&runs[0]);
    pause_ms(300);
    stop_settler(&runs[0]);
    testdb_close(l);
}

static void topic_ensure_refuses_nonsense(void **state)
{
    static const char *const flags[] = {"kafka.bootstrap=127.0.0.1:1"};
    struct rr_conf c;
    char message[200] = "";

    (void)state;
    assert_int_equal(rr_conf_load(&c, NULL, flags, 1, message, sizeof(message)), RR_OK);
    assert_int_equal(settler_topic_ensure(&c, "x", -5, 1, message, sizeof(message)),
                     RR_BAD_REQUEST);
    assert_true(strlen(message) > 0);
    rr_conf_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settler_settles_what_comes),
        cmocka_unit_test(settler_goes_on_where_the_books_are),
        cmocka_unit_test(settler_with_an_offset_outside_the_log_starts_over),
        cmocka_unit_test(settler_waits_for_its_database),
        cmocka_unit_test(two_settlers_share_the_partitions),
        cmocka_unit_test(settler_stops_while_it_waits),
        cmocka_unit_test(topic_ensure_refuses_nonsense),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
