/* fu_api.h - 集五福 on the private listener: POST /api/v1/fu, GET /api/v1/fu?room=R, GET /api/v1/fu/CODE,
 * POST /api/v1/fu/CODE/cancel. */
#ifndef SERVER_FU_API_H
#define SERVER_FU_API_H

#include "admin_http.h"

/* code and action: what follows "fu/", may be empty. Always answers. */
void fu_api_route(struct admin *a, const struct admin_request *rq, struct rr_slice code,
                  struct rr_slice action);

#endif
