/* scripts.h - the Lua scripts of store/scripts, embedded by the build. */
#ifndef STORE_SCRIPTS_H
#define STORE_SCRIPTS_H

#include <stdint.h>

struct store_script {
    const char *name;
    const unsigned char *src; /* len bytes, not terminated */
    uint32_t len;
    char sha1[41];
};

extern const struct store_script *const store_scripts[]; /* NULL-terminated */

extern const struct store_script script_pool_grab;
extern const struct store_script script_pool_seal;
extern const struct store_script script_pool_open;
extern const struct store_script script_pool_extend;
extern const struct store_script script_pool_close;
extern const struct store_script script_pool_state;
extern const struct store_script script_pool_retire;
extern const struct store_script script_pool_fence;
extern const struct store_script script_pool_refill;
extern const struct store_script script_pool_epoch;
extern const struct store_script script_outbox_read;
extern const struct store_script script_lock;
extern const struct store_script script_unlock;
extern const struct store_script script_stats_max;
extern const struct store_script script_user_total_max;
extern const struct store_script script_risk_counts;
extern const struct store_script script_risk_crowd;
extern const struct store_script script_room_push;
extern const struct store_script script_room_say;
extern const struct store_script script_room_load;
extern const struct store_script script_room_count;
extern const struct store_script script_room_delivery;
extern const struct store_script script_room_stats;
extern const struct store_script script_room_sanction;
extern const struct store_script script_user_push;
extern const struct store_script script_user_log;

#endif
