/* Values of options: parsing, ranges, and the rules a range cannot say. */
#include "conf_table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/ip.h"
#include "base/log.h"

static void *field_of(struct rr_conf *c, const struct conf_option *o)
{
    return (char *)c + o->offset;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end = NULL;

    /* strtoll takes leading space and '+': an option has neither. */
    if (!isdigit((unsigned char)text[0]) && text[0] != '-')
        return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || *end || end == text)
        return false;
    *out = v;
    return true;
}

static bool parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < RR_COUNTOF(yes); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *out = !strcmp(text, yes[i]);
            return true;
        }
    }
    return false;
}

static bool is_one_of(const char *text, const char *chars)
{
    return text[strspn(text, chars)] == 0;
}

#define LOWER_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define KAFKA_NAME LOWER_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-"

static const char *check_namespace(const char *v)
{
    return is_one_of(v, LOWER_DIGITS "_") ? NULL : "only a-z, 0-9 and _ are allowed";
}

static const char *check_kafka_name(const char *v)
{
    return is_one_of(v, KAFKA_NAME) ? NULL : "only letters, digits and . _ - are allowed";
}

static const char *check_log_level(const char *v)
{
    return rr_log_level_parse(v) >= 0 ? NULL : "must be debug, info, notice, warn or error";
}

static const char *check_loopback(const char *v)
{
    if (!strcmp(v, "::1") || !strcmp(v, "localhost"))
        return NULL;
    return !strncmp(v, "127.", 4) && is_one_of(v, "0123456789.")
               ? NULL
               : "only a loopback address (127.0.0.1) is accepted";
}

/* One origin: scheme://host[:port], as a browser sends it. */
static bool origin_valid(const char *p, size_t len)
{
    char origin[300];

    if (len >= sizeof(origin))
        return false;
    memcpy(origin, p, len);
    origin[len] = 0;
    const char *host = strstr(origin, "://");
    if (!host || host == origin || !host[3])
        return false;
    for (const char *s = origin; s < host; s++) {
        if (!strchr(LOWER_DIGITS "+.-", *s))
            return false;
    }
    return is_one_of(host + 3, LOWER_DIGITS ".:-_[]");
}

static const char *check_origins(const char *v)
{
    while (*v) {
        v += strspn(v, ", \t");
        size_t len = strcspn(v, ", \t");
        if (len && !origin_valid(v, len))
            return "each origin must be scheme://host or scheme://host:port in lower case, without "
                   "a path or \"*\"";
        v += len;
    }
    return NULL;
}

static const char *check_redis_url(const char *v)
{
    if (!strncmp(v, "rediss://", 9))
        return "TLS to Redis is not spoken: put stunnel or another TLS tunnel on this machine and "
               "give "
               "its redis://127.0.0.1 address";
    return !strncmp(v, "redis://", 8) && v[8] ? NULL
                                              : "must be redis://[:password@]host:port/number";
}

static const char *check_mysql_url(const char *v)
{
    return !strncmp(v, "mysql://", 8) && v[8] ? NULL
                                              : "must be mysql://user:password@host:port/database";
}

static const char *check_topology(const char *v)
{
    return !strcmp(v, "single") || !strcmp(v, "failover") || !strcmp(v, "cluster") ||
                   !strcmp(v, "sentinel")
               ? NULL
               : "must be single, failover, cluster or sentinel";
}

static const char *check_fence_policy(const char *v)
{
    return !strcmp(v, "recover") || !strcmp(v, "close") ? NULL : "must be recover or close";
}

static const char *check_tls_version(const char *v)
{
    return !strcmp(v, "1.2") || !strcmp(v, "1.3") ? NULL : "must be 1.2 or 1.3";
}

static const char *check_mysql_tls(const char *v)
{
    return !strcmp(v, "off") || !strcmp(v, "required") || !strcmp(v, "verify")
               ? NULL
               : "must be off, required or verify";
}

static const char *check_kafka_protocol(const char *v)
{
    return !strcmp(v, "plaintext") || !strcmp(v, "ssl") || !strcmp(v, "sasl_plaintext") ||
                   !strcmp(v, "sasl_ssl")
               ? NULL
               : "must be plaintext, ssl, sasl_plaintext or sasl_ssl";
}

static const char *check_sasl_mechanism(const char *v)
{
    return !strcmp(v, "PLAIN") || !strcmp(v, "SCRAM-SHA-256") || !strcmp(v, "SCRAM-SHA-512")
               ? NULL
               : "must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
}

static const char *check_address_header(const char *v)
{
    return !strcmp(v, "x-real-ip") || !strcmp(v, "x-forwarded-for")
               ? NULL
               : "must be x-real-ip or x-forwarded-for";
}

static const char *check_proxy_protocol(const char *v)
{
    return !strcmp(v, "off") || !strcmp(v, "v2") ? NULL : "must be off or v2";
}

static const char *check_networks(const char *v)
{
    struct rr_ip_nets nets;

    return rr_ip_nets_parse(&nets, v) == RR_OK ? NULL
                                               : "must be networks like 10.0.0.0/8, fd00::/8";
}

