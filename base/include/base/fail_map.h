/* fail_map.h - every point at which a test may kill, stop or fail one of our processes: one row each, one call site each.
 * The row column is the crash row of docs/FAULTS.md that the point stands in; "error" points make the call site fail instead. */
#ifndef BASE_FAIL_MAP_H
#define BASE_FAIL_MAP_H

/* clang-format off */
/*    id                      name                      crash row    where it stands */
#define RR_FAIL_MAP(X)                                                                                                 \
    X(CREATE_BEFORE_COMMIT,   "create.before_commit",   "create",    "all statements ran, no COMMIT was sent")         \
    X(CREATE_AFTER_COMMIT,    "create.after_commit",    "create",    "the rain is in the books, nobody was told")      \
    X(PREPARE_MID_LIST,       "prepare.mid_list",       "prepare",   "a part of a shard's list of this attempt")       \
    X(PREPARE_SEALED,         "prepare.sealed",         "prepare",   "one more shard is sealed, SQL knows nothing")    \
    X(PREPARE_BEFORE_COMMIT,  "prepare.before_commit",  "prepare",   "all shards are sealed, SQL says CREATED")        \
    X(PREPARE_AFTER_COMMIT,   "prepare.after_commit",   "prepare",   "SQL says PREPARED, lock held, nobody told")      \
    X(START_BEFORE_COMMIT,    "start.before_commit",    "open",      "SQL is about to say SENT")                       \
    X(START_AFTER_COMMIT,     "start.after_commit",     "open",      "SQL says SENT, no shard is open")                \
    X(OPEN_SHARD,             "open.shard",             "open",      "one more shard is open")                         \
    X(OPEN_BEFORE_PUSH,       "open.before_push",       "open",      "every shard is open, the room knows nothing")    \
    X(OPEN_AFTER_PUSH,        "open.after_push",        "open",      "the room was told, the task is not done")        \
    X(GRAB_BEFORE_SCRIPT,     "grab.before_script",     "script",    "grabs wait, the script was not sent")            \
    X(GRAB_AFTER_SCRIPT,      "grab.after_script",      "script",    "the script granted, nothing was produced")       \
    X(GRAB_PRODUCED,          "grab.produced",          "produce",   "a record is in the producer's queue")            \
    X(GRAB_REPORTED,          "grab.reported",          "produce",   "Kafka has the record, nobody was told")          \
    X(GRAB_REPLIED,           "grab.replied",           "produce",   "the viewer was told, the outbox entry stands")   \
    X(OUTBOX_BEFORE_DEL,      "outbox.before_del",      "produce",   "an entry is about to be deleted")                \
    X(PRODUCE_REFUSED,        "produce.refused",        "kafka",     "error: the producer's queue is full")            \
    X(PRODUCER_FATAL,         "producer.fatal",         "kafka",     "error: the producer is fatal")                   \
    X(SWEEP_READ,             "sweep.read",             "kafka",     "old entries were read, nothing was produced")    \
    X(SWEEP_PRODUCED,         "sweep.produced",         "kafka",     "old entries are in the producer's queue")        \
    X(SWEEP_REPORTED,         "sweep.reported",         "kafka",     "Kafka has them, they were not deleted")          \
    X(SWEEP_DELETED,          "sweep.deleted",          "kafka",     "one more of them was deleted")                   \
    X(SETTLE_BEFORE_COMMIT,   "settle.before_commit",   "settle",    "a batch's statements ran, no COMMIT was sent")   \
    X(SETTLE_AFTER_COMMIT,    "settle.after_commit",    "settle",    "a batch is in the books, nobody was told")       \
    X(SETTLE_BEFORE_TELL,     "settle.before_tell",     "settle",    "winners are about to be told")                   \
    X(CLOSE_BEFORE_COMMIT,    "close.before_commit",    "close",     "SQL is about to say CLOSING")                    \
    X(CLOSE_AFTER_COMMIT,     "close.after_commit",     "close",     "SQL says CLOSING, every gate is open")           \
    X(CLOSE_GATE,             "close.gate",             "close",     "one more gate is shut, granted_k is not fixed")  \
    X(CLOSE_FIXED,            "close.fixed",            "close",     "granted_k of one more shard is fixed")           \
    X(REFUND_BEFORE_COMMIT,   "refund.before_commit",   "close",     "a refund's statements ran, no COMMIT")           \
    X(REFUND_AFTER_COMMIT,    "refund.after_commit",    "close",     "one more shard's rest went back")                \
    X(COMPARE_BEGIN,          "compare.begin",          "close",     "the pool's grants are not compared yet")         \
    X(COMPARE_SETTLED,        "compare.settled",        "close",     "grants that SQL lacked are settled")             \
    X(VOID_BEFORE_COMMIT,     "void.before_commit",     "close",     "a void's statements ran, no COMMIT")             \
    X(VOID_AFTER_COMMIT,      "void.after_commit",      "close",     "a packet nobody has went back")                  \
    X(SETTLED_BEFORE_COMMIT,  "settled.before_commit",  "close",     "SQL is about to say SETTLED")                    \
    X(SETTLED_AFTER_COMMIT,   "settled.after_commit",   "close",     "SQL says SETTLED, no RESULT was pushed")         \
    X(RESULT_PUSHED,          "result.pushed",          "close",     "RESULT was pushed, the pool's keys stand")       \
    X(RESULT_RETIRED,         "result.retired",         "close",     "the pool is retired, the task is not done")      \
    X(CANCEL_BEFORE_COMMIT,   "cancel.before_commit",   "cancel",    "the money is about to go back")                  \
    X(CANCEL_AFTER_COMMIT,    "cancel.after_commit",    "cancel",    "the money is back, the pool is not shut")        \
    X(CANCEL_GATE,            "cancel.gate",            "cancel",    "the pool is shut, the room was not told")        \
    X(RECOVER_BEGUN,          "recover.begun",          "recover",   "the books say so, no shard is fenced")           \
    X(RECOVER_TOLD,           "recover.told",           "recover",   "the room was told RECOVERING")                   \
    X(RECOVER_FENCED,         "recover.fenced",         "recover",   "one more shard grants nothing any more")         \
    X(RECOVER_WAITS,          "recover.waits",          "recover",   "the wait has begun")                             \
    X(RECOVER_SNAPSHOT,       "recover.snapshot",       "recover",   "the log's ends are written down")                \
    X(RECOVER_BEFORE_COMMIT,  "recover.before_commit",  "recover",   "new rid and floor, no COMMIT was sent")          \
    X(RECOVER_FIXED,          "recover.fixed",          "recover",   "new rid and floor are in the books")             \
    X(RECOVER_REFILLED,       "recover.refilled",       "recover",   "one more pool is filled again")                  \
    X(RECOVER_REOPENED,       "recover.reopened",       "recover",   "the room was told, the fence stands in SQL")     \
    X(RECOVER_DONE,           "recover.done",           "recover",   "the fence has ended, the task is not done")      \
    X(CHILD_FORKED,           "child.forked",           "process",   "a child that did not yet tie itself to its supervisor") \
    X(WORKER_ENDS,            "worker.ends",            "process",   "a worker left, its libraries clean up")          \
    X(ADMIN_ENDS,             "admin.ends",             "process",   "the admin child left, its libraries clean up")   \
    X(FU_CREATE_BEFORE_COMMIT, "fu.create.before_commit", "fu",        "the pool's money is about to be taken")        \
    X(FU_CREATE_AFTER_COMMIT,  "fu.create.after_commit", "fu",        "a campaign is in SQL, nobody was told")         \
    X(FU_DRAW_BEFORE_COMMIT,   "fu.draw.before_commit", "fu",        "a card's statements ran, no COMMIT")             \
    X(FU_DRAW_AFTER_COMMIT,    "fu.draw.after_commit",  "fu",        "the card is the user's, he was not told")        \
    X(FU_GIVE_BEFORE_COMMIT,   "fu.give.before_commit", "fu",        "a gift's statements ran, no COMMIT")             \
    X(FU_GIVE_AFTER_COMMIT,    "fu.give.after_commit",  "fu",        "the card changed hands, nobody was told")        \
    X(FU_JOIN_BEFORE_COMMIT,   "fu.join.before_commit", "fu",        "a join's statements ran, no COMMIT")             \
    X(FU_JOIN_AFTER_COMMIT,    "fu.join.after_commit",  "fu",        "he is in the pool and was not told")             \
    X(FU_CLOSE_BEFORE_COMMIT,  "fu.close.before_commit", "fu",        "the campaign's end ran, no COMMIT")             \
    X(FU_CLOSE_AFTER_COMMIT,   "fu.close.after_commit", "fu",        "nobody joins any more, nothing is shared")       \
    X(FU_SHARED,               "fu.shared",             "fu",        "the packet exists, the room was not told")
/* clang-format on */

#endif
