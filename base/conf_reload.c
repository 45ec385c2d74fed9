/* Taking over a configuration that was read again: only options of class RELOAD change in a running
 * process. */
#include "conf_table.h"

#include <string.h>

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
        size_t size = o->type == CONF_TYPE_BOOL ? sizeof(bool) : sizeof(int64_t);

        if (!reloads(o))
            continue;
        /* Strings are borrowed all over a process: they wait for a restart. */
        RR_ASSERT(o->type == CONF_TYPE_INT || o->type == CONF_TYPE_BOOL);
        memcpy((char *)c + o->offset, (const char *)fresh + o->offset, size);
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

bool rr_conf_reload(struct rr_conf *c)
{
    struct rr_conf fresh;
    struct rr_buf waits = {0};
    char message[MESSAGE_CAP];

    if (rr_conf_again(&fresh, message, sizeof(message)) != RR_OK) {
        log_error("config_refused", "%s; the old one stays", message);
        return false;
    }
    rr_conf_differences(c, &fresh, &waits);
    rr_conf_take(c, &fresh);
    if (waits.len)
        log_notice("config_reloaded", "these wait for a restart: %s", waits.p);
    else
        log_notice("config_reloaded", "what reloads is in force");
    rr_buf_fini(&waits);
    rr_conf_fini(&fresh);
    return true;
}
