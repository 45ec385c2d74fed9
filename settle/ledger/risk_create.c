/* risk_create.c - what one sender may put into rains in a day. Counted where it is exact: inside the create, which holds the
 * sender's wallet, so that two creates at once see each other. */
#include <inttypes.h>

#include "base/log.h"
#include "ledger/risk_book.h"
#include "ledger_impl.h"
#include "rain/rain.h"

enum rr_err ledger__risk_create(struct ledger *l, int64_t sender_id, int64_t now_ms,
                                int64_t *day_fen)
{
    struct risk_rules rules;
    struct db_rows rows = {.cols = 0};
    int64_t from_ms = 0;
    enum rr_err err = RR_OK;

    risk_cell_get(l->rules, &rules);
    *day_fen = 0;
    if (rules.v[RISK_ANCHOR_DAY] <= 0)
        return RR_OK;
    from_ms = risk_day_start_ms(risk_day(now_ms, rules.day_offset_ms), rules.day_offset_ms);
    /* A pool counts on the day it was taken, its packet not again. */
    err = db_select(l->db,
                    "SELECT (SELECT COALESCE(SUM(c.total_price), 0) FROM t_red_packet_config c"
                    " LEFT JOIN fu_campaign f ON f.rain_code = c.config_code WHERE c.sender_id = ?"
                    " AND c.created_at >= ? AND c.status <> ? AND f.code IS NULL)"
                    " + (SELECT COALESCE(SUM(pool), 0) FROM fu_campaign WHERE sender_id = ?"
                    " AND created_at >= ? AND state NOT IN (4, 5))",
                    DB_ARGS(db_int(sender_id), db_int(from_ms), db_int(RAIN_CANCELLED),
                            db_int(sender_id), db_int(from_ms)),
                    &rows);
    if (!err)
        *day_fen = db_i64(&rows, 0, 0);
    db_rows_fini(&rows);
    if (!err && *day_fen > rules.v[RISK_ANCHOR_DAY])
        err = RR_NOT_ELIGIBLE;
    return err;
}

void ledger__risk_create_denied(struct ledger *l, int64_t sender_id, int64_t day_fen)
{
    struct risk_rules rules;
    struct risk_note note = {.decision = RISK_DECIDED_DENY,
                             .rule = RISK_ANCHOR_DAY,
                             .user_id = sender_id,
                             .seen = day_fen};

    risk_cell_get(l->rules, &rules);
    note.bound = rules.v[RISK_ANCHOR_DAY];
    log_notice("risk_deny", "rule=%s user=%" PRId64 " seen=%" PRId64 " bound=%" PRId64,
               risk_rule_name(note.rule), sender_id, day_fen, note.bound);
    if (ledger_risk_note(l, &note, 1) != RR_OK)
        log_warn("risk_not_stored", "%s", ledger_error(l));
}
