/* book.c - see book.h. */
#include "book.h"

#include "protocol/msg.h"

static int64_t slot_us(const struct book_times *t, int64_t slot)
{
    return t->open_us + t->phase_us + slot * t->interval_us;
}

/* Slots before `until_us` are gone: nobody may grab for them any more. */
static void skip_until(struct book *b, const struct book_times *t, int64_t until_us)
{
    if (until_us > t->end_us)
        until_us = t->end_us;
    int64_t behind_us = until_us - slot_us(t, b->slot);
    if (behind_us <= 0)
        return;
    int64_t n = (behind_us + t->interval_us - 1) / t->interval_us;
    b->slot += n;
    b->skipped += (uint64_t)n;
}

static bool may_start(const struct book *b, const struct book_times *t, int64_t now_us)
{
    return !b->ended && !b->done && !b->rain->over && now_us < t->end_us;
}

void book_begin(struct book *b, const struct book_times *t, int64_t now_us)
{
    uint64_t skipped = b->skipped;
    skip_until(b, t, now_us);
    b->skipped = skipped;
}

bool book_due(struct book *b, const struct book_times *t, int64_t now_us, struct book_ask *ask)
{
    if (b->asked && now_us < b->reask_us)
        return false;
    if (!b->asked && now_us < b->hold_us)
        return false;
    if (b->open) {
        *ask = (struct book_ask){.seq = b->seq, .intended_us = b->intended_us, .again = true};
        return true;
    }
    if (!may_start(b, t, now_us))
        return false;
    skip_until(b, t, b->hold_us);
    int64_t due_us = slot_us(t, b->slot);
    if (due_us > now_us || due_us >= t->end_us)
        return false;
    b->slot++;
    *ask = (struct book_ask){.seq = b->seq, .intended_us = due_us};
    return true;
}

void book_sent(struct book *b, const struct book_ask *ask, uint32_t id, int64_t now_us)
{
    b->asked = true;
    b->open = true;
    b->intended_us = ask->intended_us;
    b->again = ask->again;
    b->last_id = id;
    b->reask_us = now_us + BOOK_SILENCE_REASK_US;
}

static void close_question(struct book *b, const struct book_times *t, int64_t now_us)
{
    b->asked = false;
    b->open = false;
    skip_until(b, t, now_us);
}

static enum book_verdict take_ok(struct book *b, const struct book_times *t, int64_t seq,
                                 int64_t now_us)
{
    if (b->open && seq == b->seq) {
        close_question(b, t, now_us);
        b->seq = seq + 1;
        return BOOK_TOLD;
    }
    if (!b->open && seq >= b->seq)
        b->seq = seq + 1;
    return BOOK_TOLD_OFF;
}

/* The server did not look at the question. It is as if never asked, unless an earlier GRAB for it
 * went unanswered. */
static enum book_verdict take_later(struct book *b, const struct book_times *t, int64_t retry_ms,
                                    int64_t now_us)
{
    b->hold_us = now_us + (retry_ms > 0 ? retry_ms * 1000 : BOOK_RETRY_US);
    if (b->again)
        b->asked = false;
    else
        close_question(b, t, now_us);
    return BOOK_LATER;
}

static enum book_verdict take_bad_seq(struct book *b, const struct book_times *t, int64_t next,
                                      int64_t now_us)
{
    close_question(b, t, now_us);
    if (next >= 0)
        b->seq = next;
    return BOOK_NO;
}

enum book_verdict book_take(struct book *b, const struct book_times *t, const struct book_answer *a,
                            int64_t now_us)
{
    if (a->result == RESULT_OK)
        return take_ok(b, t, a->seq, now_us);
    if (!b->open || (a->seq >= 0 && a->seq != b->seq))
        return BOOK_IGNORED;
    if (!a->id && a->seq < 0)
        return BOOK_IGNORED; /* pushed, and no telling for which question */
    if (a->result == RESULT_PENDING) {
        b->reask_us = now_us + BOOK_PENDING_REASK_US;
        return BOOK_WAITS;
    }
    /* A "no" to an older GRAB may have come from a memory that a newer one outruns. */
    if (a->id && (!b->asked || a->id != b->last_id))
        return BOOK_IGNORED;
    switch (a->result) {
    case RESULT_RATE_LIMITED:
    case RESULT_BUSY:
    case RESULT_RECOVERING:
    case RESULT_UNAVAILABLE: return take_later(b, t, a->retry_after_ms, now_us);
    case RESULT_NOT_STARTED: close_question(b, t, now_us); return BOOK_LATER;
    case RESULT_BAD_SEQ: return take_bad_seq(b, t, a->next, now_us);
    case RESULT_ENDED: b->ended = true; break;
    default: break;
    }
    close_question(b, t, now_us);
    return BOOK_NO;
}

bool book_disconnect(struct book *b)
{
    bool waiting = b->asked;
    b->asked = false;
    b->hold_us = 0;
    return waiting;
}

void book_rejoin(struct book *b, int64_t next)
{
    if (!b->open && next > b->seq)
        b->seq = next;
}

int64_t book_wake_us(const struct book *b, const struct book_times *t)
{
    if (b->asked)
        return b->reask_us;
    if (b->open)
        return b->hold_us;
    int64_t at_us = slot_us(t, b->slot);
    if (at_us < b->hold_us)
        at_us = b->hold_us;
    return may_start(b, t, at_us) ? at_us : INT64_MAX;
}
