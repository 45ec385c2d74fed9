#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {
#define X(name, text) #name,
    RR_ERR_MAP(X)
#undef X
};

static const char *const texts[] = {
#define X(name, text) text,
    RR_ERR_MAP(X)
#undef X
};

const char *rr_err_name(enum rr_err err)
{
    return (unsigned)err < RR_ERR_COUNT ? names[err] : "?";
}

const char *rr_err_text(enum rr_err err)
{
    return (unsigned)err < RR_ERR_COUNT ? texts[err] : "unknown error";
}

_Noreturn void rr_assert_fail(const char *cond, const char *file, int line, const char *func)
{
    fprintf(stderr, "{\"level\":\"fatal\",\"event\":\"assert\",\"msg\":\"%s:%d %s: %s\"}\n", file,
            line, func, cond);
    abort();
}
