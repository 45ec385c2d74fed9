/* conf.h - options from one ini file, the environment and flags, all described by conf_map.h.
 * Strict: unknown sections and keys are errors with file, line and a suggestion; numbers are
 * range-checked. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf_map.h"
#include "base/err.h"

#define CONF_T_INT int64_t
#define CONF_T_BOOL bool
#define CONF_T_STR char *
#define CONF_T_SECRET char *

/* Field of an option: conf.server_port, conf.redis_url … Strings are never NULL. */
struct rr_conf {
#define X(section, key, type, def, min, max, unit, reload, doc) CONF_T_##type section##_##key;
    CONF_MAP(X)
#undef X
};

/* Defaults < file (NULL: none) < environment (REDRAIN_SERVER_PORT) < n flags "section.key=value".
 * RR_CONFIG: *message (of `cap` bytes) says file:line and what is wrong ("unknown key "prot" in
 * [server], did you mean "port"?"). */
RR_MUST_CHECK enum rr_err rr_conf_load(struct rr_conf *c, const char *file,
                                       const char *const *flags, size_t n, char *message,
                                       size_t cap);
void rr_conf_fini(struct rr_conf *c);
/* Ini text: of the defaults (c NULL) with docs as comments, or of c with secrets masked (password
 * of an URL as "***"). */
void rr_conf_print(const struct rr_conf *c, struct rr_buf *out);
/* Markdown table for docs/OPERATIONS.md. */
void rr_conf_markdown(struct rr_buf *out);

/* What every program of ours takes: --config FILE, --set k=v (repeatable), --check-config,
 * --print-config, --print-default-config, --version, --help. Handles the printing ones itself
 * (exits). Returns the index of the first argument it does not know (commands of redrainctl), argc
 * when none. Exits 2 with a message on errors. */
int rr_conf_main(int argc, char **argv, struct rr_conf *c, const char *usage);

/* More than the table can say: files that must be there, options that go together. message gets what
 * is wrong. */
typedef enum rr_err (*rr_conf_check_fn)(const struct rr_conf *c, char *message, size_t cap);
/* The same, and --check-config asks check too. */
int rr_conf_main_checked(int argc, char **argv, struct rr_conf *c, const char *usage,
                         rr_conf_check_fn check);

/* ---- reading it again (SIGHUP) ---- */

/* Loads what rr_conf_main() of this process loaded, once more. RR_CONFIG: *message says what is
 * wrong, c holds nothing. */
RR_MUST_CHECK enum rr_err rr_conf_again(struct rr_conf *c, char *message, size_t cap);
/* The same, checked (check may be NULL) and compared with c: what is wrong, and which changes need a
 * restart, is said in the log. RR_CONFIG: fresh holds nothing. */
RR_MUST_CHECK enum rr_err rr_conf_reread(struct rr_conf *c, struct rr_conf *fresh,
                                         rr_conf_check_fn check);
/* Copies the options of class RELOAD from fresh. A string of that class may be read on the thread
 * that calls this only, and nobody keeps its address. */
void rr_conf_take(struct rr_conf *c, const struct rr_conf *fresh);
/* All of it: true when c holds the new values (and the log its level); false: the file is wrong and c is as it was. Says so
 * in the log either way. */
bool rr_conf_reload(struct rr_conf *c);
/* "section.key, …" of the options of class RESTART that differ; empty when none. */
void rr_conf_differences(const struct rr_conf *c, const struct rr_conf *fresh, struct rr_buf *out);

/* ---- handing it to a child process ---- */

/* Every option with its value, secrets as they are: never for a person's eyes. */
void rr_conf_pack(const struct rr_conf *c, struct rr_buf *out);
RR_MUST_CHECK enum rr_err rr_conf_unpack(struct rr_conf *c, const char *p, size_t len,
                                         char *message, size_t cap);

#endif
