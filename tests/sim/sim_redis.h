/* sim_redis.h - values of the simulated Redis, for sim_redis.c, sim_lua.c and sim_net.c. */
#ifndef SIM_REDIS_H
#define SIM_REDIS_H

#include "sim.h"

struct rstr rstr_copy(const char *p, size_t len); /* with a NUL behind it */
struct rstr rstr_of(const char *text);
bool rstr_eq(struct rstr a, struct rstr b);
bool rstr_is(struct rstr a, const char *text); /* without case */
bool rstr_int(struct rstr s, int64_t *out);
struct rval rval_int(int64_t i);
struct rval rval_str(struct rstr s);
struct rval rval_error(const char *text);
struct rval rval_array(uint32_t n); /* of nils */

struct store_script;
char *lua_text(const struct store_script *s); /* as it is run; the caller's */
/* Pairs text, replacement, ended by NULL; before lua_init(). */
void lua_rewrite(const char *const (*list)[2]);
void lua_fini(void);

#endif
