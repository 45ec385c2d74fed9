/* redis_cmd.h - builds one command as RESP, and says what an error reply means. */
#ifndef STORE_REDIS_CMD_H
#define STORE_REDIS_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "keys.h"
#include "scripts.h"

struct redis_cmd {
    struct rr_buf args; /* encoded; of a script: without EVALSHA and the script itself */
    uint32_t argc;
    uint8_t hops; /* redirections it has been through */
    bool asking;  /* ASKING goes before it: its slot is on its way to that server */
};

#define REDIS_ASKING "*1\r\n$6\r\nASKING\r\n"

void redis_cmd_arg(struct redis_cmd *c, struct rr_slice arg);
void redis_cmd_str(struct redis_cmd *c, const char *arg);
void redis_cmd_int(struct redis_cmd *c, int64_t arg);
/* A NULL-terminated list of strings. */
__attribute__((sentinel)) void redis_cmd_strs(struct redis_cmd *c, ...);
/* numkeys and keys of a script call; its arguments follow. */
void redis_cmd_keys(struct redis_cmd *c, const struct store_key *keys, uint32_t n);
void redis_cmd_fini(struct redis_cmd *c);

/* Appends the whole command. script NULL: a plain one. body: EVAL with the text instead of EVALSHA.
 */
void redis_cmd_write(const struct redis_cmd *c, const struct store_script *script, bool body,
                     struct rr_buf *out);

/* What an error text means for the call that got it.
 * RR_UNAVAILABLE, RR_BUSY: nothing was done. RR_NOT_FOUND: the script is not loaded. RR_PENDING:
 * anything else, after which it is not known what was done. */
enum rr_err redis_error_kind(const char *text, size_t len);

#endif
