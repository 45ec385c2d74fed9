/* Lookups in the option table and suggestions for misspelt names. */
#include "conf_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct conf_option conf_options[CONF_OPTION_COUNT] = {
#define X(section_, key_, type_, def_, min_, max_, unit_, reload_, doc_)                           \
    {.section = #section_,                                                                         \
     .key = #key_,                                                                                 \
     .def = def_,                                                                                  \
     .unit = unit_,                                                                                \
     .reload = #reload_,                                                                           \
     .doc = doc_,                                                                                  \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .offset = offsetof(struct rr_conf, section_##_##key_),                                        \
     .type = CONF_TYPE_##type_},
    CONF_MAP(X)
#undef X
};

enum { NAME_MAX_LEN = 40, NEAR_ENOUGH = 3 };

const struct conf_option *conf_option_find(const char *section, const char *key)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        if (!strcmp(conf_options[i].section, section) && !strcmp(conf_options[i].key, key))
            return &conf_options[i];
    }
    return NULL;
}

bool conf_section_known(const char *section)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        if (!strcmp(conf_options[i].section, section))
            return true;
    }
    return false;
}

const char *conf_section_of(const char *key)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        if (!strcmp(conf_options[i].key, key))
            return conf_options[i].section;
    }
    return NULL;
}

/* Levenshtein distance, one row at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    size_t la = strlen(a);
    size_t lb = strlen(b);

    if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

const char *conf_suggest(const char *section, const char *name)
{
    const char *best = NULL;
    size_t best_distance = NEAR_ENOUGH + 1;

    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        if (section && strcmp(conf_options[i].section, section) != 0)
            continue;
        const char *candidate = section ? conf_options[i].key : conf_options[i].section;
        size_t distance = edit_distance(name, candidate);
        if (distance < best_distance && distance < strlen(candidate)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

void conf_complain(struct conf_message *m, const struct conf_origin *at, const char *fmt, ...)
{
    int used;
    va_list args;

    if (!m->cap || m->text[0])
        return;
    if (at->line > 0)
        used = snprintf(m->text, m->cap, "%s:%d: ", at->name, at->line);
    else
        used = snprintf(m->text, m->cap, "%s: ", at->name);
    if (used < 0 || (size_t)used >= m->cap)
        return;
    va_start(args, fmt);
    vsnprintf(m->text + used, m->cap - (size_t)used, fmt, args);
    va_end(args);
}
