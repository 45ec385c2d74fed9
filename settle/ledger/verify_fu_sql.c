/* verify_fu_sql.c - the invariants of 集五福: issued + left = stock; cards held = drawn - given + received - burned; the pool's
 * money is in its account, in the winners' packet, or back. */
#include "verify_sql.h"

#include "base/err.h"

/* Quick runs leave out campaigns that ended more than a day ago; a full run has them all. */
#define DAY_AGO "(CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 86400000)"
#define RECENT "(c.ended_at IS NULL OR c.ended_at > " DAY_AGO ")"
#define OLD "(c.ended_at <= " DAY_AGO ")"

#define STOCK(which)                                                                               \
    "SELECT s.code, CONCAT('card ', s.card, ': stock ', s.stock, ', left ', s.left_n, ', issued "  \
    "',"                                                                                           \
    " s.issued, ', drawn ', COALESCE(d.n, 0)), 0 FROM fu_campaign c JOIN fu_stock s"               \
    " ON s.code = c.code LEFT JOIN (SELECT code, card, COUNT(*) AS n FROM fu_draw"                 \
    " GROUP BY code, card) d ON d.code = s.code AND d.card = s.card WHERE " which                  \
    " AND (s.issued + s.left_n <> s.stock OR s.left_n < 0 OR s.issued <> COALESCE(d.n, 0))"

#define HELD(which)                                                                                \
    "SELECT x.code, CONCAT('user ', x.user_id, ' card ', x.card, ': drawn - given + received -"    \
    " burned = held ', IF(SUM(x.n) < 0, '- ', '+ '), ABS(SUM(x.n))), 0 FROM ("                     \
    "SELECT code, user_id, card, 1 AS n FROM fu_draw"                                              \
    " UNION ALL SELECT code, from_user, card, -1 FROM fu_gift"                                     \
    " UNION ALL SELECT code, to_user, card, 1 FROM fu_gift"                                        \
    " UNION ALL SELECT j.code, j.user_id, k.card, -1 FROM fu_join j JOIN fu_stock k"               \
    " ON k.code = j.code"                                                                          \
    " UNION ALL SELECT u.code, u.user_id, k.card, -CAST(ELT(k.card, u.c1, u.c2, u.c3, u.c4, u.c5)" \
    " AS SIGNED) FROM fu_user u JOIN fu_stock k ON k.code = u.code) x"                             \
    " JOIN fu_campaign c ON c.code = x.code WHERE " which                                          \
    " GROUP BY x.code, x.user_id, x.card HAVING SUM(x.n) <> 0"

const struct verify_query verify_fu[] = {
    {"fu_stock", VERIFY_ALL, "", false, STOCK(RECENT), ""},
    {"fu_stock", VERIFY_FULL, "", false, STOCK(OLD), ""},
    {"fu_held", VERIFY_ALL, "", false, HELD(RECENT), ""},
    {"fu_held", VERIFY_FULL, "", false, HELD(OLD), ""},
    {"fu_winners", VERIFY_ALL, "", false,
     "SELECT c.code, CONCAT(c.winners, ' winners, joined ', COUNT(j.code)), 0 FROM fu_campaign c"
     " LEFT JOIN fu_join j ON j.code = c.code GROUP BY c.code, c.winners, c.state"
     " HAVING COUNT(j.code) <> c.winners OR (c.state = 4 AND c.winners > 0)",
     ""},
    {"fu_pool", VERIFY_ALL, "", true,
     "SELECT c.code, CONCAT('pool of ', c.pool, ', state ', c.state, ', its account holds ',"
     " COALESCE(x.sum, 0)), ABS(COALESCE(x.sum, 0) - IF(c.state <= 2, c.pool, 0))"
     " FROM fu_campaign c LEFT JOIN (SELECT account_id, SUM(delta) AS sum FROM account_log"
     " WHERE account_kind = 'platform' AND account_id LIKE 'fu:%' GROUP BY account_id) x"
     " ON x.account_id = " ASCII("CONCAT('fu:', c.code)") " WHERE COALESCE(x.sum, 0) <>"
                                                          " IF(c.state <= 2, c.pool, 0)",
     ""},
    {"log_fu", VERIFY_ALL, "", true,
     "SELECT '', CONCAT(x.account_id, ': of no campaign, holds ', x.sum), ABS(x.sum)"
     " FROM (SELECT account_id, SUM(delta) AS sum FROM account_log"
     " WHERE account_kind = 'platform' AND account_id LIKE 'fu:%' GROUP BY account_id"
     " HAVING SUM(delta) <> 0) x LEFT JOIN fu_campaign c ON c.code = SUBSTRING(x.account_id, 4)"
     " WHERE c.code IS NULL",
     ""},
    {"fu_packet", VERIFY_ALL, "", false,
     "SELECT c.code, CONCAT('pool of ', c.pool, ' for ', c.winners, ', packet ', c.rain_code,"
     " ' of ', COALESCE(r.total_price, a.total_price, 0), ' for ',"
     " COALESCE(r.total_count, a.total_count, 0)), 0 FROM fu_campaign c"
     " LEFT JOIN t_red_packet_config r ON r.config_code = c.rain_code"
     " LEFT JOIN t_red_packet_config_archive a ON a.config_code = c.rain_code"
     " WHERE c.state = 3 AND (COALESCE(r.total_price, a.total_price, 0) <> c.pool"
     " OR COALESCE(r.total_count, a.total_count, 0) <> c.winners"
     " OR COALESCE(r.sender_id, a.sender_id, 0) <> c.sender_id)",
     ""},
    {"fu_named", VERIFY_ALL, "", false,
     "SELECT x.code, CONCAT('user ', x.user_id, ': joined or named in the packet, not both'), 0"
     " FROM (SELECT c.code, j.user_id FROM fu_campaign c JOIN fu_join j ON j.code = c.code"
     " WHERE c.state = 3 UNION ALL SELECT c.code, u.user_id FROM fu_campaign c"
     " JOIN rp_rain_user u ON u.code = c.rain_code WHERE c.state = 3) x"
     " GROUP BY x.code, x.user_id HAVING COUNT(*) <> 2",
     ""},
    {"fu_task", VERIFY_ALL, "", false,
     "SELECT c.code, CONCAT('state ', c.state, ', and no step will end it'), 0 FROM fu_campaign c"
     " LEFT JOIN rp_task t ON t.biz_id = " ASCII(
         "CONCAT('fu:', c.code)") " AND t.state = 0"
                                  " WHERE c.state <= 2 AND t.id IS NULL",
     ""},
};

const unsigned verify_fu_n = RR_COUNTOF(verify_fu);
