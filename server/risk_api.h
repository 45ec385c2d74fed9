/* risk_api.h - /api/v1/risk of the private listener: what was decided, releases, reversals.
 *   GET  /api/v1/risk?user=U&rain=CODE&state=held&before=ID
 *   POST /api/v1/risk/release    {code, shard, no}
 *   POST /api/v1/risk/take-back  {code, shard, no, to} */
#ifndef SERVER_RISK_API_H
#define SERVER_RISK_API_H

#include "admin_http.h"
#include "base/slice.h"

void risk_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice action);

#endif
