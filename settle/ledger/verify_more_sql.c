#include "verify_sql.h"

#include "base/err.h"

#define NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
/* biz_type of an operation's legs, and which leg is its user's. */
#define OP_LOG "IF(o.op = 'refund', 'debit-refund', o.op)"
#define OP_USER_LEG "IF(o.op IN ('deposit', 'refund'), 1, 0)"

/* Biz ids of the entries a grant may have. */
#define ID_GRANT ASCII("CONCAT(g.code, ':', g.user_id, ':', g.seq)")
#define ID_RELEASE ASCII("CONCAT('H:', g.code, ':', g.shard, ':', g.packet_no)")
#define ID_TAKE_BACK ASCII("CONCAT('T:', g.code, ':', g.shard, ':', g.packet_no)")
#define LEG_GRANT "a.biz_type = 'grant' AND a.leg = 1 AND a.biz_id = " ID_GRANT
#define LEG_RELEASE "h.biz_type = 'release' AND h.leg = 0 AND h.biz_id = " ID_RELEASE
#define LEG_TAKE_BACK "t.biz_type = 'take_back' AND t.leg = 0 AND t.biz_id = " ID_TAKE_BACK

const struct verify_query verify_more[] = {
    /* ---- held grants: paid into balance is settled; into frozen is held, until a release or a reversal ---- */
    {"held_log", VERIFY_CODE, "g.code", true,
     "SELECT g.code, CONCAT('shard ', g.shard, ' packet ', g.packet_no, ' of user ', g.user_id,"
     " ': ', ELT(g.state, 'settled', 'held', '', 'taken back'), ', its log says otherwise'),"
     " g.amount FROM rp_grant g JOIN account_log a ON " LEG_GRANT
     " LEFT JOIN account_log h ON " LEG_RELEASE " LEFT JOIN account_log t ON " LEG_TAKE_BACK
     " WHERE g.state <> 3 AND (g.state <> IF(a.account_kind = 'balance', 1,"
     " IF(t.id IS NOT NULL, 4, IF(h.id IS NOT NULL, 1, 2)))"
     " OR (a.account_kind = 'balance' AND (h.id IS NOT NULL OR t.id IS NOT NULL))"
     " OR (h.id IS NOT NULL AND t.id IS NOT NULL)"
     " OR COALESCE(h.delta, t.delta, -g.amount) <> -g.amount)",
     ""},
    {"log_held", VERIFY_LOG, "SUBSTRING(a.biz_id, 3, 22)", true,
     "SELECT '', CONCAT(a.biz_type, ' ', a.biz_id, ': of no grant of user ', a.account_id),"
     " ABS(a.delta) FROM account_log a LEFT JOIN rp_grant g ON g.code = SUBSTRING(a.biz_id, 3, 22)"
     " AND g.shard = CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(a.biz_id, ':', 3), ':', -1) AS SIGNED)"
     " AND g.packet_no = CAST(SUBSTRING_INDEX(a.biz_id, ':', -1) AS SIGNED)"
     " AND g.user_id = CAST(a.account_id AS SIGNED)"
     " WHERE a.biz_type IN ('release', 'take_back') AND a.leg = 0 AND g.code IS NULL",
     ""},
    /* ---- escrow and log ---- */
    {"escrow_paid", VERIFY_CODE, "e.code", true,
     "SELECT e.code, CONCAT('shard ', e.shard, ': settled ', e.settled, ', refunded ', e.refunded,"
     " ', its log ', COALESCE(x.paid, 0), ' and ', COALESCE(x.back, 0)),"
     " ABS(e.settled - COALESCE(x.paid, 0)) + ABS(e.refunded - COALESCE(x.back, 0))"
     " FROM rp_escrow e LEFT JOIN (SELECT a.account_id,"
     " -SUM(IF(a.biz_type = 'grant', a.delta, 0)) AS paid,"
     " -SUM(IF(a.biz_type IN ('create', 'grant'), 0, a.delta)) AS back FROM account_log a"
     " WHERE a.account_kind = 'escrow' GROUP BY a.account_id) x ON x.account_id = " ASCII(
         "CONCAT(e.code, ':', e.shard)") " WHERE (e.settled <> COALESCE(x.paid, 0)"
                                         " OR e.refunded <> COALESCE(x.back, 0))",
     ""},
    {"log_escrow", VERIFY_FULL, "", true,
     "SELECT LEFT(x.account_id, 22), CONCAT(x.account_id, ': no such escrow, log ', x.sum),"
     " ABS(x.sum) FROM (SELECT account_id, SUM(delta) AS sum FROM account_log"
     " WHERE account_kind = 'escrow' GROUP BY account_id HAVING SUM(delta) <> 0) x"
     " LEFT JOIN rp_escrow e ON e.code = LEFT(x.account_id, 22)"
     " AND e.shard = CAST(SUBSTRING(x.account_id, 24) AS SIGNED) WHERE e.code IS NULL",
     ""},
    {"escrow_rain", VERIFY_CODE, "e.code", true,
     "SELECT e.code, CONCAT('shard ', e.shard, ': escrow of no rain'), e.remain"
     " FROM rp_escrow e LEFT JOIN t_red_packet_config c ON c.config_code = e.code"
     " WHERE c.config_code IS NULL",
     ""},
    {"void_log", VERIFY_CODE, "g.code", true,
     "SELECT g.code, CONCAT('shard ', g.shard, ' packet ', g.packet_no, ': void, not refunded'),"
     " g.amount FROM rp_grant g LEFT JOIN account_log a ON a.biz_type = 'void' AND a.leg = 0"
     " AND a.biz_id = " ASCII(
         "CONCAT('V:', g.code, ':', g.shard, ':', g.packet_no)") " AND a.delta = -g.amount WHERE "
                                                                 "g.state = 3 AND a.id IS NULL",
     ""},
    {"log_void", VERIFY_LOG, "e.code", true,
     "SELECT e.code, CONCAT(a.biz_id, ': refunded, but not void'), ABS(a.delta) FROM account_log a"
     " JOIN rp_escrow e ON e.code = SUBSTRING(a.biz_id, 3, 22)"
     " AND e.shard = CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(a.biz_id, ':', 3), ':', -1) AS SIGNED)"
     " LEFT JOIN rp_grant g ON g.code = e.code AND g.shard = e.shard"
     " AND g.packet_no = CAST(SUBSTRING_INDEX(a.biz_id, ':', -1) AS SIGNED) AND g.state = 3"
     " WHERE a.biz_type = 'void' AND a.leg = 0 AND g.code IS NULL",
     ""},
    /* ---- wallets ---- */
    {"wallet_negative", VERIFY_ALL, "", true,
     "SELECT '', CONCAT('user ', w.user_id, ': balance ', w.balance, ' frozen ', w.frozen),"
     " GREATEST(-w.balance, 0) + GREATEST(-w.frozen, 0) FROM wallet w"
     " WHERE w.balance < 0 OR w.frozen < 0",
     ""},
    {"log_after", VERIFY_FULL, "", false,
     "SELECT '', CONCAT('user ', x.account_id, ' ', x.account_kind, ' entry ', x.id, ': ', x.prev,"
     " ' + ', x.delta, ' is not ', x.balance_after), 0 FROM (SELECT a.id, a.account_id,"
     " a.account_kind, a.delta, a.balance_after, LAG(a.balance_after) OVER (PARTITION BY"
     " a.account_id, a.account_kind ORDER BY a.id) AS prev FROM account_log a"
     " WHERE a.account_kind IN ('balance', 'frozen')) x"
     " WHERE x.balance_after IS NOT NULL AND x.prev IS NOT NULL"
     " AND x.balance_after <> x.prev + x.delta",
     ""},
    /* ---- ends and steps ---- */
    {"end_open_shard", VERIFY_CODE, "c.config_code", false,
     "SELECT c.config_code, CONCAT('over, but shard ', e.shard, ' has no granted_k'), 0"
     " FROM t_red_packet_config c JOIN rp_escrow e ON e.code = c.config_code"
     " WHERE c.status IN (5, 6) AND e.granted_k IS NULL",
     ""},
    {"end_cancelled", VERIFY_CODE, "c.config_code", false,
     "SELECT c.config_code, CONCAT('cancelled, but has ', COUNT(*), ' grants'), 0"
     " FROM t_red_packet_config c JOIN rp_grant g ON g.code = c.config_code AND g.state <> 3"
     " WHERE c.status = 6",
     " GROUP BY c.config_code"},
    {"rain_task", VERIFY_CODE, "c.config_code", false,
     "SELECT c.config_code, 'started, but no step is armed that would end it', 0"
     " FROM t_red_packet_config c WHERE c.status IN (3, 4) AND NOT EXISTS"
     " (SELECT 1 FROM rp_task t WHERE t.code = c.config_code AND t.state = 0)",
     ""},
    {"task_overdue", VERIFY_CODE, "t.code", false,
     "SELECT t.code, CONCAT(t.biz_id, ': due for ', ROUND((" NOW_MS
     " - t.next_at) / 1000), ' s'), 0"
     " FROM rp_task t WHERE t.state = 0 AND t.next_at < " NOW_MS " - 300000",
     ""},
    {"task_failing", VERIFY_CODE, "t.code", false,
     "SELECT t.code, CONCAT(t.biz_id, ': tried ', t.tries, ' times: ', LEFT(t.last_error, 100)), 0"
     " FROM rp_task t WHERE t.state = 0 AND t.tries >= 100",
     ""},
    /* ---- wallet operations ---- */
    {"op_log", VERIFY_ALL, "", true,
     "SELECT '', CONCAT(o.op, ' ', o.biz_id, ': not in the log of user ', o.user_id), o.amount"
     " FROM rp_wallet_op o LEFT JOIN account_log a ON a.biz_type = " OP_LOG
     " AND a.biz_id = o.biz_id AND a.leg = " OP_USER_LEG " AND ABS(a.delta) = o.amount"
     " AND a.account_id = " ASCII("o.user_id") " WHERE a.id IS NULL",
     ""},
    {"log_op", VERIFY_ALL, "", true,
     "SELECT '', CONCAT(a.biz_type, ' ', a.biz_id, ': in the log, but no operation'), ABS(a.delta)"
     " FROM account_log a LEFT JOIN rp_wallet_op o ON o.biz_id = a.biz_id"
     " AND a.biz_type = " OP_LOG " WHERE a.leg = 0 AND a.biz_type IN ('deposit', 'withdraw',"
     " 'debit', 'debit-refund', 'freeze', 'unfreeze', 'transfer') AND o.biz_id IS NULL",
     ""},
    {"op_over", VERIFY_ALL, "", true,
     "SELECT '', CONCAT(b.of_biz_id, ': ', SUM(b.amount), ' given back of ', COALESCE(o.amount, "
     "0)),"
     " SUM(b.amount) - COALESCE(o.amount, 0) FROM rp_wallet_op b LEFT JOIN rp_wallet_op o"
     " ON o.biz_id = b.of_biz_id WHERE b.of_biz_id IS NOT NULL",
     " GROUP BY b.of_biz_id, o.amount HAVING SUM(b.amount) > COALESCE(o.amount, 0)"},
};

const unsigned verify_more_n = RR_COUNTOF(verify_more);
