#include "ledger_impl.h"

#include <mysql.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

enum { DEADLOCK_TRIES = 8 };

void ledger_global_init(void)
{
    mysql_library_init(0, NULL, NULL);
}

void ledger_thread_init(void)
{
    mysql_thread_init();
}

void ledger_thread_fini(void)
{
    mysql_thread_end();
}

struct ledger_opts ledger_opts_of(const struct rr_conf *c, int timeout_s)
{
    return (struct ledger_opts){.url = c->mysql_url,
                                .namespace_ = c->server_namespace,
                                .tls = c->mysql_tls,
                                .tls_ca_file = c->mysql_tls_ca_file,
                                .timeout_s = timeout_s};
}

enum rr_err ledger_create(struct ledger **out, const struct ledger_opts *o)
{
    struct ledger *l = rr_xcalloc(1, sizeof(*l));
    enum rr_err err = db_create(&l->db, o->url, o->namespace_, o->timeout_s);

    *out = NULL;
    if (err) {
        free(l);
        return err;
    }
    l->rules = o->rules;
    db_set_tls(l->db, o->tls, o->tls_ca_file);
    *out = l;
    return RR_OK;
}

void ledger_destroy(struct ledger *l)
{
    if (!l)
        return;
    rain_cache_fini(&l->cache);
    rr_buf_fini(&l->sql);
    db_destroy(l->db);
    free(l);
}

const char *ledger_error(const struct ledger *l)
{
    return db_error(l->db);
}

int64_t ledger__now_ms(void)
{
    return rr_wall_ms(rr_clock_system());
}

struct ledger_counters ledger_counters(const struct ledger *l)
{
    return (struct ledger_counters){.statements = db_statements(l->db),
                                    .deadlocks = db_deadlocks(l->db),
                                    .retries = l->retries,
                                    .slow_batches = l->slow_batches};
}

static enum rr_err begin(struct ledger *l)
{
    enum rr_err err = db_open(l->db);

    if (!err)
        err = db_execs(l->db, "START TRANSACTION");
    if (err == RR_UNAVAILABLE) { /* the idle connection was dead after all; nothing was done yet */
        err = db_open(l->db);
        if (!err)
            err = db_execs(l->db, "START TRANSACTION");
    }
    return err;
}

/* The failure's text and number stay those of the first error. */
static void rollback(struct ledger *l)
{
    char error[300];

    strncpy(error, db_error(l->db), sizeof(error) - 1);
    error[sizeof(error) - 1] = 0;
    if (db_execs(l->db, "ROLLBACK") != RR_OK)
        db_close(l->db); /* the server rolls back when the connection goes */
    db_set_error(l->db, error);
}

enum rr_err ledger__tx(struct ledger *l, ledger_tx_fn fn, void *arg)
{
    enum rr_err err = RR_OK;

    for (uint32_t tries = 1;; tries++) {
        unsigned code = 0;

        err = begin(l);
        if (err)
            return err;
        db_in_tx(l->db, true);
        err = fn(l, arg);
        db_in_tx(l->db, false);
        if (!err) {
            err = db_execs(l->db, "COMMIT");
            if (err) /* refused: the next START TRANSACTION on this connection would commit it after all */
                rollback(l);
            return err;
        }
        code = db_errno(l->db);
        rr_buf_clear(&l->sql);
        rollback(l);
        if (err != RR_RETRY || code == 1205 || tries == DEADLOCK_TRIES)
            return err;
        l->retries++;
        usleep(1000u * tries);
    }
}
