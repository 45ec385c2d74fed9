/* start.c - waiting for dependencies, and where a partition starts. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "settler_impl.h"
#include "store/store_sync.h"

void settler__name(char *out, size_t cap)
{
    char host[40] = "";
    int n = 0;

    gethostname(host, sizeof(host) - 1);
    for (char *c = host; *c; c++) {
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", *c))
            *c = '-';
    }
    n = snprintf(out, cap, "settler-%s-%d", host, (int)getpid());
    RR_ASSERT(n > 0 && (size_t)n < cap);
}

void settler__complain(struct rr_ratelog *log, const struct ledger *l, const char *what,
                       enum rr_err err)
{
    uint64_t suppressed = 0;

    if (rr_ratelog_pass(log, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
        log_warn("dependency_failed", "%s: %s (%s), %llu more", what, rr_err_name(err),
                 ledger_error(l), (unsigned long long)suppressed);
}

void settler__finding(struct settler *s, int32_t partition, const char *what, int64_t from,
                      int64_t to)
{
    char text[400];

    snprintf(text, sizeof(text), "kafka %s/%d: %s, offsets %lld to %lld",
             consumer_topic(s->consumer), (int)partition, what, (long long)from, (long long)to);
    log_error("finding", "%s", text);
    if (ledger_note(s->ledger, text) != RR_OK)
        log_warn("finding_not_noted", "%s", ledger_error(s->ledger));
}

/* Going back to the low watermark is always safe: what is in the books is recognised. But whoever owns the partition by now may
 * have gone on from where this one looked, and sits at an end it would have to leave again. So the books are read before the
 * log, which only grows meanwhile, and moved only from what they said. */
enum rr_err settler__resolve(struct settler *s, int32_t partition, int64_t *next)
{
    const char *topic = consumer_topic(s->consumer);
    int64_t low = 0;
    int64_t high = 0;
    int64_t have = LEDGER_NO_OFFSET;
    enum rr_err err = ledger_offset_get(s->ledger, topic, partition, &have);
    bool first = err == RR_NOT_FOUND;

    if (err && !first)
        return err;
    err = consumer_watermarks(s->consumer, partition, &low, &high);
    if (err)
        return err;
    *next = have;
    if (!first && have >= low && have <= high)
        return RR_OK;
    if (consumer_assignment_lost(s->consumer))
        return RR_CONFLICT;
    *next = low;
    err = ledger_offset_move(s->ledger, topic, partition, first ? LEDGER_NO_OFFSET : have, low);
    if (!err && !first)
        settler__finding(s, partition, "the books' offset is outside the log, which starts at",
                         have, low);
    return err;
}

/* ---- start ---- */

enum dependency { MYSQL, KAFKA, REDIS, DEPENDENCIES };

static const char *const names[DEPENDENCIES] = {"mysql", "kafka", "redis"};

static enum rr_err probe(struct settler *s, struct store_sync *store, enum dependency d)
{
    switch (d) {
    case MYSQL: return ledger_ping(s->ledger);
    case KAFKA: return consumer_probe(s->consumer, 1000);
    case REDIS: return store_sync_ping(store);
    case DEPENDENCIES: break;
    }
    return RR_OK;
}

static const char *detail(struct settler *s, enum dependency d, enum rr_err err)
{
    if (d == MYSQL)
        return ledger_error(s->ledger);
    if (d == KAFKA && err == RR_NOT_FOUND)
        return "no such topic: run redrainctl migrate";
    return rr_err_text(err);
}

static enum rr_err wait_one(struct settler *s, struct store_sync *store, enum dependency d)
{
    struct rr_ratelog every = {0};
    bool waited = false;

    while (!atomic_load(s->stop)) {
        uint64_t suppressed = 0;
        enum rr_err err = probe(s, store, d);

        if (!err) {
            if (waited)
                log_info("came_up", "%s", names[d]);
            return RR_OK;
        }
        if (err == RR_CONFIG) {
            log_error("config", "%s: %s", names[d], detail(s, d, err));
            return err;
        }
        waited = true;
        if (rr_ratelog_pass(&every, rr_mono_us(rr_clock_system()), 5000000, &suppressed))
            log_notice("waiting", "for %s: %s", names[d], detail(s, d, err));
        usleep(200000);
    }
    return RR_OK;
}

enum rr_err settler__wait_all(struct settler *s)
{
    struct store_opts o = {.url = s->conf->redis_url,
                           .topology = store_topology_of(s->conf->redis_topology),
                           .sentinel_master = s->conf->redis_sentinel_master,
                           .namespace_ = s->conf->server_namespace,
                           .worker_name = s->name,
                           .timeout_ms = s->conf->redis_timeout_ms};
    struct store_sync *store = NULL;
    enum rr_err err = store_sync_create(&store, &o);

    if (err)
        log_error("config", "redis.url or server.namespace is malformed");
    for (int d = 0; !err && d < DEPENDENCIES; d++)
        err = wait_one(s, store, (enum dependency)d);
    store_sync_destroy(store);
    return err;
}
