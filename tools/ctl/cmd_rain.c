/* redrainctl rain …: the life of a rain, through the admin API. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "protocol/limits.h"
#include "rain/rain.h"

struct rain_args {
    const char *room;
    const char *sender;
    const char *total;
    const char *count;
    const char *split;
    const char *limit;
    const char *shards;
    const char *lo;
    const char *hi;
    const char *countdown;
    const char *duration;
    const char *add;
    const char *text;
    const char *biz_id;
    const char *kind;
    const char *users;
    const char *level;
    const char *new_days;
    const char *start_at;
    const char *expire_at;
    const char *anchor;
    bool random;
};

/* A number that was given; the server judges it. */
static int put_number(json_t *body, const char *key, const char *option, const char *text)
{
    int64_t v;

    if (!text)
        return CTL_OK;
    int rc = ctl_number(option, text, INT64_MIN, INT64_MAX, &v);
    if (rc == CTL_OK && json_object_set_new(body, key, json_integer(v)) != 0)
        rc = ctl_fail("out of memory");
    return rc;
}

static int put_text(json_t *body, const char *key, const char *option, const char *text)
{
    if (text && json_object_set_new(body, key, json_string(text)) != 0)
        return ctl_usage_error("%s must be text in UTF-8", option);
    return CTL_OK;
}

static int create(const struct ctl *ctl, const struct rain_args *a)
{
    json_t *body = json_object();
    json_t *answer = NULL;
    char biz_id[RR_CODE_LEN + 1];
    int rc = a->room ? ctl_user(a->sender) : ctl_usage_error("--room is missing");

    if (rc == CTL_OK && !a->random && (!a->total || (!a->count && !a->kind)))
        rc = ctl_usage_error("--total and --count are needed");
    if (rc == CTL_OK && a->random && json_object_set_new(body, "random", json_true()) != 0)
        rc = ctl_fail("out of memory");
    rain_code_new(biz_id); /* unique to this call when the caller names none */
    const struct {
        const char *key, *option, *text;
    } numbers[] = {{"total", "--total", a->total},
                   {"count", "--count", a->count},
                   {"limit", "--limit", a->limit},
                   {"shards", "--shards", a->shards},
                   {"lo", "--lo", a->lo},
                   {"hi", "--hi", a->hi},
                   {"duration_ms", "--duration-ms", a->duration},
                   {"level", "--level", a->level},
                   {"new_days", "--new-days", a->new_days},
                   {"start_at", "--start-at", a->start_at},
                   {"expire_at", "--expire-at", a->expire_at}},
      texts[] = {
          {"room", "--room", a->room},    {"sender", "--sender", a->sender},
          {"split", "--split", a->split}, {"kind", "--kind", a->kind},
          {"users", "--users", a->users}, {"anchor", "--anchor", a->anchor},
          {"text", "--text", a->text},    {"biz_id", "--biz-id", a->biz_id ? a->biz_id : biz_id}};
    for (size_t i = 0; rc == CTL_OK && i < RR_COUNTOF(numbers); i++)
        rc = put_number(body, numbers[i].key, numbers[i].option, numbers[i].text);
    for (size_t i = 0; rc == CTL_OK && i < RR_COUNTOF(texts); i++)
        rc = put_text(body, texts[i].key, texts[i].option, texts[i].text);
    if (rc == CTL_OK)
        rc = ctl_api(ctl, "POST", "/api/v1/rains", body, &answer);
    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(body);
    json_decref(answer);
    return rc;
}

/* A step of an existing rain; GET when verb is NULL. */
static int step(const struct ctl *ctl, const char *code, const char *verb,
                const struct rain_args *a)
{
    json_t *body = json_object();
    json_t *answer = NULL;
    char path[120];
    int rc = CTL_OK;

    if (!rain_code_valid(rr_slice_str(code)))
        rc = ctl_usage_error("\"%s\" is not the code of a rain (%d letters, digits, _ or -)", code,
                             RR_CODE_LEN);
    if (rc == CTL_OK)
        rc = put_number(body, "countdown_ms", "--countdown-ms", a->countdown);
    if (rc == CTL_OK)
        rc = put_number(body, "duration_ms", "--duration-ms", a->duration);
    if (rc == CTL_OK)
        rc = put_number(body, "add_ms", "--add-ms", a->add);
    snprintf(path, sizeof(path), "/api/v1/rains/%.22s%s%s", code, verb ? "/" : "",
             verb ? verb : "");
    if (rc == CTL_OK)
        rc = ctl_api(ctl, verb ? "POST" : "GET", path, verb ? body : NULL, &answer);
    if (rc == CTL_OK)
        ctl_print(ctl, answer);
    json_decref(body);
    json_decref(answer);
    return rc;
}

static void print_row(const json_t *r)
{
    const char *code = json_string_value(json_object_get(r, "code"));
    const char *room = json_string_value(json_object_get(r, "room"));
    const char *status = json_string_value(json_object_get(r, "status"));

    printf("%-22s  %-16s %-9s %12" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT
           " %12" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT "\n",
           code ? code : "?", room ? room : "", status ? status : "?",
           json_integer_value(json_object_get(r, "total")),
           json_integer_value(json_object_get(r, "count")),
           json_integer_value(json_object_get(r, "settled_fen")),
           json_integer_value(json_object_get(r, "refunded_fen")));
}

