/* fail.h - failpoints: named places of the code at which a test makes the process die, stand still or fail.
 *
 * They exist only where RR_FAILPOINTS is defined (the CMake option of that name: on in the presets that test, off in
 * release); elsewhere the macros are nothing and no name of theirs is in a binary.
 *
 *   REDRAIN_FAIL=name[:nth][:action]   the nth time (default 1) this process comes by; action: kill (SIGKILL, the default),
 *                                      stop (SIGSTOP), exit (_exit(99)), error (where the call site can fail), hang (this
 *                                      thread waits for ever; signals are served)
 *   REDRAIN_FAIL_ONCE=/path            only in the process that makes this file, so that its successor lives on
 *   REDRAIN_FAIL_DIR=/dir              armed while running: the file /dir/name holds "nth action" and is renamed to
 *                                      /dir/name.hit by the process it hits, which writes its id there first
 *
 * nth counts per process. A name that does not exist ends the process at its first failpoint: a misspelled test must not be
 * green. Thread: any. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include <stdbool.h>

#ifdef RR_FAILPOINTS
#include "base/fail_map.h"

enum rr_fail {
#define X(id, name, row, where) RR_FAIL_##id,
    RR_FAIL_MAP(X)
#undef X
        RR_FAIL_COUNT
};

/* True: the action is "error", the call site is to fail. */
bool rr_fail_hit(enum rr_fail id);
const char *rr_fail_name(enum rr_fail id);

#define rr_fail(id) ((void)rr_fail_hit(RR_FAIL_##id))
#define rr_fail_error(id) rr_fail_hit(RR_FAIL_##id)
#else
#define rr_fail(id) ((void)0)
#define rr_fail_error(id) false
#endif

#endif
