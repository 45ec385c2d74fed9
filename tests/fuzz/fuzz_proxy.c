/* fuzz_proxy.c - any bytes through rr_proxy_parse, whole and at every cut: it never asks for a byte behind what it takes in
 * the end, never changes its mind, and never takes more than its bound. */
#include "fuzz.h"

#include "base/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rr_proxy_header whole;
    struct rr_proxy_header h;
    size_t taken = 0;
    size_t need = 0;
    enum rr_err end = RR_PENDING;
    enum rr_err err = rr_proxy_parse(rr_slice_of((const char *)data, size), &whole, &taken);

    RR_ASSERT(err != RR_OK || (taken <= size && taken <= RR_PROXY_MAX_BYTES));
    RR_ASSERT((err == RR_OK || err == RR_PENDING) == (whole.fault == NULL));
    for (size_t n = 0; end == RR_PENDING && n <= size; n = need) {
        end = rr_proxy_parse(rr_slice_of((const char *)data, n), &h, &need);
        if (end == RR_PENDING)
            RR_ASSERT(need > n && need <= RR_PROXY_MAX_BYTES);
        if (end == RR_OK)
            RR_ASSERT(need == n && rr_ip_equal(&h.client, &whole.client));
    }
    /* What is wrong may show before the bytes it asked for are there. */
    RR_ASSERT(end == err || (end == RR_PENDING && size < need));
    return 0;
}
