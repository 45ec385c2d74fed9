#include "fakes.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fake_shard *fake_at(struct fakes *f, const char *code, uint32_t shard)
{
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->shards[i].at.shard == shard && strcmp(f->shards[i].at.code, code) == 0)
            return &f->shards[i];
    }
    return NULL;
}

static enum rr_err now_ms(void *impl, int64_t *out)
{
    *out = ((struct fakes *)impl)->now_ms;
    return RR_OK;
}

static enum rr_err seal(void *impl, const struct pool_seal *s, char rid[RR_RID_LEN + 1])
{
    struct fakes *f = impl;
    struct fake_shard *x = fake_at(f, s->at.code, s->at.shard);

    if (!x || !x->st.exists) {
        if (!x) {
            assert_true(f->n < FAKE_SHARDS && s->count <= FAKE_GRANTS);
            x = &f->shards[f->n++];
        }
        memset(x, 0, sizeof(*x));
        x->at = s->at;
        x->st.exists = true;
        x->st.st = 'P';
        x->st.n = s->count;
        strcpy(x->st.rid, f->rid);
        memcpy(x->amounts_fen, s->amounts_fen, s->count * sizeof(int64_t));
        f->seals++;
    }
    strcpy(rid, x->st.rid);
    return RR_OK;
}

static enum rr_err open_shard(void *impl, const struct pool_shard *at, int64_t t0_ms, int64_t t1_ms)
{
    struct fakes *f = impl;
    struct fake_shard *x = fake_at(f, at->code, at->shard);

    if (f->fail_open) {
        f->fail_open--;
        return RR_UNAVAILABLE;
    }
    if (!x || !x->st.exists)
        return RR_NOT_FOUND;
    if (!pool_same_run(x->st.rid, f->rid))
        return RR_RECOVERING;
    if (x->st.st == 'P') {
        x->st.st = 'O';
        x->st.t0_ms = t0_ms;
        x->st.t1_ms = t1_ms;
    }
    return RR_OK;
}

static enum rr_err extend(void *impl, const struct pool_shard *at, int64_t t1_ms)
{
    struct fake_shard *x = fake_at(impl, at->code, at->shard);

    if (!x || !x->st.exists)
        return RR_NOT_FOUND;
    if (x->st.st != 'O')
        return RR_CONFLICT;
    if (t1_ms > x->st.t1_ms)
        x->st.t1_ms = t1_ms;
    return RR_OK;
}

static enum rr_err state(void *impl, const struct pool_shard *at, struct pool_state *out)
{
    struct fakes *f = impl;
    const struct fake_shard *x = fake_at(f, at->code, at->shard);

    memset(out, 0, sizeof(*out));
    if (x && x->st.exists) {
        *out = x->st;
        out->left = x->st.n - x->st.granted;
    }
    strcpy(out->now_rid, f->rid);
    return RR_OK;
}

static enum rr_err close_shard(void *impl, const struct pool_shard *at, bool force,
                               struct pool_state *out)
{
    struct fakes *f = impl;
    struct fake_shard *x = fake_at(f, at->code, at->shard);

    if (f->fail_close) {
        f->fail_close--;
        return RR_UNAVAILABLE;
    }
    if (!x || !x->st.exists)
        return RR_NOT_FOUND;
    if (!force && f->now_ms < x->st.t1_ms)
        return RR_CONFLICT;
    x->st.st = 'C';
    return state(f, at, out);
}

static enum rr_err grants(void *impl, const struct pool_shard *at, pool_grant_fn fn, void *arg)
{
    const struct fake_shard *x = fake_at(impl, at->code, at->shard);
    enum rr_err err = RR_OK;

    for (uint32_t i = 0; x && !err && i < x->st.granted; i++) {
        if (x->grants[i].user_id)
            err = fn(arg, &x->grants[i]);
        if (!err && i == 0 && x->grants[0].user_id)
            err = fn(arg, &x->grants[0]); /* HSCAN may report one twice */
    }
    return err;
}

static enum rr_err retire(void *impl, const struct pool_shard *at)
{
    struct fake_shard *x = fake_at(impl, at->code, at->shard);

    if (x)
        x->retired = true;
    return RR_OK;
}

static enum rr_err epochs(void *impl, struct pool_epochs *out)
{
    struct fakes *f = impl;

    memset(out, 0, sizeof(*out));
    strcpy(out->of[0].rid, f->rid);
    strcpy(out->of[0].mark, f->mark);
    out->n = 1;
    return RR_OK;
}

