/* vectors.h - golden vectors for the tests of protocol/: JSON files in tests/vectors, hex, and
 * bytes whose very next byte belongs to nobody, so that AddressSanitizer sees every read too far.
 */
#ifndef TESTS_PROTOCOL_VECTORS_H
#define TESTS_PROTOCOL_VECTORS_H

#include <jansson.h>

#include "base/buf.h"
#include "base/slice.h"

/* The array in tests/vectors/<file>; fails the test when it is not there. Owner: caller
 * (json_decref). */
json_t *vectors_load(const char *file);
/* A string of an object, NULL when missing. */
const char *vector_text(const json_t *object, const char *key);
/* Exactly as many heap bytes as there are; free with free((void *)s.p). */
struct rr_slice bytes_exact(const void *p, size_t len);
struct rr_slice bytes_of_hex(const char *hex);
/* Packs a JSON value with pack.h: integers as ints, reals as doubles. */
void json_pack_value(struct rr_buf *b, const json_t *value);
void assert_bytes(const struct rr_buf *b, const char *hex, const char *name);

#endif
