/* Taking over a configuration that was read again: only options of class RELOAD change in a running
 * process. And handing one to another process. */
#include "conf_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

enum { MESSAGE_CAP = 1024 };

static bool reloads(const struct conf_option *o)
{
    return strcmp(o->reload, "RELOAD") == 0;
}

void rr_conf_take(struct rr_conf *c, const struct rr_conf *fresh)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];
        char *to = (char *)c + o->offset;
        const char *from = (const char *)fresh + o->offset;

        if (!reloads(o))
            continue;
        if (o->type == CONF_TYPE_INT) {
            memcpy(to, from, sizeof(int64_t));
        } else if (o->type == CONF_TYPE_BOOL) {
            memcpy(to, from, sizeof(bool));
        } else {
            char *was = *(char **)(void *)to;

            *(char **)(void *)to = rr_xstrdup(*(char *const *)(const void *)from);
            free(was);
        }
    }
}

void rr_conf_differences(const struct rr_conf *c, const struct rr_conf *fresh, struct rr_buf *out)
{
    char was[32];
    char is[32];

    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];

        if (!reloads(o) && strcmp(conf_get(c, o, was), conf_get(fresh, o, is)) != 0)
            rr_buf_printf(out, "%s%s.%s", out->len ? ", " : "", o->section, o->key);
    }
}

enum rr_err rr_conf_reread(struct rr_conf *c, struct rr_conf *fresh, rr_conf_check_fn check)
{
    struct rr_buf waits = {0};
    char message[MESSAGE_CAP];
    enum rr_err err = rr_conf_again(fresh, message, sizeof(message));

    if (!err && check) {
        err = check(fresh, message, sizeof(message));
        if (err)
            rr_conf_fini(fresh);
    }
    if (err) {
        log_error("config_refused", "%s; the old one stays", message);
        return RR_CONFIG;
    }
    rr_conf_differences(c, fresh, &waits);
    if (waits.len)
        log_notice("config_waits", "needs a restart: %s", waits.p);
    rr_buf_fini(&waits);
    return RR_OK;
}

bool rr_conf_reload(struct rr_conf *c)
{
    struct rr_conf fresh;

    if (rr_conf_reread(c, &fresh, NULL) != RR_OK)
        return false;
    rr_conf_take(c, &fresh);
    rr_log_level_set(c->log_level);
    rr_conf_fini(&fresh);
    log_notice("config_reloaded", "what reloads is in force");
    return true;
}

void rr_conf_pack(const struct rr_conf *c, struct rr_buf *out)
{
    char number[32];

    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];

        rr_buf_printf(out, "%s.%s=", o->section, o->key);
        /* What these held is in the URLs by now. */
        if (strcmp(o->key, "password_file") != 0)
            rr_buf_puts(out, conf_get(c, o, number));
        rr_buf_append(out, "", 1);
    }
}

enum rr_err rr_conf_unpack(struct rr_conf *c, const char *p, size_t len, char *message, size_t cap)
{
    const char **flags = NULL;
    size_t n = 0;
    enum rr_err err = RR_OK;

    if (len == 0 || p[len - 1]) {
        snprintf(message, cap, "what the parent handed on is cut off");
        return RR_CONFIG;
    }
    flags = rr_xcalloc(CONF_OPTION_COUNT, sizeof(*flags));
    for (size_t at = 0; at < len; at += strlen(p + at) + 1) {
        if (n == CONF_OPTION_COUNT) {
            n++;
            break;
        }
        flags[n++] = p + at;
    }
    if (n != CONF_OPTION_COUNT) {
        snprintf(message, cap, "what the parent handed on are not the options of this version");
        err = RR_CONFIG;
    } else {
        err = rr_conf_load(c, NULL, flags, n, message, cap);
    }
    free(flags);
    return err;
}
