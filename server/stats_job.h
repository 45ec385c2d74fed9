/* stats_job.h - STATS while a rain of the room runs: from Redis, without SQL. Thread: a DB thread. */
#ifndef SERVER_STATS_JOB_H
#define SERVER_STATS_JOB_H

#include "rain_job.h"

/* Fills a LIST or SHOW job (rains, wallet) from what the last step left in Redis, and what the settlers have counted since.
 * False: it is not there, or not all of it; SQL must be asked. */
bool stats_job_cached(struct rain_job *j, struct db_ctx *ctx);

#endif
