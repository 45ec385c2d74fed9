#include "vectors.h"

#include "base/alloc.h"
#include "protocol/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

json_t *vectors_load(const char *file)
{
    char path[512];
    json_error_t error;
    json_t *list = NULL;

    snprintf(path, sizeof(path), "%s/%s", RR_VECTORS_DIR, file);
    list = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!list)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    assert_true(json_is_array(list) && json_array_size(list) > 0);
    return list;
}

const char *vector_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

struct rr_slice bytes_exact(const void *p, size_t len)
{
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    if (len)
        memcpy(copy, p, len);
    return rr_slice_of(copy, len);
}

static int nibble(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

struct rr_slice bytes_of_hex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    char *p = malloc(len ? len : 1);

    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)(nibble(hex[2 * i]) * 16 + nibble(hex[2 * i + 1]));
    return rr_slice_of(p, len);
}

void json_pack_value(struct rr_buf *b, const json_t *value)
{
    const char *key = NULL;
    json_t *item = NULL;
    size_t i = 0;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        pack_map(b, (uint32_t)json_object_size(value));
        json_object_foreach((json_t *)value, key, item)
        {
            pack_cstr(b, key);
            json_pack_value(b, item);
        }
        break;
    case JSON_ARRAY:
        pack_array(b, (uint32_t)json_array_size(value));
        json_array_foreach(value, i, item) json_pack_value(b, item);
        break;
    case JSON_STRING:
        pack_str(b, rr_slice_of(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER: pack_int(b, json_integer_value(value)); break;
    case JSON_REAL: pack_double(b, json_real_value(value)); break;
    case JSON_TRUE:
    case JSON_FALSE: pack_bool(b, json_is_true(value)); break;
    case JSON_NULL: pack_nil(b); break;
    }
}

void assert_bytes(const struct rr_buf *b, const char *hex, const char *name)
{
    struct rr_slice want = bytes_of_hex(hex);

    if (b->failed || !rr_slice_eq(rr_slice_of(b->p, b->len), want))
        fail_msg("%s: %zu bytes differ from the %zu of the vector", name, b->len, want.len);
    free((void *)want.p);
}