static bool durable(void *impl)
{
    return ((struct fakes *)impl)->durable;
}

static struct fake_shard *shard_made(struct fakes *f, const struct pool_shard *at)
{
    struct fake_shard *x = fake_at(f, at->code, at->shard);

    if (x)
        return x;
    assert_true(f->n < FAKE_SHARDS);
    x = &f->shards[f->n++];
    memset(x, 0, sizeof(*x));
    x->at = *at;
    return x;
}

static enum rr_err fence(void *impl, const struct pool_shard *at, const char *rid)
{
    struct fake_shard *x = shard_made(impl, at);

    if (x->st.exists && strcmp(x->st.rid, rid) == 0)
        return RR_OK;
    strcpy(x->fence, rid);
    if (x->st.exists)
        x->st.rid[0] = '-';
    return RR_OK;
}

static enum rr_err refill(void *impl, const struct pool_refill *r)
{
    struct fakes *f = impl;
    struct fake_shard *x = shard_made(f, &r->at);
    char st = x->st.exists && x->st.st == 'C' ? 'C' : r->st;

    if (x->st.exists && strcmp(x->st.rid, r->rid) == 0)
        return RR_OK;
    if (!pool_same_run(r->rid, f->rid) || strcmp(x->fence, r->rid) != 0)
        return RR_CONFLICT;
    if (strcmp(x->st.exists ? x->st.rid : "", r->from_rid) != 0)
        return RR_RETRY;
    if (f->no_refill) {
        f->no_refill = false;
        return RR_CONFLICT;
    }
    assert_true(r->n <= FAKE_GRANTS && r->floor <= r->n);
    memset(&x->st, 0, sizeof(x->st));
    memset(x->grants, 0, sizeof(x->grants));
    x->st = (struct pool_state){.exists = true,
                                .st = st,
                                .t0_ms = r->t0_ms,
                                .t1_ms = r->t1_ms,
                                .n = r->n,
                                .granted = r->floor};
    strcpy(x->st.rid, r->rid);
    memcpy(x->amounts_fen, r->amounts_fen, r->n * sizeof(int64_t));
    x->outbox = 0;
    for (uint32_t i = 0; i < r->grants_n; i++) {
        assert_true(r->grants[i].packet_no < r->floor);
        if (i)
            assert_true(r->grants[i - 1].user_id < r->grants[i].user_id ||
                        (r->grants[i - 1].user_id == r->grants[i].user_id &&
                         r->grants[i - 1].seq < r->grants[i].seq));
        x->grants[r->grants[i].packet_no] = r->grants[i];
        x->outbox += !r->in_books[i];
    }
    x->fence[0] = 0;
    f->refills++;
    if (f->lose_refill) {
        f->lose_refill = false;
        return RR_UNAVAILABLE;
    }
    return RR_OK;
}

static enum rr_err lock(void *impl, const char *code, const char *owner, int64_t ttl_ms)
{
    struct fakes *f = impl;

    (void)code;
    (void)ttl_ms;
    if (f->locked_by[0] && strcmp(f->locked_by, owner) != 0)
        return RR_BUSY;
    snprintf(f->locked_by, sizeof(f->locked_by), "%s", owner);
    return RR_OK;
}

static void unlock(void *impl, const char *code, const char *owner)
{
    struct fakes *f = impl;

    (void)code;
    if (strcmp(f->locked_by, owner) == 0)
        f->locked_by[0] = 0;
}

static enum rr_err mark(void *impl, const char *marker, const char *code, const char *value)
{
    struct fakes *f = impl;

    (void)code;
    if (strcmp(marker, "prepare:ok") == 0)
        snprintf(f->prepare_ok, sizeof(f->prepare_ok), "%s", value);
    else if (strcmp(marker, "notify") == 0)
        snprintf(f->notify_mark, sizeof(f->notify_mark), "%s", value);
    else
        fail();
    return RR_OK;
}

static enum rr_err stats(void *impl, const char *code, int64_t count, int64_t price_fen)
{
    struct fakes *f = impl;

    (void)code;
    f->stats_count = count;
    f->stats_fen = price_fen;
    return RR_OK;
}

static enum rr_err user_totals(void *impl, const struct pool_user_total *totals, uint32_t n)
{
    if (n)
        ((struct fakes *)impl)->user_total_fen = totals[n - 1].total_fen;
    return RR_OK;
}

