/* fuzz_msg.c - any bytes through msg_decode: no crash, no read outside the bytes, and what is
 * accepted is in range. */
#include "fuzz.h"

#include "protocol/msg.h"
#include "protocol/unpack.h"

static void fields_check(const struct msg *m)
{
#define CHECK_STR(v, min, max)                                                                     \
    ((int64_t)(v).len >= (min) && (int64_t)(v).len <= (max) && unpack_text_ok(v))
#define CHECK_INT(v, min, max) ((v) >= (min) && (v) <= (max))
#define CHECK_BOOL(v, min, max) ((v) || !(v))
#define CHECK_USER(v, min, max) ((v) > 0)
#define IS_REQUIRED true
#define IS_OPTIONAL false
#define X(message, member, key, type, need, min, max)                                              \
    if (m->op == MSG_##message) {                                                                  \
        if (m->u.member.has_##key)                                                                 \
            RR_ASSERT(CHECK_##type(m->u.member.key, min, max));                                    \
        else                                                                                       \
            RR_ASSERT(!IS_##need);                                                                 \
    }
    MSG_FIELD_MAP(X)
#undef X
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msg m;
    struct msg_fault fault;
    enum rr_err err = msg_decode(rr_slice_of(data, size), &m, &fault);

    RR_ASSERT(err == RR_OK || err == RR_MALFORMED || err == RR_BAD_REQUEST);
    RR_ASSERT(err == RR_OK || fault.field);
    if (err == RR_OK)
        fields_check(&m);
    return 0;
}
