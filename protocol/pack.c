#include "protocol/pack.h"

#include <inttypes.h>
#include <msgpack/pack.h>
#include <stdio.h>

/* A full buffer is remembered by the buffer itself, so the packer never sees a failure. */
static int buf_write(void *data, const char *p, size_t len)
{
    rr_buf_append(data, p, len);
    return 0;
}

static msgpack_packer packer(struct rr_buf *b)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, b, buf_write);
    return pk;
}

void pack_map(struct rr_buf *b, uint32_t pairs)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_map(&pk, pairs);
}

void pack_array(struct rr_buf *b, uint32_t items)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_array(&pk, items);
}

void pack_int(struct rr_buf *b, int64_t v)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_int64(&pk, v);
}

void pack_uint(struct rr_buf *b, uint64_t v)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_uint64(&pk, v);
}

void pack_double(struct rr_buf *b, double v)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_double(&pk, v);
}

void pack_bool(struct rr_buf *b, bool v)
{
    msgpack_packer pk = packer(b);

    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void pack_nil(struct rr_buf *b)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_nil(&pk);
}

void pack_str(struct rr_buf *b, struct rr_slice s)
{
    msgpack_packer pk = packer(b);

    msgpack_pack_str(&pk, s.len);
    rr_buf_append(b, s.p, s.len);
}

void pack_cstr(struct rr_buf *b, const char *s)
{
    pack_str(b, rr_slice_str(s));
}

void pack_raw(struct rr_buf *b, struct rr_slice value)
{
    rr_buf_append(b, value.p, value.len);
}

void pack_kv_int(struct rr_buf *b, const char *key, int64_t v)
{
    pack_cstr(b, key);
    pack_int(b, v);
}

void pack_kv_str(struct rr_buf *b, const char *key, const char *s)
{
    pack_cstr(b, key);
    pack_cstr(b, s);
}

void pack_kv_slice(struct rr_buf *b, const char *key, struct rr_slice s)
{
    pack_cstr(b, key);
    pack_str(b, s);
}

void pack_kv_bool(struct rr_buf *b, const char *key, bool v)
{
    pack_cstr(b, key);
    pack_bool(b, v);
}

void pack_kv_nil(struct rr_buf *b, const char *key)
{
    pack_cstr(b, key);
    pack_nil(b);
}

void pack_kv_user(struct rr_buf *b, const char *key, int64_t user_id)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, user_id);
    pack_kv_str(b, key, text);
}

void pack_kv_raw(struct rr_buf *b, const char *key, struct rr_slice value)
{
    pack_cstr(b, key);
    pack_raw(b, value);
}
