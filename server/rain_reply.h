/* rain_reply.h - the answer of a finished database job, as the WebSocket message. */
#ifndef SERVER_RAIN_REPLY_H
#define SERVER_RAIN_REPLY_H

#include "rain_job.h"

/* j->err is RR_OK or RR_DUPLICATE. */
void rain_reply_build(struct worker *w, const struct rain_job *j, struct rr_buf *out);
/* Stable name of a grant's state: confirming, settled, held, void. */
const char *grant_state_name(const struct rain_job_grant *g);

#endif
