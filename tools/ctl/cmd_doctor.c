/* redrainctl doctor: looks at everything redrain needs, one line each, with what to do about what is wrong. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"
#include "ledger/ledger.h"
#include "names.h"
#include "store/store_sync.h"
#include "token/token.h"

enum level { GOOD, WARN, BAD };
enum { CHECK_S = 60 }; /* for a CHECK TABLE; a server that is not there refuses at once */

struct doctor {
    const struct ctl *ctl;
    json_t *checks;
    bool bad;
};

/* text: what was seen; advice: what to do, NULL when nothing. */
static void note(struct doctor *d, enum level level, const char *name, const char *text,
                 const char *advice)
{
    static const char *const marks[] = {"ok", "warn", "BAD"};

    d->bad |= level == BAD;
    json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s, s:s*}", "name", name, "level",
                                               marks[level], "text", text, "advice", advice));
    if (d->ctl->json)
        return;
    printf("[%-4s] %-10s %s\n", marks[level], name, text);
    if (advice)
        printf("       %-10s -> %s\n", "", advice);
}

static void check_config(struct doctor *d)
{
    const struct rr_conf *c = &d->ctl->conf;
    char text[160];

    if (!c->server_origins[0] && !c->server_allow_no_origin)
        note(d, WARN, "config", "server.origins is empty: no browser may connect",
             "list the pages' origins, e.g. https://live.example");
    snprintf(text, sizeof(text), "namespace \"%s\", %" PRId64 " worker(s)", c->server_namespace,
             c->server_workers);
    note(d, GOOD, "config", text, NULL);
}

static void check_files(struct doctor *d)
{
    const struct rr_conf *c = &d->ctl->conf;
    struct token_keys *keys = NULL;
    struct stat st;
    char message[512];

    if (token_keys_load(c->token_keys_file, &keys, message, sizeof(message)) == RR_OK)
        note(d, GOOD, "keys", c->token_keys_file, NULL);
    else
        note(d, BAD, "keys", message, "the server does not start without token.keys_file");
    token_keys_free(keys);
    if (!c->admin_token_file[0])
        note(d, WARN, "admin token", "admin.token_file is not set: the JSON API is off",
             "put at least 16 random bytes into a file of mode 600 and name it there");
    else if (stat(c->admin_token_file, &st))
        note(d, BAD, "admin token", "admin.token_file cannot be read", "make it, mode 600");
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        note(d, BAD, "admin token", "others may read admin.token_file", "chmod 600 it");
    else
        note(d, GOOD, "admin token", c->admin_token_file, NULL);
}

/* A setting of Redis that must have one value for the money to be safe. */
static void check_redis_setting(struct doctor *d, struct store_sync *store, const char *name,
                                const char *wanted, const char *advice)
{
    char value[64];
    char text[160];

    if (store_sync_config_get(store, name, value, sizeof(value)) != RR_OK) {
        snprintf(text, sizeof(text), "%s cannot be read (CONFIG is not allowed?)", name);
        note(d, WARN, "redis", text, advice);
        return;
    }
    snprintf(text, sizeof(text), "%s %s", name, value);
    note(d, strcmp(value, wanted) ? WARN : GOOD, "redis", text,
         strcmp(value, wanted) ? advice : NULL);
}

static void check_redis(struct doctor *d)
{
    const struct rr_conf *c = &d->ctl->conf;
    struct store_opts opts = {.url = c->redis_url,
                              .topology = store_topology_of(c->redis_topology),
                              .sentinel_master = c->redis_sentinel_master,
                              .namespace_ = c->server_namespace,
                              .worker_name = "doctor",
                              .timeout_ms = c->redis_timeout_ms};
    struct store_sync *store = NULL;

    if (store_sync_create(&store, &opts) != RR_OK) {
        note(d, BAD, "redis", "redis.url is malformed", "redis://[:password@]host:port/number");
        return;
    }
    enum rr_err err = store_sync_ping(store);
    if (err != RR_OK) {
        note(d, BAD, "redis", rr_err_text(err),
             "is it running, and are host, port and password of redis.url right?");
    } else {
        note(d, GOOD, "redis", "answers", NULL);
        check_redis_setting(d, store, "appendonly", "yes",
                            "a restart without the append-only file forgets who won");
        check_redis_setting(d, store, "appendfsync", "always",
                            "without it a crash of the machine may forget the last second");
        check_redis_setting(d, store, "maxmemory-policy", "noeviction",
                            "any other policy may throw a rain away");
    }
    store_sync_destroy(store);
}

