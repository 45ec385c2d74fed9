/* settle_sql.c - the rows a settler wrote for one rain, inserted by hand into empty copies of its tables: same tables and indexes,
 * same values, 1000 grants a transaction, multi-row INSERTs, as many connections as there are settlers. What it leaves out is what
 * makes them safe: Kafka, decoding, comparing amounts with the split, looking for holds, reading balances back.
 *   MYSQL_PWD=… redrain-ref-settle-sql PORT USER DATABASE CODE CONNECTIONS */
#include <mysql.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000, SQL_MAX = 1 << 20 };

struct row {
    long shard, packet_no, user_id, seq, amount, granted_at, settled_at, day;
};
struct job {
    pthread_t thread;
    MYSQL *db;
    struct row *rows;
    size_t n;
    long id;
    char *sql;
    size_t len;
};

static const char *code;
static const char *base;

static void run(MYSQL *db, const char *sql)
{
    if (mysql_real_query(db, sql, strlen(sql)) == 0)
        return;
    fprintf(stderr, "%s: %.300s\n", mysql_error(db), sql);
    exit(1);
}

__attribute__((format(printf, 2, 3))) static void put(struct job *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    j->len += (size_t)vsnprintf(j->sql + j->len, SQL_MAX - j->len, fmt, ap);
    va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void runf(struct job *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(j->sql, SQL_MAX, fmt, ap);
    va_end(ap);
    run(j->db, j->sql);
    j->len = 0;
}

static void flush(struct job *j)
{
    run(j->db, j->sql);
    j->len = 0;
}

static MYSQL *connect_db(unsigned port, const char *user)
{
    MYSQL *db = mysql_init(NULL);

    if (mysql_real_connect(db, "127.0.0.1", user, getenv("MYSQL_PWD"), NULL, port, NULL, 0))
        return db;
    fprintf(stderr, "%s\n", mysql_error(db));
    exit(1);
}

static int by_packet(const void *pa, const void *pb)
{
    const struct row *a = pa;
    const struct row *b = pb;

    return a->shard != b->shard ? (a->shard > b->shard) - (a->shard < b->shard)
                                : (a->packet_no > b->packet_no) - (a->packet_no < b->packet_no);
}

static int by_user(const void *pa, const void *pb)
{
    const struct row *a = pa;
    const struct row *b = pb;

    return (a->user_id > b->user_id) - (a->user_id < b->user_id);
}

/* Each user wins once in such a rain, so the balance after is the amount. */
static void settle(struct job *j, struct row *r, size_t n, long next_offset)
{
    size_t from = 0;

    run(j->db, "BEGIN");
    runf(j, "UPDATE rp_offset SET next_offset = %ld WHERE topic = 'ref' AND part = %ld",
         next_offset, j->id);
    qsort(r, n, sizeof(*r), by_packet);
    put(j, "INSERT INTO rp_grant (code, shard, packet_no, user_id, seq, amount, state, granted_at,"
           " settled_at) VALUES ");
    for (size_t i = 0; i < n; i++)
        put(j, "%s('%s',%ld,%ld,%ld,%ld,%ld,1,%ld,%ld)", i ? "," : "", code, r[i].shard,
            r[i].packet_no, r[i].user_id, r[i].seq, r[i].amount, r[i].granted_at, r[i].settled_at);
    flush(j);
    put(j,
        "INSERT INTO account_log (account_kind, account_id, delta, balance_after, biz_type, biz_id,"
        " leg, created_at) VALUES ");
    for (size_t i = 0; i < n; i++)
        put(j,
            "%s('escrow','%s:%ld',%ld,NULL,'grant','%s:%ld:%ld',0,%ld),"
            "('balance','%ld',%ld,%ld,'grant','%s:%ld:%ld',1,%ld)",
            i ? "," : "", code, r[i].shard, -r[i].amount, code, r[i].user_id, r[i].seq,
            r[i].settled_at, r[i].user_id, r[i].amount, r[i].amount, code, r[i].user_id, r[i].seq,
            r[i].settled_at);
    flush(j);
    while (from < n) {
        size_t to = from;
        long sum = 0;

        for (; to < n && r[to].shard == r[from].shard; to++)
            sum += r[to].amount;
        runf(j,
             "UPDATE rp_escrow SET remain = remain - %ld, settled = settled + %ld, settled_cnt ="
             " settled_cnt + %zu WHERE code = '%s' AND shard = %ld",
             sum, sum, to - from, code, r[from].shard);
        from = to;
    }
    qsort(r, n, sizeof(*r), by_user);
    put(j, "INSERT INTO wallet (user_id, balance, frozen, risk_day, risk_fen) VALUES ");
    for (size_t i = 0; i < n; i++)
        put(j, "%s(%ld,%ld,0,%ld,%ld)", i ? "," : "", r[i].user_id, r[i].amount, r[i].day,
            r[i].amount);
    put(j, " ON DUPLICATE KEY UPDATE balance = balance + VALUES(balance), risk_fen = risk_fen +"
           " VALUES(risk_fen), risk_day = VALUES(risk_day)");
    flush(j);
    run(j->db, "COMMIT");
}

static void *work(void *arg)
{
    struct job *j = arg;

    mysql_thread_init();
    for (size_t i = 0; i < j->n; i += BATCH)
        settle(j, j->rows + i, j->n - i < BATCH ? j->n - i : BATCH, (long)i);
    mysql_thread_end();
    return NULL;
}

/* The rain's shards are dealt to the connections, as Kafka deals its partitions; each takes them side by side. */
static void load(struct job *j, long connections)
{
    MYSQL_RES *res = NULL;
    MYSQL_ROW row = NULL;

    runf(j,
         "SELECT g.shard, packet_no, g.user_id, seq, amount, granted_at, settled_at, risk_day"
         " FROM %s.rp_grant g JOIN %s.wallet w ON w.user_id = g.user_id WHERE code = '%s'"
         " AND g.shard %% %ld = %ld ORDER BY packet_no, g.shard",
         base, base, code, connections, j->id);
    res = mysql_store_result(j->db);
    j->rows = calloc((size_t)mysql_num_rows(res) + 1, sizeof(*j->rows));
    while ((row = mysql_fetch_row(res))) {
        long *v = &j->rows[j->n++].shard;

        for (int i = 0; i < 8; i++)
            v[i] = atol(row[i]);
    }
    mysql_free_result(res);
}

int main(int argc, char **argv)
{
    static const char *const tables[] = {"rp_grant", "wallet", "account_log", "rp_escrow",
                                         "rp_offset"};
    long n = argc == 6 ? atol(argv[5]) : 0;
    struct job *jobs = calloc((size_t)n + 1, sizeof(*jobs));
    struct timespec from;
    struct timespec to;
    size_t rows = 0;
    double took_s = 0;

    if (n <= 0) {
        fprintf(stderr, "usage: PORT USER DATABASE CODE CONNECTIONS\n");
        return 2;
    }
    base = argv[3];
    code = argv[4];
    for (long i = 0; i < n; i++) {
        struct job *j = &jobs[i];

        *j = (struct job){
            .db = connect_db((unsigned)atoi(argv[1]), argv[2]), .id = i, .sql = malloc(SQL_MAX)};
        if (i == 0) {
            runf(j, "DROP DATABASE IF EXISTS %s_ref", base);
            runf(j, "CREATE DATABASE %s_ref", base);
        }
        runf(j, "USE %s_ref", base);
        for (size_t t = 0; i == 0 && t < sizeof(tables) / sizeof(*tables); t++)
            runf(j, "CREATE TABLE %s LIKE %s.%s", tables[t], base, tables[t]);
        if (i == 0)
            runf(
                j,
                "INSERT INTO rp_escrow (code, shard, total, remain, rid, amounts_hash) SELECT code,"
                " shard, total, total, rid, amounts_hash FROM %s.rp_escrow WHERE code = '%s'",
                base, code);
        runf(j, "INSERT INTO rp_offset VALUES ('ref', %ld, 0, 0)", i);
        load(j, n);
        rows += j->n;
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long i = 0; i < n; i++)
        pthread_create(&jobs[i].thread, NULL, work, &jobs[i]);
    for (long i = 0; i < n; i++)
        pthread_join(jobs[i].thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    took_s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("{\"rows\":%zu,\"grants_per_s\":%.0f}\n", rows, (double)rows / took_s);
    for (long i = 0; i < n; i++) {
        mysql_close(jobs[i].db);
        free(jobs[i].rows);
        free(jobs[i].sql);
    }
    free(jobs);
    return rows > 0 ? 0 : 1;
}
