#include "settle_decide.h"

#include <string.h>

#include "protocol/record.h"

static struct settle_decision say(enum settle_verdict verdict, const char *reason)
{
    return (struct settle_decision){.verdict = verdict, .reason = reason};
}

/* Printable ASCII, as every run id is: anything else could not even be stored. */
static bool plain(const char *rid)
{
    size_t len = 0;

    while (rid[len] > ' ' && rid[len] <= '~')
        len++;
    return len > 0 && rid[len] == 0;
}

struct settle_decision settle_decide_record(const struct settle_item *item,
                                            const struct settle_rain_facts *rain)
{
    const struct grant_record *rec = &item->rec;

    if (!item->decoded && grant_record_version(item->raw) > RR_RECORD_VERSION)
        return say(SETTLE_DEAD, "newer_version");
    if (!item->decoded || !rain_code_valid(rr_slice_str(rec->code)) || !plain(rec->rid))
        return say(SETTLE_DEAD, "undecodable");
    if (rec->user_id <= 0)
        return say(SETTLE_DEAD, "user");
    if (!rain->known)
        return say(SETTLE_PARK, "unknown_code");
    if (rain->amount_fen < 0)
        return say(SETTLE_DEAD, "no_such_packet");
    if (rain->amount_fen != rec->amount_fen)
        return say(SETTLE_DEAD, "amount");
    if (rec->seq >= rain->limit)
        return say(SETTLE_DEAD, "seq_over_limit");
    return say(SETTLE_NEW, "");
}

struct settle_decision settle_decide_row(const struct grant_record *rec,
                                         const struct settle_row_facts *facts)
{
    const struct settle_grant_fact *row = &facts->by_packet;

    /* What is in the books first: late copies of it come with old run ids and after the close. */
    if (row->found && !row->is_void && row->user_id == rec->user_id && row->seq == rec->seq &&
        row->amount_fen == rec->amount_fen)
        return say(SETTLE_DUPLICATE, "");
    /* Before the contradictions: after a recovery others may have the packet, and its first user another one. */
    if (!facts->rid || strcmp(facts->rid, rec->rid) != 0)
        return say(SETTLE_STALE_RID, "stale_rid");
    if (row->found && row->is_void)
        return say(SETTLE_CONFLICT, "packet_void");
    if (row->found)
        return say(SETTLE_CONFLICT, "packet_taken");
    if (facts->by_seq.found)
        return say(SETTLE_CONFLICT, "seq_taken");
    if (facts->closed && rec->packet_no >= facts->granted_k)
        return say(SETTLE_CONFLICT, "packet_refunded");
    if (facts->remain_fen < rec->amount_fen)
        return say(SETTLE_CONFLICT, "escrow_short");
    return say(SETTLE_NEW, "");
}

struct settle_hold settle_decide_hold(const struct settle_hold_facts *facts)
{
    const int64_t *v = facts->rules->v;

    if (facts->marked)
        return (struct settle_hold){.held = true, .rule = RISK_NONE};
    if (v[RISK_GRAB_FEN] > 0 && facts->amount_fen > v[RISK_GRAB_FEN])
        return (struct settle_hold){.held = true,
                                    .rule = RISK_GRAB_FEN,
                                    .seen = facts->amount_fen,
                                    .bound = v[RISK_GRAB_FEN]};
    if (v[RISK_USER_DAY] > 0 && facts->day_fen > v[RISK_USER_DAY])
        return (struct settle_hold){
            .held = true, .rule = RISK_USER_DAY, .seen = facts->day_fen, .bound = v[RISK_USER_DAY]};
    return (struct settle_hold){.held = false, .rule = RISK_NONE};
}

int settle_order(const struct grant_record *a, const struct grant_record *b)
{
    int c = strcmp(a->code, b->code);

    if (c == 0)
        c = (a->shard > b->shard) - (a->shard < b->shard);
    if (c == 0)
        c = (a->packet_no > b->packet_no) - (a->packet_no < b->packet_no);
    return c;
}

enum settle_same settle_same(const struct grant_record *a, const struct grant_record *b)
{
    if (settle_order(a, b) != 0)
        return SETTLE_SAME_NOT;
    return a->user_id == b->user_id && a->seq == b->seq && a->amount_fen == b->amount_fen &&
                   strcmp(a->rid, b->rid) == 0
               ? SETTLE_SAME
               : SETTLE_SAME_BUT;
}
