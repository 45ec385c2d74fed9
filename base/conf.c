/* Loading: defaults < file < environment < flags. Everything a person can get wrong is named with
 * its place. */
#include "conf_table.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern char **environ;

/* State of one pass over a file. inih gives no line numbers to handlers, so our reader counts them.
 */
struct file_pass {
    struct rr_conf *c;
    struct conf_message *m;
    FILE *f;
    const char *name;
    const char *secret; /* "[section] key" of the first password seen; NULL: none */
    int line;
    bool failed;
    bool seen[CONF_OPTION_COUNT];
};

static void check_section_line(struct file_pass *p, const char *text)
{
    struct conf_origin at = {.name = p->name, .line = p->line};
    char section[64];

    text += strspn(text, " \t");
    if (text[0] != '[')
        return;
    size_t len = strcspn(text + 1, "]\n");
    if (text[1 + len] != ']' || len >= sizeof(section)) {
        p->failed = true;
        conf_complain(p->m, &at, "neither \"[section]\" nor \"key = value\"");
        return;
    }
    memcpy(section, text + 1, len);
    section[len] = 0;
    if (!conf_section_known(section)) {
        const char *near = conf_suggest(NULL, section);
        p->failed = true;
        if (near)
            conf_complain(p->m, &at, "unknown section [%s], did you mean [%s]?", section, near);
        else
            conf_complain(p->m, &at, "unknown section [%s]", section);
    }
}

/* fgets that counts lines and looks at section headers (inih only tells about sections that have
 * keys). */
static char *read_line(char *str, int num, void *stream)
{
    struct file_pass *p = stream;
    struct conf_origin at = {.name = p->name};

    /* A failed pass ends here: inih would go on and hide the first error behind later ones. */
    if (p->failed || !fgets(str, num, p->f))
        return NULL;
    p->line++;
    at.line = p->line;
    if (!strchr(str, '\n')) {
        int next = getc(p->f);
        if (next != EOF) {
            p->failed = true;
            conf_complain(p->m, &at,
                          "line is longer than %d characters (use the environment or --set)",
                          num - 3);
            return NULL;
        }
    }
    check_section_line(p, str);
    return p->failed ? NULL : str;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct file_pass *p = user;
    struct conf_origin at = {.name = p->name, .line = p->line};

    if (p->failed)
        return 0;
    if (!section[0]) {
        conf_complain(p->m, &at, "key \"%s\" before the first [section]", name);
        p->failed = true;
        return 0;
    }
    if (conf_set_named(p->c, section, name, value ? value : "", &at, p->m) != RR_OK) {
        p->failed = true;
        return 0;
    }
    const struct conf_option *o = conf_option_find(section, name);
    if (p->seen[o - conf_options]) {
        conf_complain(p->m, &at, "key \"%s\" in [%s] is given twice", name, section);
        p->failed = true;
        return 0;
    }
    p->seen[o - conf_options] = true;
    if (o->type == CONF_TYPE_SECRET && conf_has_password(value) && !p->secret)
        p->secret = o->section;
    return 1;
}

static enum rr_err check_mode(struct file_pass *p)
{
    struct conf_origin at = {.name = p->name};
    struct stat st;

    if (fstat(fileno(p->f), &st)) {
        conf_complain(p->m, &at, "%s", strerror(errno));
        return RR_CONFIG;
    }
    if (p->secret && (st.st_mode & (S_IRGRP | S_IROTH))) {
        conf_complain(p->m, &at,
                      "holds a password in [%s] url and its mode %03o lets others read it: chmod "
                      "600 it, or give the password by REDRAIN_%s_URL",
                      p->secret, (unsigned)(st.st_mode & 0777),
                      strcmp(p->secret, "redis") ? "MYSQL" : "REDIS");
        return RR_CONFIG;
    }
    return RR_OK;
}

static enum rr_err load_file(struct rr_conf *c, const char *file, struct conf_message *m)
{
    struct file_pass p = {.c = c, .m = m, .name = file};
    struct conf_origin at = {.name = file};
    struct stat st;
    enum rr_err err = RR_CONFIG;