static enum rr_err push_room(void *impl, const char *room_id, const char *biz_code,
                             struct rr_slice payload, const char *keep_code, int final)
{
    struct fakes *f = impl;
    struct fake_push *p = &f->pushes[f->pushes_n];

    if (f->fail_push) {
        f->fail_push--;
        return RR_UNAVAILABLE;
    }
    assert_true(f->pushes_n < FAKE_PUSHES && payload.len <= sizeof(p->payload));
    f->pushes_n++;
    strcpy(p->room_id, room_id);
    strcpy(p->biz_code, biz_code);
    strcpy(p->keep_code, keep_code ? keep_code : "");
    p->final = final;
    memcpy(p->payload, payload.p, payload.len);
    p->len = payload.len;
    return RR_OK;
}

static enum rr_err push_users(void *impl, const char *biz_code, const struct rain_user_push *pushes,
                              uint32_t n)
{
    struct fakes *f = impl;

    assert_true(pushes[0].payload.len > 0);
    for (uint32_t i = 0; i < n && f->told_n < RR_COUNTOF(f->told); i++) {
        f->told[f->told_n].user_id = pushes[i].user_id;
        strcpy(f->told[f->told_n++].biz_code, biz_code);
    }
    if (strcmp(biz_code, "GRANT_SETTLED") == 0)
        f->user_pushes += n;
    return RR_OK;
}

static enum rr_err settle_lag(void *impl, int64_t lag_ms)
{
    (void)impl;
    (void)lag_ms;
    return RR_OK;
}

static enum rr_err allow(void *impl, const char *code, const int64_t *users, uint32_t n)
{
    struct fakes *f = impl;

    assert_int_equal(strlen(code), RR_CODE_LEN);
    f->allows++;
    f->allowed_n = n;
    for (uint32_t i = 0; i < n && i < RR_COUNTOF(f->allowed); i++)
        f->allowed[i] = users[i];
    return RR_OK;
}

void fakes_init(struct fakes *f)
{
    memset(f, 0, sizeof(*f));
    strcpy(f->rid, "0123456789abcdef0123456789abcdef01234567");
    strcpy(f->mark, "m0");
    f->now_ms = 1000000;
    f->pool = (struct pool_admin){.impl = f,
                                  .now_ms = now_ms,
                                  .allow = allow,
                                  .seal = seal,
                                  .open = open_shard,
                                  .extend = extend,
                                  .close = close_shard,
                                  .state = state,
                                  .grants = grants,
                                  .epochs = epochs,
                                  .durable = durable,
                                  .fence = fence,
                                  .refill = refill,
                                  .retire = retire,
                                  .lock = lock,
                                  .unlock = unlock,
                                  .mark = mark,
                                  .stats = stats,
                                  .user_totals = user_totals};
    f->notify = (struct rain_notify){
        .impl = f, .push_room = push_room, .push_users = push_users, .settle_lag = settle_lag};
}

int64_t fake_grab(struct fakes *f, const char *code, uint32_t shard, int64_t user_id,
                  struct pool_grant *out)
{
    struct fake_shard *x = fake_at(f, code, shard);
    uint32_t seq = 0;

    assert_non_null(x);
    assert_int_equal(x->st.st, 'O');
    if (x->st.granted == x->st.n)
        return 0;
    for (uint32_t i = 0; i < x->st.granted; i++)
        seq += x->grants[i].user_id == user_id;
    *out = (struct pool_grant){.user_id = user_id,
                               .seq = seq,
                               .packet_no = x->st.granted,
                               .amount_fen = x->amounts_fen[x->st.granted]};
    x->grants[x->st.granted++] = *out;
    x->st.granted_fen += out->amount_fen;
    if (x->st.granted == x->st.n)
        x->st.sold_out_at_ms = f->now_ms;
    return out->amount_fen;
}

void fake_restart(struct fakes *f, const char *rid)
{
    strcpy(f->rid, rid);
}

void fake_wipe(struct fakes *f)
{
    f->n = 0;
    f->mark[1]++;
}

void fake_roll_back(struct fakes *f, uint32_t k)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct fake_shard *x = &f->shards[i];

        if (x->st.granted > k) {
            x->st.granted = k;
            x->st.sold_out_at_ms = 0;
        }
    }
}

const struct fake_push *fake_push_of(const struct fakes *f, const char *biz_code, uint32_t i)
{
    for (uint32_t k = 0; k < f->pushes_n; k++) {
        if (strcmp(f->pushes[k].biz_code, biz_code) == 0 && i-- == 0)
            return &f->pushes[k];
    }
    return NULL;
}
