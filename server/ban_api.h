/* ban_api.h - bans on the private listener: GET /api/v1/bans, POST /api/v1/bans/add and remove. A change is
 * a row first, then every worker is told through Redis. */
#ifndef SERVER_BAN_API_H
#define SERVER_BAN_API_H

#include "admin_http.h"

/* action: what follows "bans/", empty for the list. Always answers. */
void ban_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice action);

#endif
