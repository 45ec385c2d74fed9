#include "base/log.h"

#include <inttypes.h>
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

/* Bytes of the well-formed UTF-8 character at p, its code point in *cp; 0 when there is none. */
static size_t utf8_at(const unsigned char *p, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;

    *cp = n < 2 ? p[0] : p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) /* also the 0 at the end */
            return 0;
        *cp = *cp << 6 | (p[i] & 0x3f);
    }
    return n && *cp >= least[n] && *cp <= 0x10ffff && (*cp < 0xd800 || *cp > 0xdfff) ? n : 0;
}

/* What ends a line, moves a terminal's cursor or turns the text around. */
static bool hidden(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c ||
           (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff;
}

/* JSON string body of src into dst, cut to fit: quotes and whatever does not show are escaped, bytes that are no text are
 * U+FFFD. */
static size_t escape(char *dst, size_t cap, const char *src)
{
    const unsigned char *p = (const unsigned char *)src;
    size_t n = 0;

    while (*p && n + 7 < cap) {
        uint32_t cp = 0;
        size_t len = utf8_at(p, &cp);

        if (len == 0 || hidden(cp)) {
            n += (size_t)snprintf(dst + n, cap - n, "\\u%04" PRIx32, len ? cp : 0xfffd);
        } else {
            if (cp == '"' || cp == '\\')
                dst[n++] = '\\';
            memcpy(dst + n, p, len);
            n += len;
        }
        p += len ? len : 1;
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