static void on_table(void *arg, const char *table, const char *said)
{
    struct doctor *d = arg;
    char text[300];
    char advice[200];

    d->bad = true;
    snprintf(text, sizeof(text), "%s: %s", table, said);
    snprintf(advice, sizeof(advice),
             "ALTER TABLE %s FORCE (or OPTIMIZE TABLE %s) makes its indexes anew from its rows",
             table, table);
    note(d, BAD, "tables", text, advice);
}

/* An index that lost entries hides steps of rains while every row is there. */
static void check_tables(struct doctor *d, struct ledger *ledger)
{
    bool before = d->bad;
    enum rr_err err = RR_OK;

    d->bad = false;
    err = ledger_check_tables(ledger, on_table, d);
    if (err)
        note(d, WARN, "tables", ledger_error(ledger), "run CHECK TABLE rp_task by hand");
    else if (!d->bad)
        note(d, GOOD, "tables", "indexes and rows agree", NULL);
    d->bad |= before;
}

static void check_mysql(struct doctor *d)
{
    const struct rr_conf *c = &d->ctl->conf;
    struct ledger_opts opts = ledger_opts_of(c, CHECK_S);
    struct ledger *ledger = NULL;
    char text[400];

    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK) {
        note(d, BAD, "mysql", "mysql.url is malformed", "mysql://user:password@host:port/database");
        return;
    }
    enum rr_err err = ledger_ping(ledger);
    if (err == RR_OK) {
        note(d, GOOD, "mysql", "answers, version and schema are right", NULL);
        check_tables(d, ledger);
    } else {
        snprintf(text, sizeof(text), "%s: %s", rr_err_name(err), ledger_error(ledger));
        note(d, BAD, "mysql", text,
             err == RR_UNAVAILABLE || err == RR_RETRY
                 ? "is it running, are mysql.url's host, user and password right, was `redrainctl "
                   "migrate` run?"
                 : "run `redrainctl migrate`; MySQL 8.0.16 or MariaDB 10.2 at least");
    }
    ledger_destroy(ledger);
}

static void check_kafka(struct doctor *d)
{
    char message[512] = "";
    char text[600];
    int partitions = 0;
    enum rr_err err = ctl_kafka_probe(&d->ctl->conf, &partitions, message, sizeof(message));

    snprintf(text, sizeof(text), "%s", message);
    if (err == RR_OK)
        snprintf(text, sizeof(text), "%s with %d partition(s)", message, partitions);
    note(d, err == RR_OK ? GOOD : BAD, "kafka", text,
         err == RR_OK          ? NULL
         : err == RR_NOT_FOUND ? "the topic is not there: run `redrainctl migrate`"
                               : "is a broker running at kafka.bootstrap?");
}

static void check_server(struct doctor *d)
{
    char *text = NULL;
    char *save = NULL;
    long status = ctl_get_text(d->ctl, "/readyz?verbose", &text);

    if (status == 0) {
        note(d, BAD, "server", text, "start redrain-server (admin.host and admin.port say where)");
        free(text);
        return;
    }
    note(d, status == 200 ? GOOD : BAD, "server", status == 200 ? "ready" : "not ready",
         status == 200 ? NULL : "the lines below say what it waits for");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (line[0] == '[')
            note(d, line[1] == '+' ? GOOD : WARN, "server", line + 3, NULL);
    }
    free(text);
}

int cmd_doctor(struct ctl *ctl)
{
    struct doctor d = {.ctl = ctl};
    size_t n;
    int rc = ctl_options(ctl, NULL, 0, NULL, 0, &n);

    if (rc != CTL_OK)
        return rc;
    d.checks = json_array();
    check_config(&d);
    check_files(&d);
    check_redis(&d);
    check_mysql(&d);
    check_kafka(&d);
    check_server(&d);
    if (ctl->json) {
        json_t *o = json_pack("{s:b, s:O}", "ok", !d.bad, "checks", d.checks);
        ctl_print_json(o);
        json_decref(o);
    }
    json_decref(d.checks);
    return d.bad ? CTL_FAILED : CTL_OK;
}
