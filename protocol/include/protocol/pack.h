/* pack.h - writes msgpack into an rr_buf, for everybody outside protocol/ who builds a payload
 * (msgpack-c stays inside). A map is opened with its exact number of pairs; a wrong count is the
 * caller's bug and shows in every test. */
#ifndef PROTOCOL_PACK_H
#define PROTOCOL_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

void pack_map(struct rr_buf *b, uint32_t pairs);
void pack_array(struct rr_buf *b, uint32_t items);
void pack_int(struct rr_buf *b, int64_t v);
void pack_uint(struct rr_buf *b, uint64_t v);
void pack_double(struct rr_buf *b, double v);
void pack_bool(struct rr_buf *b, bool v);
void pack_nil(struct rr_buf *b);
void pack_str(struct rr_buf *b, struct rr_slice s);
void pack_cstr(struct rr_buf *b, const char *s);
/* Raw, already encoded value. */
void pack_raw(struct rr_buf *b, struct rr_slice value);
/* key + value in one call. */
void pack_kv_int(struct rr_buf *b, const char *key, int64_t v);
void pack_kv_str(struct rr_buf *b, const char *key, const char *s);
void pack_kv_slice(struct rr_buf *b, const char *key, struct rr_slice s);
void pack_kv_bool(struct rr_buf *b, const char *key, bool v);
void pack_kv_nil(struct rr_buf *b, const char *key);
/* User ids are decimal strings on the wire. */
void pack_kv_user(struct rr_buf *b, const char *key, int64_t user_id);
void pack_kv_raw(struct rr_buf *b, const char *key, struct rr_slice value);

#endif
