#include "rain/gate.h"

#include <string.h>

#include "rain/split.h"

static bool sold_out_at_home(const struct live_rain *r, int64_t user_id)
{
    return r->sold_out >> rain_home_shard(user_id, r->shards) & 1;
}

/* Same order as the script, so that memory and script give the same answer. */
enum rr_err gate_check(const struct live_rain *r, const char *room_id, int64_t user_id,
                       uint32_t seq, bool again, int64_t now_ms, int64_t slack_ms)
{
    if (strcmp(r->room_id, room_id) != 0)
        return RR_NOT_FOUND;
    if (again)
        return RR_OK;
    if (now_ms + slack_ms < r->t0_ms)
        return RR_NOT_STARTED;
    if (r->ended || now_ms - slack_ms >= r->t1_ms)
        return RR_ENDED;
    if (seq >= r->limit)
        return RR_LIMIT;
    if (sold_out_at_home(r, user_id))
        return RR_SOLD_OUT;
    return RR_OK;
}

static bool is_listed(const struct live_rain *r, int64_t user_id)
{
    uint32_t lo = 0;
    uint32_t hi = r->allowed_n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (r->allowed[mid] < user_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->allowed_n && r->allowed[lo] == user_id;
}

enum rr_err gate_eligible(const struct live_rain *r, const struct gate_user *u)
{
    if (u->level < (int64_t)r->min_level || (r->new_since_s && u->since_s < r->new_since_s))
        return RR_NOT_ELIGIBLE;
    if (r->listed && !r->allowed)
        return RR_BUSY;
    if (r->listed && !is_listed(r, u->user_id))
        return RR_NOT_ELIGIBLE;
    return RR_OK;
}

void gate_learn(struct live_rain *r, uint32_t shard, const char *rid, bool sold_out, int64_t t1_ms)
{
    if (strcmp(r->rid, rid) != 0) {
        /* Another Redis, or the same one restarted: its lists may not be the ones we knew. */
        (void)rr_slice_copy(rr_slice_str(rid), r->rid, sizeof(r->rid));
        r->sold_out = 0;
    }
    if (sold_out)
        r->sold_out |= UINT64_C(1) << (shard % RR_SHARDS_MAX);
    if (t1_ms > r->t1_ms) /* only ever extended */
        r->t1_ms = t1_ms;
}
