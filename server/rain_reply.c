#include "rain_reply.h"

#include "console_job.h"
#include "handlers.h"
#include "protocol/pack.h"

const char *grant_state_name(const struct rain_job_grant *g)
{
    if (!g->in_sql)
        return "confirming";
    switch (g->row.state) {
    case 's': return "settled";
    case 'h': return "held";
    case 't': return "taken_back";
    default: return "void";
    }
}

/* Keys of one rain in STATS. Live counts come from the pool's sums when this worker follows the
 * rain, else from SQL. */
static void pack_rain(struct worker *w, const struct rain_info *r, struct rr_buf *b)
{
    struct rain_entry *live = rains_find(w->rains, rr_slice_str(r->code));
    int64_t granted = r->settled_count;
    int64_t granted_fen = r->settled_fen;

    if (live && live->granted > granted) {
        granted = live->granted;
        granted_fen = live->granted_fen;
    }
    pack_map(b, 22);
    pack_kv_str(b, "code", r->code);
    pack_kv_str(b, "status", rain_status_name(r->status));
    pack_kv_int(b, "total", r->spec.total_fen);
    pack_kv_int(b, "count", r->spec.count);
    pack_kv_int(b, "granted", granted);
    pack_kv_int(b, "granted_fen", granted_fen);
    pack_kv_int(b, "settled", r->settled_count);
    pack_kv_int(b, "settled_fen", r->settled_fen);
    pack_kv_int(b, "refunded_fen", r->refunded_fen);
    pack_kv_int(b, "remain_fen", r->remain_fen);
    pack_kv_int(b, "open_at", r->t0_ms);
    pack_kv_int(b, "end_at", r->t1_ms);
    pack_kv_str(b, "split", rain_split_name(r->spec.split));
    pack_kv_int(b, "limit", r->spec.limit);
    pack_kv_int(b, "shards", r->spec.shards);
    pack_kv_str(b, "text", r->spec.text);
    pack_kv_int(b, "created_at", r->created_at_ms);
    pack_kv_str(b, "seed_hash", r->seed_hash);
    pack_kv_str(b, "kind", rain_kind_name(r->spec.kind));
    pack_kv_user(b, "sender", r->spec.sender_id);
    pack_kv_int(b, "start_at", r->spec.start_at_ms);
    pack_kv_int(b, "expire_at", r->spec.expire_at_ms);
}

/* What a sender sees of his own packet. */
static void pack_sent(const struct rain_info *r, struct rr_buf *b)
{
    pack_map(b, 14);
    pack_kv_str(b, "code", r->code);
    pack_kv_str(b, "room", r->spec.room_id);
    pack_kv_str(b, "kind", rain_kind_name(r->spec.kind));
    pack_kv_str(b, "status", rain_status_name(r->status));
    pack_kv_int(b, "total", r->spec.total_fen);
    pack_kv_int(b, "count", r->spec.count);
    pack_kv_int(b, "settled", r->settled_count);
    pack_kv_int(b, "settled_fen", r->settled_fen);
    pack_kv_int(b, "refunded_fen", r->refunded_fen);
    pack_kv_int(b, "remain_fen", r->remain_fen);
    pack_kv_int(b, "end_at", r->t1_ms);
    pack_kv_int(b, "expire_at", r->spec.expire_at_ms);
    pack_kv_str(b, "text", r->spec.text);
    pack_kv_int(b, "created_at", r->created_at_ms);
}

static void build_sent(struct worker *w, const struct rain_job *j, struct rr_buf *b)
{
    msg_reply_begin(b, j->req_id, RESULT_OK, 3);
    pack_kv_int(b, "balance", j->wallet.balance_fen);
    pack_kv_int(b, "now", worker_rain_now_ms(w));
    pack_cstr(b, "sent");
    pack_array(b, j->rains_n);
    for (uint32_t i = 0; i < j->rains_n; i++)
        pack_sent(&j->rains[i], b);
}

static void pack_delivery(const struct rain_job *j, struct rr_buf *b)
{
    pack_cstr(b, "delivery");
    pack_map(b, 8);
    pack_kv_int(b, "expected", (int64_t)j->delivery.expected);
    pack_kv_int(b, "sent", (int64_t)j->delivery.sent);
    pack_kv_int(b, "dropped", (int64_t)j->delivery.dropped);
    pack_kv_int(b, "closed", (int64_t)j->delivery.closed);
    pack_kv_int(b, "queued", (int64_t)j->delivery.queued);
    pack_kv_int(b, "lost", (int64_t)j->delivery_lost);
    pack_kv_int(b, "grabs", (int64_t)j->delivery.grabs);
    pack_kv_int(b, "grabs_failed", (int64_t)j->delivery.grabs_failed);
}

