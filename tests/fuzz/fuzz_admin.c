/* fuzz_admin.c - a whole request of the private listener, as admin_http.c hands it on, through routing, JSON and the answer;
 * the database answers what the input says. No crash, no leak, one answer for each request, and a status that fits.
 * Input: METHOD PATH?QUERY newline, bearer newline, idempotency key newline, the body; the first byte is what a job answers. */
#include "fuzz.h"

#include "admin.h"
#include "admin_http.h"
#include "admin_json.h"
#include "base/log.h"
#include "rain_job.h"

#include <stdlib.h>
#include <string.h>

static struct admin admin;
static struct rain_job *job; /* of this request */
static uint8_t outcome;
static uint32_t answers;
static char token[] = "0123456789abcdef";

enum rr_err __wrap_db_pool_submit(struct db_pool *p, enum db_lane lane, struct db_job *j);
struct rain_job *__real_rain_job_alloc(enum rain_job_kind kind, void (*answer)(struct rain_job *j),
                                       void *owner);
struct rain_job *__wrap_rain_job_alloc(enum rain_job_kind kind, void (*answer)(struct rain_job *j),
                                       void *owner);
void __wrap_admin_http_answer(struct admin_http *h, uint64_t id, unsigned status, const char *type,
                              const struct rr_buf *body);
void __wrap_admin_http_replayed(struct admin_http *h, uint64_t id);

struct rain_job *__wrap_rain_job_alloc(enum rain_job_kind kind, void (*answer)(struct rain_job *j),
                                       void *owner)
{
    job = __real_rain_job_alloc(kind, answer, owner);
    return job;
}

/* As the books would: what was asked for is there. */
static void job_fill(struct rain_job *j)
{
    j->rains[0].spec = j->spec;
    if (!j->rains[0].spec.kind)
        j->rains[0].spec.kind = KIND_RAIN;
    if (!j->rains[0].spec.split)
        j->rains[0].spec.split = rain_split_parse(rr_slice_str("equal"));
    j->rains[0].spec.users = NULL;
    j->rains[0].status = RAIN_CREATED;
    j->rains_n = 1;
    if (j->kind == RAIN_JOB_WALLET_LOG)
        j->wallet_log_n = j->wallet_log_n > 2 ? 2 : j->wallet_log_n;
    if (j->kind == RAIN_JOB_RAIN_GRANTS)
        j->grants_n = j->limit > 3 ? 3 : j->limit;
    snprintf(j->wallet_done.answer, sizeof(j->wallet_done.answer), "{}");
}

enum rr_err __wrap_db_pool_submit(struct db_pool *p, enum db_lane lane, struct db_job *j)
{
    (void)p;
    (void)lane;
    if (outcome == 255)
        return RR_BUSY;
    if (job && j == &job->base) {
        job->err = (enum rr_err)(outcome % RR_ERR_COUNT);
        job_fill(job);
    }
    j->done(j);
    return RR_OK;
}

void __wrap_admin_http_answer(struct admin_http *h, uint64_t id, unsigned status, const char *type,
                              const struct rr_buf *body)
{
    (void)h;
    RR_ASSERT(id == 7 && status >= 200 && status < 600 && type && !body->failed);
    answers++;
}

void __wrap_admin_http_replayed(struct admin_http *h, uint64_t id)
{
    (void)h;
    RR_ASSERT(id == 7);
}

static void admin_make(void)
{
    static struct rr_conf conf;
    static struct rr_metrics_mapping mapping;
    char message[256];

    rr_log_init("fuzz", RR_LOG_ERROR);
    RR_ASSERT(rr_conf_load(&conf, NULL, NULL, 0, message, sizeof(message)) == RR_OK);
    RR_ASSERT(rr_metrics_mapping_create(2, &mapping) == RR_OK);
    admin.conf = &conf;
    admin.mapping = &mapping;
    admin.metrics = &mapping.slots[1];
    admin.api_token = token;
}

/* The next line of *in into out, as far as it fits: headers hold no NUL. */
static void take_line(struct rr_slice *in, char *out, size_t cap)
{
    const char *newline = in->len ? memchr(in->p, '\n', in->len) : NULL;
    size_t len = newline ? (size_t)(newline - in->p) : in->len;
    size_t n = len < cap - 1 ? len : cap - 1;

    if (n)
        memcpy(out, in->p, n);
    out[n] = 0;
    if (newline)
        len++;
    in->p += len;
    in->len -= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rr_slice in = rr_slice_of(data, size);
    struct admin_request rq = {.id = 7};
    char line[2 * ADMIN_PATH_MAX];
    char *path = NULL;
    char *query = NULL;

    if (!admin.conf)
        admin_make();
    if (size == 0)
        return 0;
    outcome = data[0];
    job = NULL;
    answers = 0;
    in.p++;
    in.len--;
    take_line(&in, line, sizeof(line));
    rq.post = line[0] == 'P';
    path = strchr(line, ' ');
    path = path ? path + 1 : line;
    query = strchr(path, '?');
    if (query) {
        *query++ = 0;
        (void)rr_slice_copy(rr_slice_str(query), rq.query, sizeof(rq.query));
    }
    (void)rr_slice_copy(rr_slice_str(path), rq.path, sizeof(rq.path));
    take_line(&in, rq.bearer, sizeof(rq.bearer));
    take_line(&in, rq.key, sizeof(rq.key));
    rr_buf_init(&rq.body, ADMIN_BODY_MAX);
    rr_buf_append(&rq.body, in.p, in.len);
    admin_route(&admin, &rq);
    RR_ASSERT(answers == 1);
    rr_buf_fini(&rq.body);
    return 0;
}
