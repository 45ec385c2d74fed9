/* Options of commands, and messages about wrong ones. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static void say(const char *fmt, va_list args)
{
    fputs("redrainctl: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int ctl_usage_error(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    return CTL_USAGE;
}

int ctl_fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    return CTL_FAILED;
}

/* Matches "--name" or "--name=…"; *inline_value is what follows the '='. */
static const struct ctl_option *match(const char *arg, const struct ctl_option *options, size_t n,
                                      const char **inline_value)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(options[i].name);
        if (strncmp(arg, options[i].name, len) != 0 || (arg[len] && arg[len] != '='))
            continue;
        *inline_value = arg[len] ? arg + len + 1 : NULL;
        return &options[i];
    }
    return NULL;
}

int ctl_options(struct ctl *ctl, const struct ctl_option *options, size_t n, const char **words,
                size_t max_words, size_t *n_words)
{
    *n_words = 0;
    for (int i = 0; i < ctl->argc; i++) {
        const char *arg = ctl->argv[i];
        const char *value = NULL;
        if (!strcmp(arg, "--json")) {
            ctl->json = true;
            continue;
        }
        if (strncmp(arg, "--", 2) != 0) {
            if (*n_words == max_words)
                return ctl_usage_error("unexpected \"%s\"", arg);
            words[(*n_words)++] = arg;
            continue;
        }
        const struct ctl_option *o = match(arg, options, n, &value);
        if (!o)
            return ctl_usage_error("unknown option \"%s\"", arg);
        if (o->flag) {
            if (value)
                return ctl_usage_error("%s takes no value", o->name);
            *o->flag = true;
            continue;
        }
        if (!value && i + 1 < ctl->argc)
            value = ctl->argv[++i];
        if (!value)
            return ctl_usage_error("%s needs a value", o->name);
        *o->value = value;
    }
    return CTL_OK;
}

int ctl_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;

    if (!text)
        return ctl_usage_error("%s is missing", name);
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || text[0] == ' ' || text[0] == '+')
        return ctl_usage_error("%s: \"%s\" is not a whole number", name, text);
    if (v < min || v > max)
        return ctl_usage_error("%s: %lld is not within %" PRId64 " … %" PRId64, name, v, min, max);
    *out = v;
    return CTL_OK;
}

int ctl_user(const char *text)
{
    int64_t id;

    return ctl_number("user", text, 1, INT64_MAX, &id);
}
