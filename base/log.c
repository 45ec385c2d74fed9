#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

enum rr_log_level rr_log_level_min = RR_LOG_INFO;

static char log_src[32] = "redrain";
static const char *const level_names[] = {"debug", "info", "notice", "warn", "error"};

void rr_log_init(const char *src, enum rr_log_level min)
{
    snprintf(log_src, sizeof(log_src), "%s", src);
    rr_log_level_min = min;
}

int rr_log_level_parse(const char *name)
{
    for (int i = 0; i <= RR_LOG_ERROR; i++) {
        if (strcmp(level_names[i], name) == 0)
            return i;
    }
    return -1;
}

void rr_log_level_set(const char *name)
{
    int level = rr_log_level_parse(name);

    if (level >= 0)
        __atomic_store_n(&rr_log_level_min, (enum rr_log_level)level, __ATOMIC_RELAXED);
}

/* JSON string body of src into dst; control bytes, quotes and DEL escaped, cut to fit. */
static size_t escape(char *dst, size_t cap, const char *src)
{
    size_t n = 0;

    for (; *src && n + 7 < cap; src++) {
        unsigned char c = (unsigned char)*src;

        if (c == '"' || c == '\\') {
            dst[n++] = '\\';
            dst[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(dst + n, cap - n, "\\u%04x", c);
        } else {
            dst[n++] = (char)c;
        }
    }
    dst[n] = 0;
    return n;
}

void rr_log_write(enum rr_log_level level, const char *event, const char *fmt, ...)
{
    char msg[1024];
    char escaped[1536];
    char line[LINE_MAX_BYTES];
    struct timespec ts;
    struct tm tm;
    va_list ap;
    int n = 0;
    ssize_t written = 0;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    escape(escaped, sizeof(escaped), msg);
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    n = snprintf(line, sizeof(line),
                 "{\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\",\"level\":\"%s\",\"src\":\"%s\","
                 "\"pid\":%d,\"event\":\"%s\",\"msg\":\"%s\"}\n",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 ts.tv_nsec / 1000, level_names[level], log_src, (int)getpid(), event, escaped);
    if (n > 0 && n < (int)sizeof(line))
        written = write(STDERR_FILENO, line, (size_t)n);
    (void)written; /* nowhere left to complain */
}

int rr_ratelog_pass(struct rr_ratelog *r, int64_t now_us, int64_t every_us, uint64_t *suppressed)
{
    if (r->window_start_us && now_us - r->window_start_us < every_us) {
        r->suppressed++;
        return 0;
    }
    *suppressed = r->suppressed;
    r->suppressed = 0;
    r->window_start_us = now_us ? now_us : 1;
    return 1;
}