    p.f = fopen(file, "re");
    if (!p.f) {
        conf_complain(m, &at, "%s", strerror(errno));
        return RR_CONFIG;
    }
    if (fstat(fileno(p.f), &st) == 0 && S_ISDIR(st.st_mode)) {
        conf_complain(m, &at, "is a folder, not a file");
        goto out;
    }
    int line = ini_parse_stream(read_line, &p, on_value, &p);
    if (p.failed)
        goto out;
    if (line) {
        at.line = line > 0 ? line : 0;
        conf_complain(m, &at, "neither \"[section]\" nor \"key = value\"");
        goto out;
    }
    err = check_mode(&p);
out:
    fclose(p.f);
    return err;
}

static void upper(const char *text, char *out, size_t cap)
{
    size_t i = 0;

    for (; text[i] && i + 1 < cap; i++)
        out[i] = (char)toupper((unsigned char)text[i]);
    out[i] = 0;
}

/* "REDRAIN_SERVER_PORT=8480" -> server, port, 8480. Names outside of our sections are not ours to
 * judge. */
static enum rr_err load_variable(struct rr_conf *c, const char *entry, struct conf_message *m)
{
    static const char prefix[] = "REDRAIN_";
    char section[32];
    char key[64];
    char name[128];
    const char *value = strchr(entry, '=');

    if (strncmp(entry, prefix, sizeof(prefix) - 1) != 0 || !value ||
        (size_t)(value - entry) >= sizeof(name))
        return RR_OK;
    memcpy(name, entry, (size_t)(value - entry));
    name[value - entry] = 0;
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        upper(conf_options[i].section, section, sizeof(section));
        size_t len = strlen(section);
        const char *rest = name + sizeof(prefix) - 1;
        if (strncmp(rest, section, len) != 0 || rest[len] != '_' || strlen(rest) >= sizeof(key))
            continue;
        struct conf_origin at = {.name = name};
        size_t n = 0;
        for (rest += len + 1; *rest; rest++)
            key[n++] = (char)tolower((unsigned char)*rest);
        key[n] = 0;
        return conf_set_named(c, conf_options[i].section, key, value + 1, &at, m);
    }
    return RR_OK;
}

static enum rr_err load_flag(struct rr_conf *c, const char *flag, struct conf_message *m)
{
    struct conf_origin at = {.name = "--set"};
    char section[64];
    char key[64];
    const char *dot = strchr(flag, '.');
    const char *equals = strchr(flag, '=');

    if (!dot || !equals || dot > equals || (size_t)(dot - flag) >= sizeof(section) ||
        (size_t)(equals - dot) > sizeof(key)) {
        conf_complain(m, &at, "\"%.60s\" is not section.key=value", flag);
        return RR_CONFIG;
    }
    memcpy(section, flag, (size_t)(dot - flag));
    section[dot - flag] = 0;
    memcpy(key, dot + 1, (size_t)(equals - dot - 1));
    key[equals - dot - 1] = 0;
    return conf_set_named(c, section, key, equals + 1, &at, m);
}

enum rr_err rr_conf_load(struct rr_conf *c, const char *file, const char *const *flags, size_t n,
                         char *message, size_t cap)
{
    struct conf_message m = {.text = message, .cap = cap};
    struct conf_origin at = {.name = "default"};
    enum rr_err err = RR_OK;

    memset(c, 0, sizeof(*c));
    if (cap)
        message[0] = 0;
    for (size_t i = 0; i < CONF_OPTION_COUNT && err == RR_OK; i++)
        err = conf_set(c, &conf_options[i], conf_options[i].def, &at, &m);
    if (err == RR_OK && file)
        err = load_file(c, file, &m);
    for (char **e = environ; err == RR_OK && e && *e; e++)
        err = load_variable(c, *e, &m);
    for (size_t i = 0; i < n && err == RR_OK; i++)
        err = load_flag(c, flags[i], &m);
    if (err == RR_OK)
        err = conf_rules(c, &m);
    if (err != RR_OK)
        rr_conf_fini(c);
    return err;
}

void rr_conf_fini(struct rr_conf *c)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *o = &conf_options[i];
        if (o->type != CONF_TYPE_STR && o->type != CONF_TYPE_SECRET)
            continue;
        char **field = (char **)(void *)((char *)c + o->offset);
        free(*field);
        *field = NULL;
    }
}
