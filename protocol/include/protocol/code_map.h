/* code_map.h - result codes and close codes: stable numbers and names, one row each. */
#ifndef PROTOCOL_CODE_MAP_H
#define PROTOCOL_CODE_MAP_H

/*        name           n   retryable  zh                          en */
#define RESULT_MAP(X)                                                                              \
    X(OK, 0, 0, "成功", "OK")                                                                      \
    X(PENDING, 1, 0, "确认中，结果稍后自动更新", "Confirming, the result follows by itself")       \
    X(SOLD_OUT, 2, 0, "已抢完", "All packets are gone")                                            \
    X(LIMIT, 3, 0, "已达到可领上限", "You have reached the limit")                                 \
    X(NOT_STARTED, 4, 1, "还没开始", "Not started yet")                                            \
    X(ENDED, 5, 0, "已结束", "It is over")                                                         \
    X(RATE_LIMITED, 6, 1, "操作太快，请稍后再试", "Too fast, try again shortly")                   \
    X(NOT_ELIGIBLE, 7, 0, "没有权限参与", "Not allowed")                                           \
    X(BUSY, 8, 1, "系统繁忙，请重试", "Busy, try again")                                           \
    X(BAD_REQUEST, 9, 0, "请求有误", "Malformed request")                                          \
    X(RECOVERING, 10, 1, "恢复中，请稍候", "Recovering, please wait")                              \
    X(BAD_SEQ, 11, 1, "序号不连续", "Sequence number skips a grant")                               \
    X(CONFLICT, 12, 0, "与已有操作冲突", "Conflicts with an earlier request or the state")         \
    X(UNAVAILABLE, 13, 1, "依赖的服务暂不可用", "A service this needs is unavailable")             \
    X(NOT_FOUND, 14, 0, "不存在或不可见", "No such thing, or not yours to see")                    \
    X(UNAUTHORIZED, 15, 0, "未登录", "Not authenticated")                                          \
    X(OVER_BUDGET, 16, 0, "超出今日预算", "The budget of the day is spent")

/*        name              n     reconnect  zh                        en */
#define CLOSE_MAP(X)                                                                               \
    X(NORMAL, 1000, 0, "正常关闭", "closed")                                                       \
    X(GOING_AWAY, 1001, 1, "服务端离开", "going away")                                             \
    X(PROTOCOL_ERROR, 1002, 0, "协议错误", "protocol error")                                       \
    X(UNSUPPORTED_DATA, 1003, 0, "只接受二进制帧", "binary frames only")                           \
    X(INVALID_PAYLOAD, 1007, 0, "无法解析", "malformed message")                                   \
    X(POLICY, 1008, 0, "违反规则", "policy violation")                                             \
    X(TOO_BIG, 1009, 0, "消息过大", "message too big")                                             \
    X(INTERNAL, 1011, 1, "内部错误", "internal error")                                             \
    X(SHUTDOWN, 4001, 1, "服务器重启", "server is restarting")                                     \
    X(FLOOD, 4005, 1, "消息过多", "flood")                                                         \
    X(SLOW, 4008, 1, "接收太慢", "reader too slow")                                                \
    X(NO_PONG, 4012, 1, "心跳超时", "no heartbeat")                                                \
    X(SERVER_ERROR, 4013, 1, "服务器错误", "server error")                                         \
    X(BAD_TOKEN, 4501, 0, "令牌无效", "bad token")                                                 \
    X(EXPIRED, 4502, 0, "令牌已过期", "token expired")                                             \
    X(BANNED, 4503, 0, "已被移出或封禁", "removed or banned")                                      \
    X(CONN_LIMIT, 4504, 0, "连接数超限", "too many connections")                                   \
    X(ROOM_GONE, 4505, 0, "房间不存在", "room is gone")                                            \
    X(VERSION, 4506, 0, "协议版本不支持", "protocol version not supported")

#endif
