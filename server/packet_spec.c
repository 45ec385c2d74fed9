#include "packet_spec.h"

#include <string.h>

static bool fits_u32(int64_t v)
{
    return v >= 0 && v <= UINT32_MAX;
}

static const char *misfit(const struct msg_packet *m)
{
    if (!fits_u32(m->count))
        return "count";
    if (m->has_limit && (!fits_u32(m->limit) || m->limit == 0))
        return "limit";
    if (m->has_shards && (!fits_u32(m->shards) || m->shards == 0))
        return "shards";
    if (m->has_lo && m->lo <= 0)
        return "lo";
    if (m->has_hi && m->hi <= 0)
        return "hi";
    if (m->has_duration_ms && m->duration_ms <= 0)
        return "duration_ms";
    if (m->has_split && rain_split_parse(m->split) == 0)
        return "split";
    if (m->has_kind && rain_kind_parse(m->kind) == 0)
        return "kind";
    return NULL;
}

const char *packet_spec(struct rain_job *j, const struct msg_packet *m)
{
    struct rain_spec *spec = &j->spec;
    const char *bad = misfit(m);

    if (bad)
        return bad;
    if (!rr_slice_copy(m->biz_id, spec->biz_id, sizeof(spec->biz_id)))
        return "biz_id";
    if (!rr_slice_copy(m->text, spec->text, sizeof(spec->text)))
        return "text";
    if (rain_users_parse(m->users, &j->users, &spec->users_n) != RR_OK)
        return "users";
    memcpy(spec->room_id, j->room_id, sizeof(spec->room_id));
    spec->users = j->users;
    spec->kind = m->has_kind ? rain_kind_parse(m->kind) : KIND_RAIN;
    spec->total_fen = m->total;
    spec->count = (uint32_t)m->count;
    spec->limit = (uint32_t)m->limit;
    spec->shards = (uint32_t)m->shards;
    spec->lo_fen = m->lo;
    spec->hi_fen = m->hi;
    spec->duration_ms = m->duration_ms;
    spec->start_at_ms = m->start_at;
    spec->expire_at_ms = m->expire_at;
    spec->random = m->random;
    spec->split = m->has_split ? rain_split_parse(m->split) : 0;
    return NULL;
}
