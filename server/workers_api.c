#include "workers_api.h"

#include "admin_json.h"
#include "base/log.h"
#include "supervisor.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 3 };

static void answer(struct admin *a, const struct admin_request *rq, unsigned status, json_t *o)
{
    struct rr_buf b = {0};
    char *text = json_dumps(o, JSON_COMPACT);

    rr_buf_puts(&b, text ? text : "{}");
    admin_http_answer(a->http, rq->id, status, "application/json", &b);
    rr_buf_fini(&b);
    free(text);
    json_decref(o);
}

static void refuse(struct admin *a, const struct admin_request *rq, enum rr_err err,
                   const char *reason)
{
    struct rr_buf b = {0};

    admin_json_error(err, NULL, reason, &b);
    admin_http_answer(a->http, rq->id, admin_json_status(err), "application/json", &b);
    rr_buf_fini(&b);
}

static json_t *worker_json(const struct admin *a, uint32_t slot)
{
    const struct rr_metrics *m = &a->mapping->slots[slot];

    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:I}", "slot", (json_int_t)slot, "pid",
                     (json_int_t)m->pid, "connections", (json_int_t)m->connections, "members",
                     (json_int_t)m->members, "draining", m->draining == 1, "shed",
                     (json_int_t)m->shed_level);
}

static void list(struct admin *a, const struct admin_request *rq)
{
    json_t *workers = json_array();

    for (uint32_t i = 0; i + 1 < a->mapping->n; i++)
        json_array_append_new(workers, worker_json(a, i));
    answer(a, rq, 200, json_pack("{s:o}", "workers", workers));
}

/* The slot's number, or -1. */
static int64_t slot_of(const struct admin *a, struct rr_slice text)
{
    int64_t n = 0;

    if (text.len == 0 || text.len > DIGITS_MAX)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        n = n * 10 + (text.p[i] - '0');
    }
    return n + 1 < (int64_t)a->mapping->n ? n : -1;
}

static void drain(struct admin *a, const struct admin_request *rq, int64_t slot)
{
    union sigval value = {.sival_int = (int)slot};
    uint32_t others = 0;

    if (slot < 0) {
        refuse(a, rq, RR_NOT_FOUND, NULL);
        return;
    }
    for (uint32_t i = 0; i + 1 < a->mapping->n; i++) {
        if (a->mapping->slots[i].draining == 1) {
            refuse(a, rq, RR_CONFLICT, "a worker leaves already");
            return;
        }
        others += i != (uint32_t)slot && a->mapping->slots[i].pid != 0;
    }
    if (a->draining || a->mapping->slots[slot].pid == 0 || others == 0) {
        refuse(a, rq, RR_CONFLICT,
               a->draining ? "the server leaves"
               : others    ? "the worker is not running"
                           : "nobody else would accept connections: upgrade (SIGUSR2) instead");
        return;
    }
    if (sigqueue(a->parent, SUPERVISOR_DRAIN_SIGNAL, value) != 0) {
        refuse(a, rq, RR_UNAVAILABLE, "the supervisor cannot be told");
        return;
    }
    log_notice("worker_drain", "slot %d is asked to leave", (int)slot);
    answer(a, rq, 202, worker_json(a, (uint32_t)slot));
}

void workers_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice slot,
                       struct rr_slice action)
{
    if (!rq->post && slot.len == 0)
        list(a, rq);
    else if (rq->post && rr_slice_eq_str(action, "drain"))
        drain(a, rq, slot_of(a, slot));
    else
        refuse(a, rq, RR_NOT_FOUND, NULL);
}
