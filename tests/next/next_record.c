/* next_record.c - the record as the next version of this program writes it: one more pair, which this one skips. */
#define grant_record_encode record_encode_today
#include "record.c"
#undef grant_record_encode

enum rr_err grant_record_encode(const struct grant_record *r, struct rr_buf *out);

enum rr_err grant_record_encode(const struct grant_record *r, struct rr_buf *out)
{
    size_t at = out->len;
    enum rr_err err = record_encode_today(r, out);

    if (err)
        return err;
    out->p[at]++; /* a map of up to 15 pairs says how many in its first byte */
    pack_kv_int(out, "next", 1);
    return out->failed ? RR_TOO_BIG : RR_OK;
}