static const struct {
    const char *section;
    const char *key;
    const char *(*check)(const char *value); /* NULL or what is wrong */
} rules[] = {
    {"server", "namespace", check_namespace},
    {"server", "origins", check_origins},
    {"server", "tls_min_version", check_tls_version},
    {"admin", "host", check_loopback},
    {"redis", "url", check_redis_url},
    {"mysql", "url", check_mysql_url},
    {"mysql", "tls", check_mysql_tls},
    {"kafka", "security_protocol", check_kafka_protocol},
    {"kafka", "sasl_mechanism", check_sasl_mechanism},
    {"kafka", "topic", check_kafka_name},
    {"kafka", "group", check_kafka_name},
    {"log", "level", check_log_level},
    {"risk", "address_header", check_address_header},
    {"limits", "exempt", check_networks},
    {"server", "trusted_proxies", check_networks},
    {"server", "proxy_protocol", check_proxy_protocol},
    {"redis", "topology", check_topology},
    {"fence", "policy", check_fence_policy},
};

static const char *broken_rule(const struct conf_option *o, const char *text)
{
    for (size_t i = 0; i < RR_COUNTOF(rules); i++) {
        if (!strcmp(rules[i].section, o->section) && !strcmp(rules[i].key, o->key))
            return rules[i].check(text);
    }
    return NULL;
}

static enum rr_err set_string(struct rr_conf *c, const struct conf_option *o, const char *text,
                              const struct conf_origin *at, struct conf_message *m)
{
    char **field = field_of(c, o);
    int64_t len = (int64_t)strlen(text);
    const char *wrong = broken_rule(o, text);

    if (len < o->min || len > o->max) {
        conf_complain(m, at,
                      "[%s] %s: must have %" PRId64 " to %" PRId64 " characters, has %" PRId64,
                      o->section, o->key, o->min, o->max, len);
        return RR_CONFIG;
    }
    if (wrong) {
        /* The value of a secret is not repeated in a message that ends in a log. */
        if (o->type == CONF_TYPE_SECRET)
            conf_complain(m, at, "[%s] %s: %s", o->section, o->key, wrong);
        else
            conf_complain(m, at, "[%s] %s = \"%s\": %s", o->section, o->key, text, wrong);
        return RR_CONFIG;
    }
    char *copy = rr_xstrdup(text);
    free(*field);
    *field = copy;
    return RR_OK;
}

enum rr_err conf_set(struct rr_conf *c, const struct conf_option *o, const char *text,
                     const struct conf_origin *at, struct conf_message *m)
{
    int64_t v = 0;

    switch (o->type) {
    case CONF_TYPE_INT:
        if (!parse_int(text, &v)) {
            conf_complain(m, at, "[%s] %s = \"%s\": not a whole number", o->section, o->key, text);
            return RR_CONFIG;
        }
        if (v < o->min || v > o->max) {
            conf_complain(m, at, "[%s] %s = %" PRId64 ": must be %" PRId64 " to %" PRId64 "%s%s",
                          o->section, o->key, v, o->min, o->max, o->unit[0] ? " " : "", o->unit);
            return RR_CONFIG;
        }
        *(int64_t *)field_of(c, o) = v;
        return RR_OK;
    case CONF_TYPE_BOOL:
        if (!parse_bool(text, field_of(c, o))) {
            conf_complain(m, at, "[%s] %s = \"%s\": must be true or false", o->section, o->key,
                          text);
            return RR_CONFIG;
        }
        return RR_OK;
    case CONF_TYPE_STR:
    case CONF_TYPE_SECRET: return set_string(c, o, text, at, m);
    }
    return RR_CONFIG;
}

enum rr_err conf_set_named(struct rr_conf *c, const char *section, const char *key,
                           const char *text, const struct conf_origin *at, struct conf_message *m)
{
    const struct conf_option *o = conf_option_find(section, key);

    if (o)
        return conf_set(c, o, text, at, m);
    if (!conf_section_known(section)) {
        const char *near = conf_suggest(NULL, section);
        if (near)
            conf_complain(m, at, "unknown section [%s], did you mean [%s]?", section, near);
        else
            conf_complain(m, at, "unknown section [%s]", section);
        return RR_CONFIG;
    }
    const char *near = conf_suggest(section, key);
    const char *elsewhere = conf_section_of(key);
    if (elsewhere)
        conf_complain(m, at, "unknown key \"%s\" in [%s], did you mean it in [%s]?", key, section,
                      elsewhere);
    else if (near)
        conf_complain(m, at, "unknown key \"%s\" in [%s], did you mean \"%s\"?", key, section,
                      near);
    else
        conf_complain(m, at, "unknown key \"%s\" in [%s]", key, section);
    return RR_CONFIG;
}

const char *conf_get(const struct rr_conf *c, const struct conf_option *o, char buf[32])
{
    const void *field = (const char *)c + o->offset;

    switch (o->type) {
    case CONF_TYPE_INT: snprintf(buf, 32, "%" PRId64, *(const int64_t *)field); return buf;
    case CONF_TYPE_BOOL: return *(const bool *)field ? "true" : "false";
    case CONF_TYPE_STR:
    case CONF_TYPE_SECRET: return *(char *const *)field;
    }
    return "";
}
