/* book.h - what one viewer asked in one rain and does not know yet: which seq comes next, whether
 * it must say `again`, and when to ask. Pure decisions: no socket, no clock, no message bytes. A
 * question (rain, seq) is open from its first GRAB until its final answer; there is at most one per
 * book. PENDING and a lost connection leave it open, and an open question is asked again with
 * `again`. Slots are the open-loop schedule open + phase + k * interval; a slot that passes while a
 * question is open is skipped and counted. */
#ifndef BENCH_BOOK_H
#define BENCH_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "rain_view.h"

enum {
    BOOK_PENDING_REASK_US = 2500 * 1000,
    BOOK_SILENCE_REASK_US = 5000 * 1000, /* no answer at all on a living connection */
    BOOK_RETRY_US = 500 * 1000,          /* refused without retry_after_ms */
};

struct book {
    struct rain_view *rain;
    int64_t seq;         /* of the grant wanted */
    int64_t slot;        /* next slot of the schedule */
    int64_t intended_us; /* when the first GRAB of the open question should have left */
    int64_t reask_us;    /* asked: ask again at this time */
    int64_t hold_us;     /* not asked: not before this time */
    uint32_t last_id;    /* frame id of the newest GRAB */
    bool asked;          /* a GRAB of this connection waits for its final answer */
    bool open;           /* the question was sent and has no final answer: say again */
    bool again;          /* the newest GRAB said again: an older one may have an answer under way */
    bool ended;          /* ENDED was answered: no new questions */
    bool done;           /* RESULT or CANCEL arrived */
    bool listed;         /* scratch of JOIN: the snapshot names this rain */
    uint64_t skipped;    /* slots that passed while a question was open or on hold */
};

/* The rain on our own clock. */
struct book_times {
    int64_t open_us, end_us;
    int64_t phase_us, interval_us; /* interval > 0 */
};

/* A GRAB to send now. */
struct book_ask {
    int64_t seq;
    int64_t intended_us;
    bool again;
};

/* Answer to a GRAB: a REPLY, or a GRAB_RESULT push (id 0). */
struct book_answer {
    uint32_t id;
    int64_t result; /* enum result_code */
    int64_t seq;    /* -1 when the answer does not say */
    int64_t retry_after_ms;
    int64_t next; /* of BAD_SEQ, else -1 */
};

enum book_verdict {
    BOOK_IGNORED,  /* of an older question: nothing changes */
    BOOK_TOLD,     /* granted, the open question is answered */
    BOOK_TOLD_OFF, /* granted, but not what is asked now (late or by another socket of the user) */
    BOOK_WAITS,    /* PENDING */
    BOOK_NO,       /* final: nothing for this question */
    BOOK_LATER,    /* not looked at: asked again later */
};

/* The viewer learned of the rain now: earlier slots are not his. */
void book_begin(struct book *b, const struct book_times *t, int64_t now_us);
/* True when a GRAB is to be sent now; book_sent() must follow if it was. */
bool book_due(struct book *b, const struct book_times *t, int64_t now_us, struct book_ask *ask);
void book_sent(struct book *b, const struct book_ask *ask, uint32_t id, int64_t now_us);
enum book_verdict book_take(struct book *b, const struct book_times *t, const struct book_answer *a,
                            int64_t now_us);
/* The connection died. True when a GRAB was waiting for an answer. */
bool book_disconnect(struct book *b);
/* JOIN answered: `next` is the server's next seq for this user, -1 when it names none. */
void book_rejoin(struct book *b, int64_t next);
/* When book_due() should be called next; INT64_MAX when there is nothing to wait for. */
int64_t book_wake_us(const struct book *b, const struct book_times *t);

#endif
