/* admin_json.h - JSON of the admin API: bodies into jobs, jobs into answers. Bounded depth,
 * duplicate keys refused. */
#ifndef SERVER_ADMIN_JSON_H
#define SERVER_ADMIN_JSON_H

#include "base/buf.h"
#include "rain_job.h"

/* Fields of the body a job of this kind takes. RR_BAD_REQUEST: *field names the bad one ("body": no
 * JSON object). */
RR_MUST_CHECK enum rr_err admin_json_fill(struct rr_slice body, struct rain_job *j,
                                          const char **field);
/* The answer of a job that worked. */
void admin_json_result(const struct rain_job *j, struct rr_buf *out);
/* {"result":n,"name":…,"field"?,"reason"?} */
void admin_json_error(enum rr_err err, const char *field, const char *reason, struct rr_buf *out);
/* HTTP status of an error. */
unsigned admin_json_status(enum rr_err err);

#endif
