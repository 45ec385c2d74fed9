#include "sentinel.h"

#include "replies.h"

void sentinel_question(struct redis_cmd *cmd, const char *name)
{
    redis_cmd_strs(cmd, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, (char *)NULL);
}

enum rr_err sentinel_answer(const redisReply *r, struct redis_addr *out)
{
    int64_t port = 0;

    if (!reply_is_array(r, 2) || !reply_text(r->element[0], out->host, sizeof(out->host)) ||
        !out->host[0] || !reply_int(r->element[1], &port) || port <= 0 || port > UINT16_MAX)
        return RR_NOT_FOUND;
    out->port = (uint16_t)port;
    return RR_OK;
}

bool sentinel_is_primary(const redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements > 0 &&
           r->element[0]->type == REDIS_REPLY_STRING &&
           rr_slice_eq_str(reply_slice(r->element[0]), "master");
}
