/* conf_table.h - the rows of conf_map.h as data, for loading and printing. Private to base/conf*.c.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "base/conf.h"

enum conf_type { CONF_TYPE_INT, CONF_TYPE_BOOL, CONF_TYPE_STR, CONF_TYPE_SECRET };

struct conf_option {
    const char *section;
    const char *key;
    const char *def;
    const char *unit;
    const char *reload; /* "RELOAD" or "RESTART" */
    const char *doc;
    int64_t min; /* of a number; bytes of a string */
    int64_t max;
    size_t offset; /* of the field in struct rr_conf */
    enum conf_type type;
};

/* Where a value came from, for messages: "FILE:LINE", "environment", "--set". */
struct conf_origin {
    const char *name;
    int line; /* 0: none */
};

/* What went wrong first; later errors do not overwrite it. */
struct conf_message {
    char *text;
    size_t cap;
};

#define X(section, key, type, def, min, max, unit, reload, doc) +1
enum { CONF_OPTION_COUNT = 0 CONF_MAP(X) };
#undef X
extern const struct conf_option conf_options[CONF_OPTION_COUNT];

const struct conf_option *conf_option_find(const char *section, const char *key);
bool conf_section_known(const char *section);
/* The nearest known name, NULL when nothing is near. section NULL: searches section names. */
const char *conf_suggest(const char *section, const char *name);
/* The section that has this key, when it is another one than asked for; NULL if none. */
const char *conf_section_of(const char *key);

__attribute__((format(printf, 3, 4))) void
conf_complain(struct conf_message *m, const struct conf_origin *at, const char *fmt, ...);

/* Parses and range-checks text into the option's field. RR_CONFIG: complained. */
RR_MUST_CHECK enum rr_err conf_set(struct rr_conf *c, const struct conf_option *o, const char *text,
                                   const struct conf_origin *at, struct conf_message *m);
/* Finds the option and sets it; unknown names are complained about with a suggestion. */
RR_MUST_CHECK enum rr_err conf_set_named(struct rr_conf *c, const char *section, const char *key,
                                         const char *text, const struct conf_origin *at,
                                         struct conf_message *m);
/* Text of a field, secrets as they are. buf is used for numbers. */
const char *conf_get(const struct rr_conf *c, const struct conf_option *o, char buf[32]);
/* After all values are known: what they must be together; passwords out of files into their URLs. */
RR_MUST_CHECK enum rr_err conf_rules(struct rr_conf *c, struct conf_message *m);
/* True when the value carries a password. */
bool conf_has_password(const char *url);

#endif
