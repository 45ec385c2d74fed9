/* redrainctl archive: moves rains that are long over out of the live tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl.h"
#include "ledger/archive.h"
#include "names.h"
#include "settler/topic.h"

#define DAY_MS INT64_C(86400000)
enum { AFTER_RETENTION_DAYS = 7 };

/* The first ms of a day in UTC. */
static int day_read(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    char rest = 0;
    char again[16];

    if (!text || sscanf(text, "%4d-%2d-%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &rest) != 3)
        return ctl_usage_error("--before YYYY-MM-DD");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ms = (int64_t)timegm(&tm) * 1000;
    strftime(again, sizeof(again), "%Y-%m-%d", &tm);
    if (strcmp(again, text) != 0)
        return ctl_usage_error("--before: \"%s\" is no day", text);
    return CTL_OK;
}

static void day_text(int64_t ms, char out[16])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

/* How old a rain must be at least: a record of it may come as long as Kafka keeps it. */
static int min_age(const struct ctl *ctl, int64_t *ms, char *why, size_t cap)
{
    char topic[TOPIC_NAME_MAX];
    char message[512] = "";
    int64_t retention_ms = 0;

    if (ctl->conf.archive_min_age_days > 0) {
        *ms = ctl->conf.archive_min_age_days * DAY_MS;
        snprintf(why, cap, "archive.min_age_days is %" PRId64, ctl->conf.archive_min_age_days);
        return CTL_OK;
    }
    ctl_topic_name(&ctl->conf, topic);
    if (settler_topic_retention(&ctl->conf, topic, &retention_ms, message, sizeof(message)) !=
        RR_OK)
        return ctl_fail("how long Kafka keeps topic %s is not known: %s. Records of an archived "
                        "rain could still come; when you know better, set archive.min_age_days",
                        topic, message);
    if (retention_ms < 0)
        return ctl_fail("Kafka keeps topic %s for ever, so records of any rain could still come. "
                        "Give the topic a retention, or set archive.min_age_days",
                        topic);
    *ms = retention_ms + AFTER_RETENTION_DAYS * DAY_MS;
    snprintf(why, cap, "Kafka keeps records for %.1f days, and %d days more",
             (double)retention_ms / (double)DAY_MS, AFTER_RETENTION_DAYS);
    return CTL_OK;
}

static int check_age(const struct ctl *ctl, int64_t before_ms)
{
    int64_t age_ms = 0;
    int64_t latest_ms = 0;
    char why[200] = "";
    char day[16];
    int rc = min_age(ctl, &age_ms, why, sizeof(why));

    if (rc != CTL_OK)
        return rc;
    latest_ms = rr_wall_ms(rr_clock_system()) - age_ms;
    if (before_ms <= latest_ms)
        return CTL_OK;
    day_text(latest_ms, day);
    return ctl_fail("refused: %s, so nothing that was settled after %s may be moved: "
                    "archive --before %s",
                    why, day, day);
}

struct telling {
    const struct ctl *ctl;
    json_t *kept;
};

static void on_rain(void *arg, const char *code, const char *why)
{
    const struct telling *t = arg;

    if (why)
        json_array_append_new(t->kept, json_pack("{s:s, s:s}", "code", code, "why", why));
    if (!t->ctl->json)
        printf("%s  %s%s\n", code, why ? "stays: " : "moved", why ? why : "");
}

static int archive(const struct ctl *ctl, struct ledger *l, int64_t before_ms, int64_t max_rows)
{
    struct telling t = {.ctl = ctl, .kept = json_array()};
    int64_t days = ctl->conf.archive_audit_days;
    struct archive_opts o = {
        .before_ms = before_ms, .max_rows = max_rows, .tell = on_rain, .arg = &t};
    struct archive_outcome done;
    enum rr_err err = RR_OK;
    int rc = CTL_OK;

    if (days > 0)
        o.audit_before_ms = rr_wall_ms(rr_clock_system()) - days * DAY_MS;
    err = ledger_archive(l, &o, &done);
    if (err) {
        rc = ctl_fail("%s: %s. Run it again: it goes on where it was", rr_err_name(err),
                      ledger_error(l));
    } else if (ctl->json) {
        json_t *out =
            json_pack("{s:I, s:I, s:I, s:I, s:b, s:O}", "moved", (json_int_t)done.moved, "grants",
                      (json_int_t)done.grants, "kept", (json_int_t)done.kept, "pruned",
                      (json_int_t)done.pruned, "more", done.more, "kept_rains", t.kept);

        ctl_print_json(out);
        json_decref(out);
    } else {
        printf("moved          %" PRIu32 " rains, %" PRId64 " grants\nstayed         %" PRIu32
               "\npruned         %" PRId64 " rows of refused creates and the audit trail\n%s",
               done.moved, done.grants, done.kept, done.pruned,
               done.more ? "not done       --max-rows ended it: run it again\n" : "");
    }
    json_decref(t.kept);
    return rc;
}

int cmd_archive(struct ctl *ctl)
{
    const char *before = NULL;
    const char *rows = NULL;
    const struct ctl_option options[] = {{"--before", &before, NULL}, {"--max-rows", &rows, NULL}};
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    struct ledger *ledger = NULL;
    int64_t before_ms = 0;
    int64_t max_rows = 0;
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), NULL, 0, &n);

    if (rc == CTL_OK)
        rc = day_read(before, &before_ms);
    if (rc == CTL_OK && rows)
        rc = ctl_number("--max-rows", rows, 1, INT64_MAX, &max_rows);
    if (rc == CTL_OK)
        rc = check_age(ctl, before_ms);
    if (rc != CTL_OK)
        return rc;
    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed");
    rc = archive(ctl, ledger, before_ms, max_rows);
    ledger_destroy(ledger);
    return rc;
}
