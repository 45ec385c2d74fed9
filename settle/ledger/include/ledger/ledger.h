/* ledger.h - the books in MySQL: wallets, double-entry log, escrow, grants. One struct ledger = one
 * connection. Blocking; one thread per ledger. Every call is one transaction (or none); RR_RETRY /
 * RR_UNAVAILABLE: nothing is known to be stored, run it again (all calls are idempotent by their
 * biz id or state). Reconnects by itself on the next call. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/slice.h"
#include "protocol/limits.h"
#include "protocol/record.h"
#include "rain/rain.h"
#include "rain/split.h"
#include "risk/rules.h"

struct ledger;

struct ledger_opts {
    const char *url;               /* mysql://user:password@host:port/database */
    const char *namespace_;        /* prefixed to the database name; may be "" */
    const char *tls;               /* "off" (or NULL), "required", "verify" */
    const char *tls_ca_file;       /* for verify */
    int timeout_s;                 /* connect, read, write; 0 -> 2 */
    const struct risk_cell *rules; /* borrowed; NULL: nothing is held, no create is denied */
};

/* Where the books are, as [mysql] says; borrows its strings. */
struct ledger_opts ledger_opts_of(const struct rr_conf *c, int timeout_s);

/* Library-wide, once per process before threads; and per thread. */
void ledger_global_init(void);
void ledger_thread_init(void);
void ledger_thread_fini(void);

/* Does not connect yet. RR_CONFIG: bad URL. */
RR_MUST_CHECK enum rr_err ledger_create(struct ledger **out, const struct ledger_opts *o);
void ledger_destroy(struct ledger *l); /* NULL-safe */
/* Connects if needed; checks server version (MySQL >= 8.0.16, MariaDB >= 10.6) and schema version.
 * RR_UNAVAILABLE: not reachable, or migrate must be run. RR_CONFIG: too old. */
RR_MUST_CHECK enum rr_err ledger_ping(struct ledger *l);
/* Creates the database if missing and brings the schema to the newest version; repeatable. */
RR_MUST_CHECK enum rr_err ledger_migrate(struct ledger *l);
/* Text of the last failure for logs: no secrets. */
const char *ledger_error(const struct ledger *l);

/* What went not quite smoothly since create, for metrics. */
struct ledger_counters {
    uint64_t statements;   /* sent */
    uint64_t deadlocks;    /* reported by the server */
    uint64_t retries;      /* transactions run again because of one */
    uint64_t slow_batches; /* batches that were decided row by row */
};
struct ledger_counters ledger_counters(const struct ledger *l);

/* ---- wallets ---- */
struct wallet {
    int64_t user_id;
    int64_t balance_fen;
    int64_t frozen_fen;
};
/* RR_DUPLICATE: same biz_id and payload before (wallet filled). RR_CONFLICT: biz_id with another
 * payload. RR_BAD_REQUEST: user or amount out of range, malformed biz_id. */
RR_MUST_CHECK enum rr_err ledger_deposit(struct ledger *l, int64_t user_id, int64_t amount_fen,
                                         const char *biz_id, struct wallet *out);
/* A user without a row has an empty wallet (RR_OK). */
RR_MUST_CHECK enum rr_err ledger_wallet(struct ledger *l, int64_t user_id, struct wallet *out);

/* ---- rains ---- */
struct rain_info {
    struct rain_spec spec;
    char code[RR_CODE_LEN + 1];
    char seed_hash[65];
    uint8_t seed[RAIN_SEED_BYTES];
    uint32_t split_version;
    enum rain_status status;
    bool archived;   /* moved out of the live tables */
    bool called_off; /* cancelled in its countdown */
    int64_t t0_ms;   /* 0 until started */
    int64_t t1_ms;
    int64_t created_at_ms;
    int64_t settled_fen; /* from escrow */
    int64_t refunded_fen;
    int64_t remain_fen;
    int64_t settled_count;
    int64_t total_get; /* written at the end */
    int64_t total_get_fen;
    int64_t max_get_fen;
    int64_t sold_out_at_ms; /* 0: not */
};

/* Checks nothing of spec (the caller ran rain_spec_check); freezes the money: wallet -> escrow, in
 * one transaction. RR_DUPLICATE: (sender, biz_id) with the same payload exists: *out is that rain.
 * RR_CONFLICT: with another payload. RR_NO_MONEY: balance too small. RR_OVER_BUDGET: the day's is
 * spent. RR_FULL: too many unfinished packets of the sender or in the room. RR_BAD_REQUEST: its times
 * have passed. Arms the tasks that start and expire it. */
RR_MUST_CHECK enum rr_err ledger_rain_create(struct ledger *l, const struct rain_spec *spec,
                                             struct rain_info *out);
RR_MUST_CHECK enum rr_err ledger_rain_get(struct ledger *l, const char *code,
                                          struct rain_info *out);
/* Newest first; room_id or sender_id may be NULL / 0; n <= max. */
RR_MUST_CHECK enum rr_err ledger_rain_list(struct ledger *l, const char *room_id, int64_t sender_id,
                                           struct rain_info *out, uint32_t max, uint32_t *n);
/* A sender's, newest first, older than the one named before_code ("": from the newest; an unknown or foreign one: nothing). */
RR_MUST_CHECK enum rr_err ledger_sent_list(struct ledger *l, int64_t sender_id,
                                           const char *before_code, struct rain_info *out,
                                           uint32_t max, uint32_t *n);
