/* workers_api.h - the workers on the private listener: GET /api/v1/workers, POST /api/v1/workers/SLOT/drain. The supervisor is
 * told by a signal; what became of it is seen in the list. */
#ifndef SERVER_WORKERS_API_H
#define SERVER_WORKERS_API_H

#include "admin_http.h"

/* What follows "workers/". Always answers. */
void workers_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice slot,
                       struct rr_slice action);

#endif
