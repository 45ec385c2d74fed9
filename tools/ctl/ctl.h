/* ctl.h - what the commands of redrainctl share: options, output, the admin API.
 * Exit codes: 0 done, 1 refused or a finding, 2 wrong usage. With --json stdout holds JSON only,
 * one object per line. */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/err.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl {
    struct rr_conf conf;
    int argc; /* what follows the command's name */
    char **argv;
    bool json;
};

/* ---- options of a command ---- */

/* "--name VALUE" into *value, or a flag into *flag. */
struct ctl_option {
    const char *name; /* with the dashes */
    const char **value;
    bool *flag;
};

/* Reads ctl->argv: options anywhere, --json into ctl->json, the rest into words. CTL_USAGE after a
 * message. */
RR_MUST_CHECK int ctl_options(struct ctl *ctl, const struct ctl_option *options, size_t n,
                              const char **words, size_t max_words, size_t *n_words);
/* A whole number within [min, max]; CTL_USAGE after a message that names it. */
RR_MUST_CHECK int ctl_number(const char *name, const char *text, int64_t min, int64_t max,
                             int64_t *out);
/* A user id, kept as text: the API takes decimal strings. */
RR_MUST_CHECK int ctl_user(const char *text);
/* "redrainctl: …" on stderr; returns CTL_USAGE. */
__attribute__((format(printf, 1, 2))) int ctl_usage_error(const char *fmt, ...);
/* The same; returns CTL_FAILED. */
__attribute__((format(printf, 1, 2))) int ctl_fail(const char *fmt, ...);

/* ---- output ---- */

/* One line of JSON. Steals nothing. */
void ctl_print_json(const json_t *value);
/* "key   value" lines of an object's plain values. */
void ctl_print_object(const json_t *object);
/* With --json the object as it is, else readable. */
void ctl_print(const struct ctl *ctl, const json_t *object);

/* ---- the admin API ---- */

/* body may be NULL (GET). Answers CTL_OK with *out (owned by the caller), or CTL_FAILED after name,
 * text and what to do were printed. */
RR_MUST_CHECK int ctl_api(const struct ctl *ctl, const char *method, const char *path,
                          const json_t *body, json_t **out);
/* The same with an Idempotency-Key. */
RR_MUST_CHECK int ctl_api_key(const struct ctl *ctl, const char *path, const char *key,
                              const json_t *body, json_t **out);
/* GET without a token: HTTP status (0: no connection) and the text, which the caller frees. */
long ctl_get_text(const struct ctl *ctl, const char *path, char **text);

/* ---- commands ---- */

int cmd_migrate(struct ctl *ctl);
int cmd_token(struct ctl *ctl);
int cmd_wallet(struct ctl *ctl);
int cmd_rain(struct ctl *ctl);
int cmd_split(struct ctl *ctl);
int cmd_risk(struct ctl *ctl);
int cmd_ban(struct ctl *ctl);
int cmd_workers(struct ctl *ctl);
int cmd_drain(struct ctl *ctl);
int cmd_verify(struct ctl *ctl);
int cmd_archive(struct ctl *ctl);
int cmd_fu(struct ctl *ctl);
int cmd_prove(struct ctl *ctl);
int cmd_repair(struct ctl *ctl);
int cmd_doctor(struct ctl *ctl);

#endif