/* Named users, ascending; malloc'ed, NULL when there are none. */
RR_MUST_CHECK enum rr_err ledger_rain_users(struct ledger *l, const char *code, int64_t **ids,
                                            uint32_t *n);
/* Amounts of the rain, recomputed from seed (count items, malloc'ed, caller frees). */
RR_MUST_CHECK enum rr_err ledger_rain_amounts(struct ledger *l, const struct rain_info *r,
                                              int64_t **amounts_fen);

/* ---- grants ---- */
struct grant_row {
    char code[RR_CODE_LEN + 1];
    uint32_t shard;
    uint32_t packet_no;
    uint32_t seq;
    char state;      /* 's' settled, 'h' held, 't' taken back, 'v' void */
    int64_t user_id; /* 0: void */
    int64_t amount_fen;
    int64_t granted_at_ms;
};
/* Archived ones too. code NULL: all rains, newest first; before_ms of the next page is granted_at_ms of the last row. Grants of one
 * millisecond stay on one page as long as they fit, so that none is lost between two pages. */
RR_MUST_CHECK enum rr_err ledger_user_grants(struct ledger *l, int64_t user_id, const char *code,
                                             int64_t before_ms, struct grant_row *out, uint32_t max,
                                             uint32_t *n);
/* One user's grant by its seq. RR_NOT_FOUND: the books have none, so far. */
RR_MUST_CHECK enum rr_err ledger_user_grant(struct ledger *l, int64_t user_id, const char *code,
                                            uint32_t seq, struct grant_row *out);
/* A rain's grants in order of shard and packet, voids too; archived ones too. The next page is after the last row's place;
 * the first after shard 0, packet -1. */
struct grant_place {
    uint32_t shard;
    int64_t packet_no;
};
RR_MUST_CHECK enum rr_err ledger_rain_grants(struct ledger *l, const char *code,
                                             struct grant_place after, struct grant_row *out,
                                             uint32_t max, uint32_t *n);
/* Numbers of many rains at once, in no particular order, unknown codes left out; codes checked by the caller. n <= 500. */
RR_MUST_CHECK enum rr_err ledger_rain_stats(struct ledger *l, const char (*codes)[RR_CODE_LEN + 1],
                                            uint32_t n, struct rain_info *out, uint32_t *found);

/* ---- streams of rains: pages in order of the key, from a zeroed cursor to n < max ---- */
struct rain_cursor {
    int status;
    int64_t key;
    int64_t id;
};
struct rain_ref {
    char code[RR_CODE_LEN + 1];
    uint32_t shards;
};
/* SENT, then CLOSING: one that changes over meanwhile is met at least once. */
RR_MUST_CHECK enum rr_err ledger_rain_live(struct ledger *l, struct rain_cursor *at,
                                           struct rain_ref *out, uint32_t max, uint32_t *n);
/* PREPARED, SENT, CLOSING; the same. */
RR_MUST_CHECK enum rr_err ledger_rain_unfinished(struct ledger *l, struct rain_cursor *at,
                                                 struct rain_ref *out, uint32_t max, uint32_t *n);

/* ---- checker ---- */
struct ledger_finding {
    char code[RR_CODE_LEN + 1]; /* "" for the whole books */
    char invariant[24];         /* "escrow_sum", "wallet_log", "split_amount", … */
    int64_t fen;                /* that are not where they should be; 0: not about an amount */
    char text[200];
};
typedef void (*ledger_finding_fn)(void *arg, const struct ledger_finding *f);
/* The invariants of the books for one rain, or (code NULL) all of them and the global ones, on one
 * consistent snapshot. *unaccounted_fen: money the books cannot explain; 0 when clean. Runs of it
 * are rows in rp_check. */
RR_MUST_CHECK enum rr_err ledger_verify(struct ledger *l, const char *code, ledger_finding_fn fn,
                                        void *arg, int64_t *unaccounted_fen);
/* The same over all the books, without the rains that ended and were found clean within a day, and without the order of each
 * wallet's log: what runs every few minutes. */
RR_MUST_CHECK enum rr_err ledger_verify_quick(struct ledger *l, ledger_finding_fn fn, void *arg,
                                              int64_t *unaccounted_fen);
/* One of many settlers gets *mine once per interval; who failed gives it up, so that another runs it soon. */
RR_MUST_CHECK enum rr_err ledger_check_claim(struct ledger *l, const char *owner,
                                             int64_t interval_ms, bool *mine);
RR_MUST_CHECK enum rr_err ledger_check_give_up(struct ledger *l, const char *owner);
/* What the last run over all the books said. RR_NOT_FOUND: there was none. */
RR_MUST_CHECK enum rr_err ledger_check_last(struct ledger *l, int64_t *findings,
                                            int64_t *unaccounted_fen);
/* One more finding for people to look at, from outside the books (a gap in Kafka's log): a row in rp_check
 * and one in rp_finding. */
RR_MUST_CHECK enum rr_err ledger_note(struct ledger *l, const char *text);

/* ---- the tables themselves ---- */
/* fn: what the server has to say against a table that steps of rains go through. May take long on big tables. */
typedef void (*ledger_table_fn)(void *arg, const char *table, const char *said);
RR_MUST_CHECK enum rr_err ledger_check_tables(struct ledger *l, ledger_table_fn fn, void *arg);

#endif
