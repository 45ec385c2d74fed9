#include "verify_sql.h"

#include "base/err.h"

const struct verify_query verify_queries[] = {
    {"escrow_sum", VERIFY_CODE, "e.code", true,
     "SELECT e.code, CONCAT('shard ', e.shard, ': total ', e.total, ', remain ', e.remain,"
     " ', settled ', e.settled, ', refunded ', e.refunded),"
     " ABS(CAST(e.total AS SIGNED) - e.remain - e.settled - e.refunded) FROM rp_escrow e"
     " WHERE (e.total <> e.remain + e.settled + e.refunded OR e.remain < 0)",
     ""},
    {"escrow_total", VERIFY_CODE, "c.config_code", true,
     "SELECT c.config_code, CONCAT('rain of ', c.total_price, ' fen in ', c.shards,"
     " ' shards, escrow of ', COALESCE(SUM(e.total), 0), ' in ', COUNT(e.code)),"
     " ABS(c.total_price - COALESCE(SUM(e.total), 0))"
     " FROM t_red_packet_config c LEFT JOIN rp_escrow e ON e.code = c.config_code WHERE 1",
     " GROUP BY c.config_code, c.total_price, c.shards"
     " HAVING COALESCE(SUM(e.total), 0) <> c.total_price OR COUNT(e.code) <> c.shards"},
    {"grant_sum", VERIFY_CODE, "e.code", true,
     "SELECT x.code, CONCAT('shard ', x.shard, ': grants ', x.sum, ' fen in ', x.n, ', escrow "
     "says "
     "',"
     " x.settled, ' in ', x.settled_cnt), ABS(x.sum - x.settled) FROM (SELECT e.code, e.shard,"
     " MAX(e.settled) AS settled, MAX(e.settled_cnt) AS settled_cnt,"
     " COALESCE(SUM(g.amount), 0) AS sum, COUNT(g.code) AS n"
     " FROM rp_escrow e LEFT JOIN rp_grant g ON g.code = e.code AND g.shard = e.shard"
     " AND g.state <> 3 WHERE 1",
     " GROUP BY e.code, e.shard) x"
     " WHERE x.sum <> x.settled OR x.n <> x.settled_cnt"},
    {"grant_escrow", VERIFY_CODE, "g.code", true,
     "SELECT g.code, CONCAT('shard ', g.shard, ' packet ', g.packet_no, ': no such shard'), "
     "g.amount"
     " FROM rp_grant g LEFT JOIN rp_escrow e ON e.code = g.code AND e.shard = g.shard"
     " WHERE e.code IS NULL",
     ""},
    {"grant_closed", VERIFY_CODE, "g.code", false,
     "SELECT g.code, CONCAT('shard ', g.shard, ' packet ', g.packet_no, ' of user ',"
     " COALESCE(g.user_id, 0), ': past granted_k ', e.granted_k), g.amount"
     " FROM rp_grant g JOIN rp_escrow e ON e.code = g.code AND e.shard = g.shard"
     " WHERE e.granted_k IS NOT NULL AND g.packet_no >= e.granted_k",
     ""},
    {"grant_seq", VERIFY_CODE, "g.code", false,
     "SELECT g.code, CONCAT('user ', g.user_id, ' seq ', g.seq, ': limit ', c.limit_per_user),"
     " g.amount FROM rp_grant g JOIN t_red_packet_config c ON c.config_code = g.code"
     " WHERE g.seq >= c.limit_per_user",
     ""},
    {"grant_log", VERIFY_CODE, "g.code", true,
     "SELECT g.code, CONCAT('user ', g.user_id, ' seq ', g.seq, ': not credited'), g.amount"
     " FROM rp_grant g LEFT JOIN account_log a ON a.biz_type = 'grant' AND a.leg = 1"
     " AND a.biz_id = " ASCII(
         "CONCAT(g.code, ':', g.user_id, ':', g.seq)") " AND a.delta = g.amount"
                                                       " AND a.account_kind IN ('balance', "
                                                       "'frozen') AND a.account_id = " ASCII(
                                                           "g.user_id") " WHERE g.state <> 3 "
                                                                        "AND "
                                                                        "a.id IS NULL",
     ""},
    {"log_grant", VERIFY_BIZ, "LEFT(a.biz_id, 22)", true,
     "SELECT LEFT(a.biz_id, 22), CONCAT(a.biz_id, ': credited without a grant'), ABS(a.delta)"
     " FROM account_log a LEFT JOIN rp_grant g ON g.code = LEFT(a.biz_id, 22)"
     " AND g.user_id = CAST(a.account_id AS SIGNED)"
     " AND g.seq = CAST(SUBSTRING_INDEX(a.biz_id, ':', -1) AS SIGNED) AND g.state <> 3"
     " WHERE a.biz_type = 'grant' AND a.leg = 1 AND g.code IS NULL",
     ""},
    {"log_sum", VERIFY_LOG, "", true,
     "SELECT '', CONCAT(a.biz_type, ' ', a.biz_id, ': legs sum to ', SUM(a.delta)),"
     " ABS(SUM(a.delta)) FROM account_log a WHERE 1",
     " GROUP BY a.biz_type, a.biz_id HAVING SUM(a.delta) <> 0"},
    {"escrow_log", VERIFY_CODE, "e.code", true,
     "SELECT e.code, CONCAT('shard ', e.shard, ': remain ', e.remain, ', its log ',"
     " COALESCE(x.sum, 0)), ABS(e.remain - COALESCE(x.sum, 0)) FROM rp_escrow e LEFT JOIN"
     " (SELECT a.account_id, SUM(a.delta) AS sum FROM account_log a"
     " WHERE a.account_kind = 'escrow' GROUP BY a.account_id) x"
     " ON x.account_id = " ASCII(
         "CONCAT(e.code, ':', e.shard)") " WHERE e.remain <> COALESCE(x.sum, 0)",
     ""},
    {"wallet_log", VERIFY_ALL, "", true,
     "SELECT '', CONCAT('user ', w.user_id, ': balance ', w.balance, ' frozen ', w.frozen,"
     " ', log ', COALESCE(x.b, 0), ' and ', COALESCE(x.f, 0)),"
     " ABS(w.balance - COALESCE(x.b, 0)) + ABS(w.frozen - COALESCE(x.f, 0))"
     " FROM wallet w LEFT JOIN (SELECT account_id, SUM(IF(account_kind = 'balance', delta, 0)) "
     "AS "
     "b,"
     " SUM(IF(account_kind = 'frozen', delta, 0)) AS f FROM account_log"
     " WHERE account_kind IN ('balance', 'frozen') GROUP BY account_id) x"
     " ON x.account_id = " ASCII(
         "w.user_id") " WHERE w.balance <> COALESCE(x.b, 0) OR w.frozen <> COALESCE(x.f, 0)",
     ""},
    {"log_wallet", VERIFY_FULL, "", true,
     "SELECT '', CONCAT('user ', x.account_id, ': no wallet, log ', x.sum), ABS(x.sum)"
     " FROM (SELECT account_id, SUM(delta) AS sum FROM account_log"
     " WHERE account_kind IN ('balance', 'frozen') GROUP BY account_id HAVING SUM(delta) <> 0) "
     "x"
     " LEFT JOIN wallet w ON w.user_id = CAST(x.account_id AS SIGNED) WHERE w.user_id IS NULL",
     ""},
    {"conservation", VERIFY_ALL, "", true,
     "SELECT '', CONCAT('wallets ', x.w, ' + escrow ', x.e, ' + external and platform ', x.o,"
     " ' = ', x.w + x.e + x.o), ABS(x.w + x.e + x.o) FROM (SELECT"
     " (SELECT COALESCE(SUM(balance + frozen), 0) FROM wallet) AS w,"
     " (SELECT COALESCE(SUM(remain), 0) FROM rp_escrow) AS e,"
     " (SELECT COALESCE(SUM(delta), 0) FROM account_log"
     " WHERE account_kind IN ('external', 'platform')) AS o) x WHERE x.w + x.e + x.o <> 0",
     ""},
    {"end_remain", VERIFY_CODE, "c.config_code", false,
     "SELECT c.config_code, CONCAT('over, but ', SUM(e.remain), ' fen remain'), SUM(e.remain)"
     " FROM t_red_packet_config c JOIN rp_escrow e ON e.code = c.config_code"
     " WHERE c.status IN (5, 6)",
     " GROUP BY c.config_code HAVING SUM(e.remain) <> 0"},
    {"end_totals", VERIFY_CODE, "c.config_code", false,
     "SELECT x.config_code, CONCAT('total_get ', x.total_get, ' of ', x.total_get_price, ' "
     "fen, "
     "grants ',"
     " x.n, ' of ', x.sum), 0 FROM (SELECT c.config_code, c.total_get, c.total_get_price,"
     " COUNT(g.code) AS n, COALESCE(SUM(g.amount), 0) AS sum FROM t_red_packet_config c"
     " LEFT JOIN rp_grant g ON g.code = c.config_code AND g.state <> 3 WHERE c.status = 5",
     " GROUP BY c.config_code, c.total_get, c.total_get_price) x"
     " WHERE x.n <> x.total_get OR x.sum <> x.total_get_price"},
    {"end_open_dead", VERIFY_CODE, "d.code", false,
     "SELECT d.code, CONCAT('settled, but rp_dead has row ', d.id, ': ', d.reason), 0"
     " FROM rp_dead d JOIN t_red_packet_config c ON c.config_code = d.code"
     " WHERE c.status = 5 AND d.state <> 'closed'",
     ""},
    {"end_open_conflict", VERIFY_CODE, "d.code", false,
     "SELECT d.code, CONCAT('settled, but rp_conflict has row ', d.id, ': ', d.reason), 0"
     " FROM rp_conflict d JOIN t_red_packet_config c ON c.config_code = d.code"
     " WHERE c.status = 5 AND d.state <> 'closed'",
     ""},
};

const unsigned verify_queries_n = RR_COUNTOF(verify_queries);
