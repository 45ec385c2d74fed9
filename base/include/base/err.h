/* err.h - the one error type. RR_OK is 0; every other value says why nothing (more) was done. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/err_map.h"

enum rr_err {
#define X(name, text) RR_##name,
    RR_ERR_MAP(X)
#undef X
        RR_ERR_COUNT
};

#define RR_MUST_CHECK __attribute__((warn_unused_result))
#define RR_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

/* Stable name ("SOLD_OUT") and English text; never NULL. */
const char *rr_err_name(enum rr_err err);
const char *rr_err_text(enum rr_err err);

/* A broken invariant: prints where, then aborts. On in release builds too. */
#define RR_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (!(cond))                                                                               \
            rr_assert_fail(#cond, __FILE__, __LINE__, __func__);                                   \
    } while (0)
_Noreturn void rr_assert_fail(const char *cond, const char *file, int line, const char *func);

#endif
