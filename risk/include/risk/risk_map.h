/* risk_map.h - the rules of risk control, one row each. Numbers and their defaults are the options
 * [risk] of base/conf_map.h; 0 there turns a rule off.
 *
 * Stage: DENY answers NOT_ELIGIBLE before the pop (or before the money of a create is frozen). HOLD
 * lets the grab happen; what it wins is the user's, but in wallet.frozen until somebody releases it
 * or takes it back. Nothing is ever denied after the pop. */
#ifndef RISK_RISK_MAP_H
#define RISK_RISK_MAP_H

/*  id, name in rows and logs, stage, option of [risk], reason in Chinese, in English */
#define RISK_MAP(X)                                                                                \
    X(OWN, own_rain, DENY, deny_own, "不能抢自己发的红包", "a sender grabs from his own rain")     \
    X(RATE, grabs_per_min, DENY, deny_grabs_per_min, "抢得太频繁", "too many grabs in a minute")   \
    X(EARLY, early_grabs, DENY, deny_early_grabs, "开始前反复抢",                                  \
      "too many grabs before the opening")                                                         \
    X(ANCHOR_DAY, anchor_day, DENY, deny_anchor_day_fen, "当日发出金额超限",                       \
      "the sender's rains of the day exceed his limit")                                            \
    X(GRAB_FEN, grab_amount, HOLD, hold_grab_fen, "单笔金额过大", "one large packet")              \
    X(USER_DAY, user_day, HOLD, hold_user_day_fen, "当日抢到金额超限", "large winnings in a day")  \
    X(ADDRESS, shared_address, HOLD, hold_accounts_per_address, "同一地址账号过多",                \
      "many accounts behind one address")                                                          \
    X(STEADY, steady_taps, HOLD, hold_steady_pct, "点击间隔过于均匀",                              \
      "taps as regular as a clock")                                                                \
    X(FRESH, fresh_account, HOLD, hold_fresh_s, "账号刚注册", "an account made just now")

#endif
