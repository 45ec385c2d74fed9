/* log.h - one JSON object per line on stderr: {"ts","level","src","event",…,"msg"}.
 * Transitions, not events; never tokens, never payload bytes. The level is tested before arguments
 * are evaluated. Thread: any. A line is written with one write(2). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum rr_log_level { RR_LOG_DEBUG, RR_LOG_INFO, RR_LOG_NOTICE, RR_LOG_WARN, RR_LOG_ERROR };

extern enum rr_log_level rr_log_level_min;

/* src is a short constant ("worker/1"), copied. Call once per process, before threads. */
void rr_log_init(const char *src, enum rr_log_level min);
/* "debug" … "error" -> level; -1 when unknown. */
int rr_log_level_parse(const char *name);
/* While running; an unknown name changes nothing. */
void rr_log_level_set(const char *name);

/* event: stable snake_case name; fmt: human text. Everything is JSON-escaped; lines are cut at 2
 * KiB. */
__attribute__((format(printf, 3, 4))) void rr_log_write(enum rr_log_level level, const char *event,
                                                        const char *fmt, ...);
#define rr_log(level, event, ...)                                                                  \
    do {                                                                                           \
        if ((level) >= __atomic_load_n(&rr_log_level_min, __ATOMIC_RELAXED))                       \
            rr_log_write(level, event, __VA_ARGS__);                                               \
    } while (0)
#define log_debug(event, ...) rr_log(RR_LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) rr_log(RR_LOG_INFO, event, __VA_ARGS__)
#define log_notice(event, ...) rr_log(RR_LOG_NOTICE, event, __VA_ARGS__)
#define log_warn(event, ...) rr_log(RR_LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) rr_log(RR_LOG_ERROR, event, __VA_ARGS__)

/* Rate limiter for repeated failures: true when the line may be printed; *suppressed gets how many
 * were swallowed since the last one. Zero-initialised; one per call site. */
struct rr_ratelog {
    int64_t window_start_us;
    uint64_t suppressed;
};
int rr_ratelog_pass(struct rr_ratelog *r, int64_t now_us, int64_t every_us, uint64_t *suppressed);

#endif
