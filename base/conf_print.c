/* The option table as text: ini of the defaults, ini of a configuration with secrets masked, a
 * Markdown table. */
#include "conf_table.h"

#include <inttypes.h>
#include <string.h>

/* "scheme://[user]:password@host": the password's first byte and length; false without one. */
static bool find_password(const char *url, size_t *from, size_t *len)
{
    const char *start = url ? strstr(url, "://") : NULL;

    if (!start)
        return false;
    start += 3;
    /* The last '@' before the path: a password may hold one. */
    const char *end = NULL;
    for (const char *s = start; *s && *s != '/' && *s != '?'; s++) {
        if (*s == '@')
            end = s;
    }
    if (!end)
        end = strrchr(start, '@'); /* an unescaped '/' in the password */
    if (!end)
        return false;
    const char *colon = memchr(start, ':', (size_t)(end - start));
    if (!colon || colon + 1 == end)
        return false;
    *from = (size_t)(colon + 1 - url);
    *len = (size_t)(end - colon - 1);
    return true;
}

bool conf_has_password(const char *url)
{
    size_t from;
    size_t len;

    return find_password(url, &from, &len);
}

static void print_value(const struct conf_option *o, const char *value, struct rr_buf *out)
{
    size_t from;
    size_t len;

    if (o->type == CONF_TYPE_SECRET && find_password(value, &from, &len)) {
        rr_buf_append(out, value, from);
        rr_buf_puts(out, "***");
        rr_buf_puts(out, value + from + len);
        return;
    }
    rr_buf_puts(out, value);
}

static void print_doc(const struct conf_option *o, struct rr_buf *out)
{
    rr_buf_printf(out, "# %s", o->doc);
    if (o->type == CONF_TYPE_INT)
        rr_buf_printf(out, " (%" PRId64 " to %" PRId64 "%s%s)", o->min, o->max,
                      o->unit[0] ? " " : "", o->unit);
    else if (o->type == CONF_TYPE_BOOL)
        rr_buf_puts(out, " (true or false)");
    rr_buf_puts(out, strcmp(o->reload, "RELOAD") ? "\n" : "; SIGHUP reloads it\n");
}

void rr_conf_print(const struct rr_conf *c, struct rr_buf *out)
{
    const char *section = "";
    char number[32];

    if (!c)
        rr_buf_puts(out, "# Every option with its default. A key may also be given as environment "
                         "variable\n# REDRAIN_<SECTION>_<KEY> or flag --set section.key=value; "
                         "later ones win.\n\n");
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];
        if (strcmp(section, o->section) != 0) {
            rr_buf_printf(out, "%s[%s]\n", i ? "\n" : "", o->section);
            section = o->section;
        }
        if (!c)
            print_doc(o, out);
        const char *value = c ? conf_get(c, o, number) : o->def;
        rr_buf_printf(out, "%s =%s", o->key, value[0] ? " " : "");
        print_value(o, value, out);
        rr_buf_puts(out, "\n");
    }
}

void rr_conf_markdown(struct rr_buf *out)
{
    rr_buf_puts(out, "| option | default | range | reload | what it does |\n"
                     "|---|---|---|---|---|\n");
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];
        rr_buf_printf(out, "| `%s.%s` | %s%s%s | ", o->section, o->key, o->def[0] ? "`" : "",
                      o->def, o->def[0] ? "`" : "");
        if (o->type == CONF_TYPE_INT)
            rr_buf_printf(out, "%" PRId64 "…%" PRId64 "%s%s", o->min, o->max, o->unit[0] ? " " : "",
                          o->unit);
        else if (o->type == CONF_TYPE_BOOL)
            rr_buf_puts(out, "true, false");
        rr_buf_printf(out, " | %s | %s |\n", strcmp(o->reload, "RELOAD") ? "restart" : "SIGHUP",
                      o->doc);
    }
}