static int list(const struct ctl *ctl, const struct rain_args *a)
{
    char path[120] = "/api/v1/rains";
    json_t *answer = NULL;
    const json_t *item;
    size_t i;

    if (a->room && !rain_room_id_valid(rr_slice_str(a->room)))
        return ctl_usage_error("--room: 1 to %d of A-Z a-z 0-9 _ -", RR_ROOM_ID_MAX);
    if (a->room)
        snprintf(path, sizeof(path), "/api/v1/rains?room=%s", a->room);
    int rc = ctl_api(ctl, "GET", path, NULL, &answer);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json) {
        ctl_print_json(answer);
    } else {
        const json_t *rains = json_object_get(answer, "rains");
        printf("%-22s  %-16s %-9s %12s %8s %12s %12s\n", "code", "room", "status", "total", "count",
               "settled", "refunded");
        json_array_foreach((json_t *)rains, i, item) print_row(item);
    }
    json_decref(answer);
    return CTL_OK;
}

static void print_grant(const json_t *g)
{
    const char *user = json_string_value(json_object_get(g, "user"));

    printf("%-20s %5" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT " %4" JSON_INTEGER_FORMAT
           " %12" JSON_INTEGER_FORMAT " %s\n",
           user ? user : "-", json_integer_value(json_object_get(g, "shard")),
           json_integer_value(json_object_get(g, "no")),
           json_integer_value(json_object_get(g, "seq")),
           json_integer_value(json_object_get(g, "amount")),
           json_string_value(json_object_get(g, "state")));
}

/* All pages, each printed before the next is asked for. */
static int grants(const struct ctl *ctl, const char *code)
{
    char path[160];
    int rc = CTL_OK;

    if (!rain_code_valid(rr_slice_str(code)))
        return ctl_usage_error("\"%s\" is not the code of a rain", code);
    snprintf(path, sizeof(path), "/api/v1/rains/%.22s/grants?limit=500", code);
    if (!ctl->json)
        printf("%-20s %5s %7s %4s %12s %s\n", "user", "shard", "no", "seq", "fen", "state");
    while (path[0]) {
        json_t *answer = NULL;
        const json_t *g = NULL;
        const json_t *next = NULL;
        size_t i = 0;

        rc = ctl_api(ctl, "GET", path, NULL, &answer);
        if (rc != CTL_OK)
            return rc;
        json_array_foreach(json_object_get(answer, "grants"), i, g)
        {
            if (ctl->json)
                ctl_print_json(g);
            else
                print_grant(g);
        }
        next = json_object_get(answer, "next");
        path[0] = 0;
        if (json_is_object(next))
            snprintf(path, sizeof(path),
                     "/api/v1/rains/%.22s/grants?limit=500&after_shard=%" JSON_INTEGER_FORMAT
                     "&after_no=%" JSON_INTEGER_FORMAT,
                     code, json_integer_value(json_object_get(next, "after_shard")),
                     json_integer_value(json_object_get(next, "after_no")));
        json_decref(answer);
    }
    return rc;
}

static int run(const struct ctl *ctl, const char *const *words, size_t n, const struct rain_args *a)
{
    static const char *const verbs[] = {"prepare", "start", "extend", "close", "cancel"};

    if (n == 1 && !strcmp(words[0], "create"))
        return create(ctl, a);
    if (n == 1 && !strcmp(words[0], "list"))
        return list(ctl, a);
    if (n == 2 && !strcmp(words[0], "grants"))
        return grants(ctl, words[1]);
    if (n == 2 && !strcmp(words[0], "show"))
        return step(ctl, words[1], NULL, a);
    for (size_t i = 0; n == 2 && i < RR_COUNTOF(verbs); i++) {
        if (!strcmp(words[0], verbs[i]))
            return step(ctl, words[1], verbs[i], a);
    }
    return ctl_usage_error(
        "rain create …, rain list, or rain prepare|start|extend|close|cancel|show "
        "CODE (--help says more)");
}

int cmd_rain(struct ctl *ctl)
{
    struct rain_args a = {0};
    const char *words[2] = {NULL, NULL};
    const struct ctl_option options[] = {
        {"--room", &a.room, NULL},
        {"--sender", &a.sender, NULL},
        {"--total", &a.total, NULL},
        {"--count", &a.count, NULL},
        {"--split", &a.split, NULL},
        {"--limit", &a.limit, NULL},
        {"--shards", &a.shards, NULL},
        {"--lo", &a.lo, NULL},
        {"--hi", &a.hi, NULL},
        {"--countdown-ms", &a.countdown, NULL},
        {"--duration-ms", &a.duration, NULL},
        {"--add-ms", &a.add, NULL},
        {"--text", &a.text, NULL},
        {"--biz-id", &a.biz_id, NULL},
        {"--kind", &a.kind, NULL},
        {"--users", &a.users, NULL},
        {"--level", &a.level, NULL},
        {"--new-days", &a.new_days, NULL},
        {"--start-at", &a.start_at, NULL},
        {"--expire-at", &a.expire_at, NULL},
        {"--anchor", &a.anchor, NULL},
        {"--random", NULL, &a.random},
    };
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), words, RR_COUNTOF(words), &n);

    return rc == CTL_OK ? run(ctl, words, n, &a) : rc;
}
