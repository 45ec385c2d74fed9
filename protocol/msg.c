#include "protocol/msg.h"

#include "protocol/unpack.h"

#include <assert.h>
#include <stddef.h>

enum field_type { FIELD_STR, FIELD_INT, FIELD_BOOL, FIELD_USER };
enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };

/* One row of MSG_FIELD_MAP: where the value of `key` goes in struct msg and what it may be. */
struct field {
    enum msg_op op;
    enum field_type type;
    enum field_need need;
    const char *key;
    int64_t min; /* bytes of a STR, value of an INT */
    int64_t max;
    size_t value_at;
    size_t has_at;
};

static const struct field fields[] = {
#define X(message, member, key, type, need, min, max)                                              \
    {MSG_##message,                                                                                \
     FIELD_##type,                                                                                 \
     FIELD_##need,                                                                                 \
     #key,                                                                                         \
     min,                                                                                          \
     max,                                                                                          \
     offsetof(struct msg, u.member.key),                                                           \
     offsetof(struct msg, u.member.has_##key)},
    MSG_FIELD_MAP(X)
#undef X
};

/* The union in struct msg is written by hand so that it can be read; these make a difference to the
 * table an error. */
#define C_STR struct rr_slice
#define C_INT int64_t
#define C_BOOL bool
#define C_USER int64_t
#define X(message, member, key, type, need, min, max)                                              \
    static_assert(_Generic(((struct msg *)0)->u.member.key, C_##type : 1, default : 0),            \
                  "struct msg: " #member "." #key " is not what MSG_FIELD_MAP says");              \
    static_assert(_Generic(((struct msg *)0)->u.member.has_##key, bool : 1, default : 0),          \
                  "struct msg: " #member ".has_" #key " is missing");
MSG_FIELD_MAP(X)
#undef X

static enum rr_err fault_set(struct msg_fault *fault, const char *field, enum rr_err err)
{
    fault->field = field;
    return err;
}

/* A value of the right type within the row's bounds goes to its place in *m. */
static enum rr_err value_store(const struct field *f, const struct unpack_value *v, void *place)
{
    int64_t user = 0;

    switch (f->type) {
    case FIELD_STR:
        if (v->type != UNPACK_STR || (int64_t)v->as.s.len < f->min ||
            (int64_t)v->as.s.len > f->max || !unpack_text_ok(v->as.s))
            return RR_BAD_REQUEST;
        memcpy(place, &v->as.s, sizeof(v->as.s));
        return RR_OK;
    case FIELD_INT:
        if (v->type != UNPACK_INT || v->as.i < f->min || v->as.i > f->max)
            return RR_BAD_REQUEST;
        memcpy(place, &v->as.i, sizeof(v->as.i));
        return RR_OK;
    case FIELD_BOOL:
        if (v->type != UNPACK_BOOL)
            return RR_BAD_REQUEST;
        memcpy(place, &v->as.b, sizeof(v->as.b));
        return RR_OK;
    case FIELD_USER:
        if (v->type != UNPACK_STR || unpack_user_id(v->as.s, &user))
            return RR_BAD_REQUEST;
        memcpy(place, &user, sizeof(user));
        return RR_OK;
    }
    return RR_BAD_REQUEST;
}

/* nil counts as missing: it is what JavaScript's encoders make of undefined. */
static enum rr_err field_decode(const struct field *f, const struct unpack_value *body,
                                struct msg *m)
{
    struct unpack_value v;
    const bool yes = true;
    enum rr_err err = unpack_get(body, f->key, &v);

    if (err == RR_NOT_FOUND || (!err && v.type == UNPACK_NIL))
        return f->need == FIELD_REQUIRED ? RR_BAD_REQUEST : RR_OK;
    if (!err)
        err = value_store(f, &v, (char *)m + f->value_at);
    if (err)
        return RR_BAD_REQUEST;
    memcpy((char *)m + f->has_at, &yes, sizeof(yes));
    return RR_OK;
}

static bool op_from_client(int64_t op)
{
    switch (op) {
#define X(name, number, dir, doc)                                                                  \
    case number: return MSG_IS_##dir;
        MSG_MAP(X)
#undef X
    default: return false;
    }
}

/* Splits [op, id, body]; the id is read before the op so that even a bad op can be answered. */
static enum rr_err envelope_decode(struct rr_slice frame, struct unpack_value *op,
                                   struct unpack_value *body, struct msg_fault *fault)
{
    struct unpack_value top;
    struct unpack_value id;
    enum rr_err op_err = RR_OK;

    if (frame.len > RR_VIEWER_MESSAGE_MAX_BYTES || unpack_scan(frame, RR_DEPTH_MAX) ||
        unpack_next(&frame, &top) || top.type != UNPACK_ARRAY || top.as.n != 3)
        return fault_set(fault, "frame", RR_MALFORMED);
    op_err = unpack_next(&top.items, op);
    if (unpack_next(&top.items, &id) || id.type != UNPACK_INT || id.as.i < 0 ||
        id.as.i > UINT32_MAX)
        return fault_set(fault, "id", RR_MALFORMED);
    fault->id = (uint32_t)id.as.i;
    if (op_err || op->type != UNPACK_INT)
        return fault_set(fault, "op", RR_MALFORMED);
    if (unpack_next(&top.items, body) || unpack_map_unique(body))
        return fault_set(fault, "body", RR_MALFORMED);
    return RR_OK;
}

enum rr_err msg_decode(struct rr_slice frame, struct msg *m, struct msg_fault *fault)
{
    struct unpack_value op;
    struct unpack_value body;
    enum rr_err err = RR_OK;

    memset(m, 0, sizeof(*m));
    *fault = (struct msg_fault){.id = 0, .field = NULL};
    err = envelope_decode(frame, &op, &body, fault);
    if (err)
        return err;
    if (!op_from_client(op.as.i))
        return fault_set(fault, "op", RR_BAD_REQUEST);
    m->op = (enum msg_op)op.as.i;
    m->id = fault->id;
    for (size_t i = 0; i < RR_COUNTOF(fields); i++) {
        if (fields[i].op == m->op && field_decode(&fields[i], &body, m))
            return fault_set(fault, fields[i].key, RR_BAD_REQUEST);
    }
    return RR_OK;
}
