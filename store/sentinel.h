/* sentinel.h - what is asked of a Redis Sentinel, and of the server it names. Pure; for both sides of the store. */
#ifndef STORE_SENTINEL_H
#define STORE_SENTINEL_H

#include <stdbool.h>

#include <hiredis/hiredis.h>

#include "redis_cmd.h"
#include "store/redis_url.h"

/* SENTINEL GET-MASTER-ADDR-BY-NAME */
void sentinel_question(struct redis_cmd *cmd, const char *name);
/* RR_NOT_FOUND: it does not know the name, or refused. */
RR_MUST_CHECK enum rr_err sentinel_answer(const redisReply *r, struct redis_addr *out);
/* The answer to ROLE. */
bool sentinel_is_primary(const redisReply *r);

#endif