static void build_list(struct worker *w, const struct rain_job *j, struct rr_buf *b)
{
    msg_reply_begin(b, j->req_id, RESULT_OK, 7);
    pack_delivery(j, b);
    pack_kv_int(b, "shed", (int64_t)w->shed.level);
    if (j->lag_ms >= 0)
        pack_kv_int(b, "lag_ms", j->lag_ms);
    else
        pack_kv_nil(b, "lag_ms");
    pack_kv_int(b, "online", hub_online(w->hub, j->room_id));
    pack_kv_int(b, "balance", j->wallet.balance_fen);
    pack_kv_int(b, "now", worker_rain_now_ms(w));
    pack_cstr(b, "rains");
    pack_array(b, j->rains_n);
    for (uint32_t i = 0; i < j->rains_n; i++)
        pack_rain(w, &j->rains[i], b);
}

static void build_grants(const struct rain_job *j, struct rr_buf *b)
{
    msg_reply_begin(b, j->req_id, RESULT_OK, 1);
    pack_cstr(b, "grants");
    pack_array(b, j->grants_n);
    for (uint32_t i = 0; i < j->grants_n; i++) {
        const struct rain_job_grant *g = &j->grants[i];

        pack_map(b, g->in_sql ? 7 : 5);
        pack_kv_str(b, "code", g->row.code);
        pack_kv_int(b, "seq", g->row.seq);
        pack_kv_int(b, "shard", g->row.shard);
        pack_kv_int(b, "no", g->row.packet_no);
        pack_kv_str(b, "state", grant_state_name(g));
        if (g->in_sql) {
            pack_kv_int(b, "amount", g->row.amount_fen);
            pack_kv_int(b, "at", g->row.granted_at_ms);
        }
    }
}

void rain_reply_build(struct worker *w, const struct rain_job *j, struct rr_buf *b)
{
    const struct rain_info *r = j->rains;

    switch (j->kind) {
    case RAIN_JOB_SHOW:
    case RAIN_JOB_LIST: build_list(w, j, b); return;
    case RAIN_JOB_GRANTS: build_grants(j, b); return;
    case RAIN_JOB_GRAB:
        msg_reply_begin(b, j->req_id, RESULT_OK, 6);
        pack_kv_str(b, "code", j->code);
        pack_kv_int(b, "seq", j->grants->row.seq);
        pack_kv_int(b, "shard", j->grants->row.shard);
        pack_kv_int(b, "no", j->grants->row.packet_no);
        pack_kv_int(b, "amount", j->grants->row.amount_fen);
        pack_kv_int(b, "left", 0);
        return;
    case RAIN_JOB_SENT: build_sent(w, j, b); return;
    case RAIN_JOB_SEND:
        msg_reply_begin(b, j->req_id, RESULT_OK, 8);
        pack_kv_str(b, "code", r->code);
        pack_kv_str(b, "kind", rain_kind_name(r->spec.kind));
        pack_kv_str(b, "status", rain_status_name(r->status));
        pack_kv_int(b, "total", r->spec.total_fen);
        pack_kv_int(b, "count", r->spec.count);
        pack_kv_int(b, "end_at", r->t1_ms);
        pack_kv_str(b, "seed_hash", r->seed_hash);
        pack_kv_int(b, "balance", j->wallet.balance_fen);
        return;
    case RAIN_JOB_WINNERS:
    case RAIN_JOB_AUDIT:
    case RAIN_JOB_TEMPLATES:
    case RAIN_JOB_CHECK: console_reply_build(j, b); return;
    case RAIN_JOB_CREATE:
        msg_reply_begin(b, j->req_id, RESULT_OK, 8);
        pack_kv_str(b, "code", r->code);
        pack_kv_int(b, "total", r->spec.total_fen);
        pack_kv_int(b, "count", r->spec.count);
        pack_kv_int(b, "shards", r->spec.shards);
        pack_kv_str(b, "status", rain_status_name(r->status));
        pack_kv_str(b, "seed_hash", r->seed_hash);
        pack_kv_int(b, "balance", j->wallet.balance_fen);
        pack_kv_int(b, "audit", j->audit_id);
        return;
    case RAIN_JOB_START:
    case RAIN_JOB_EXTEND:
        msg_reply_begin(b, j->req_id, RESULT_OK, 5);
        pack_kv_str(b, "code", r->code);
        pack_kv_str(b, "status", rain_status_name(r->status));
        pack_kv_int(b, "open_at", r->t0_ms);
        pack_kv_int(b, "end_at", r->t1_ms);
        pack_kv_int(b, "audit", j->audit_id);
        return;
    default:
        msg_reply_begin(b, j->req_id, RESULT_OK, 3);
        pack_kv_str(b, "code", r->code);
        pack_kv_str(b, "status", rain_status_name(r->status));
        pack_kv_int(b, "audit", j->audit_id);
    }
}
