/* sim_compare.h - between the generator of random calls (sim_sequences.c) and who runs them on both sides
 * (test_sim_redis.c). A call is built word by word and then run; the generator sees the model's answer. */
#ifndef SIM_COMPARE_H
#define SIM_COMPARE_H

#include "scripts.h"
#include "sim_redis.h"

/* One word of the next call. */
__attribute__((format(printf, 1, 2))) void cmp_word(const char *fmt, ...);
/* Runs the words as keys and arguments of a script, or as a command (NULL). */
struct rval cmp_run(const struct store_script *script, uint32_t keys);
/* By the model's clock; both sides move together. minutes: also what has a TTL. */
void cmp_time_passes(int64_t ms, uint32_t minutes);
int64_t cmp_now_ms(void);
const char *cmp_run_id(void);
void cmp_restart(void); /* another run id */
void cmp_wipe(void);
void cmp_snapshot(void);
void cmp_rollback(void); /* to the snapshot; nothing without one */

/* Runs one sequence of calls drawn from the seed's chance. */
void sequence_play(void);

#endif
