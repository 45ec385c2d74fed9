/* What a token says, checked claim by claim. Every claim has one type; a wrong type is a refusal,
 * never a guess. */
#include "token_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* The year 9999: sums with a leeway cannot overflow. */
#define TIME_MAX_S INT64_C(253402300799)

static const char *const role_names[] = {"viewer", "anchor", "guest"};

const char *token_role_name(enum token_role role)
{
    return role_names[role];
}

bool token_role_parse(const char *name, enum token_role *out)
{
    for (size_t i = 0; name && i < RR_COUNTOF(role_names); i++) {
        if (!strcmp(name, role_names[i])) {
            *out = (enum token_role)i;
            return true;
        }
    }
    return false;
}

bool token_room_id_valid(const char *room_id)
{
    size_t len = strlen(room_id);

    return len > 0 && len <= RR_ROOM_ID_MAX &&
           strspn(room_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
               len;
}

bool token_name_valid(const char *name, size_t len)
{
    if (len > RR_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        /* U+0080…U+009F, the other control characters */
        if (c == 0xc2 && i + 1 < len && (unsigned char)name[i + 1] < 0xa0)
            return false;
    }
    return true;
}

/* Decimal without sign or leading zero, 1…INT64_MAX. */
static bool parse_user_id(const char *text, int64_t *out)
{
    int64_t v = 0;

    if (!text || text[0] < '1' || text[0] > '9')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, *text - '0', &v))
            return false;
    }
    *out = v;
    return true;
}

/* Absent: true and *out untouched. */
static bool read_time(const json_t *payload, const char *key, int64_t *out)
{
    const json_t *v = json_object_get(payload, key);

    if (!v)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > TIME_MAX_S)
        return false;
    *out = json_integer_value(v);
    return true;
}

/* Absent: true and 0. */
static bool read_standing(const json_t *payload, struct token_claims *out)
{
    const json_t *level = json_object_get(payload, "level");

    if (level && (!json_is_integer(level) || json_integer_value(level) < 0 ||
                  json_integer_value(level) > INT32_MAX))
        return false;
    out->level = json_integer_value(level);
    return read_time(payload, "since", &out->since_s);
}

static bool audience_good(const json_t *aud, const char *wanted)
{
    size_t i;
    const json_t *item;

    if (json_is_string(aud))
        return !strcmp(json_string_value(aud), wanted);
    json_array_foreach((json_t *)aud, i, item)
    {
        if (json_is_string(item) && !strcmp(json_string_value(item), wanted))
            return true;
    }
    return false;
}

static bool read_rooms(const json_t *rooms, struct token_claims *out)
{
    struct rr_buf list = {0};
    const json_t *item;
    size_t i;

    if (json_is_string(rooms)) {
        out->all_rooms = !strcmp(json_string_value(rooms), "*");
        return out->all_rooms;
    }
    if (!json_is_array(rooms))
        return false;
    rr_buf_puts(&list, ",");
    json_array_foreach((json_t *)rooms, i, item)
    {
        if (!json_is_string(item) || !token_room_id_valid(json_string_value(item))) {
            rr_buf_fini(&list);
            return false;
        }
        rr_buf_printf(&list, "%s,", json_string_value(item));
    }
    if (!list.failed)
        out->rooms = rr_xstrdup(list.p);
    rr_buf_fini(&list);
    return out->rooms != NULL;
}

static bool read_identity(const json_t *payload, struct token_claims *out)
{
    const json_t *name = json_object_get(payload, "name");
    const json_t *may_send = json_object_get(payload, "may_send");

    if (!parse_user_id(json_string_value(json_object_get(payload, "sub")), &out->user_id) ||
        !token_role_parse(json_string_value(json_object_get(payload, "role")), &out->role))
        return false;
    if (name) {
        if (!json_is_string(name) ||
            !token_name_valid(json_string_value(name), json_string_length(name)))
            return false;
        memcpy(out->name, json_string_value(name), json_string_length(name) + 1);
    }
    if (may_send && !json_is_boolean(may_send))
        return false;
    out->may_send = json_is_true(may_send);
    if (!read_standing(payload, out))
        return false;
    return read_rooms(json_object_get(payload, "rooms"), out);
}

enum rr_err token_claims_read(const json_t *payload, const struct token_rules *rules,
                              struct token_claims *out)
{
    int64_t not_before = 0;
    int64_t issued = 0;

    if (!json_object_get(payload, "exp") || !read_time(payload, "exp", &out->exp_s) ||
        !read_time(payload, "nbf", &not_before) || !read_time(payload, "iat", &issued))
        return RR_UNAUTHORIZED;
    if (not_before > rules->now_s + rules->leeway_s || issued > rules->now_s + rules->leeway_s)
        return RR_UNAUTHORIZED;
    if (!audience_good(json_object_get(payload, "aud"), rules->audience))
        return RR_UNAUTHORIZED;
    if (!read_identity(payload, out))
        return RR_UNAUTHORIZED;
    return rules->now_s >= out->exp_s + rules->leeway_s ? RR_ENDED : RR_OK;
}

void token_claims_fini(struct token_claims *c)
{
    free(c->rooms);
    memset(c, 0, sizeof(*c));
}

bool token_allows_room(const struct token_claims *c, struct rr_slice room_id)
{
    char wanted[RR_ROOM_ID_MAX + 3];
    char id[RR_ROOM_ID_MAX + 1];

    if (!rr_slice_copy(room_id, id, sizeof(id)) || !token_room_id_valid(id))
        return false;
    if (c->all_rooms)
        return true;
    wanted[0] = ',';
    memcpy(wanted + 1, id, room_id.len);
    memcpy(wanted + 1 + room_id.len, ",", 2);
    return c->rooms && strstr(c->rooms, wanted);
}
