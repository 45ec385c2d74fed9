/* report.h - what the crowd says: the progress line and the final line. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

#include "crowd.h"

/* One JSON line on stderr. grabs_per_s: of the last second. */
void report_progress(const struct crowd *c, int64_t now_us, uint64_t grabs_per_s);
/* A table for people unless --json, then the final JSON line on stdout. */
void report_final(const struct crowd *c, int64_t now_us, uint64_t unanswered);

#endif
