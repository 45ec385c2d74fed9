/* redrainctl verify: the invariants of the books, read from MySQL directly: it works with
 * everything else down. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ledger/ledger.h"
#include "rain/rain.h"

static void on_finding(void *arg, const struct ledger_finding *f)
{
    json_t *list = arg;

    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:I, s:s}", "code", f->code, "invariant",
                                    f->invariant, "fen", (json_int_t)f->fen, "text", f->text));
}

static void print_table(const json_t *findings, int64_t unaccounted_fen)
{
    const json_t *f;
    size_t i;

    if (json_array_size(findings))
        printf("%-22s  %-20s %s\n", "rain", "invariant", "finding");
    json_array_foreach((json_t *)findings, i, f)
    {
        const char *code = json_string_value(json_object_get(f, "code"));
        printf("%-22s  %-20s %s\n", code && code[0] ? code : "(all)",
               json_string_value(json_object_get(f, "invariant")),
               json_string_value(json_object_get(f, "text")));
    }
    printf("unaccounted    %" PRId64 " fen\nfindings       %zu\nverdict        %s\n",
           unaccounted_fen, json_array_size(findings),
           json_array_size(findings) || unaccounted_fen ? "NOT CLEAN" : "clean");
}

static int verify(const struct ctl *ctl, struct ledger *ledger, const char *code, bool quick)
{
    json_t *findings = json_array();
    int64_t unaccounted_fen = 0;
    int rc = CTL_OK;

    enum rr_err err = quick ? ledger_verify_quick(ledger, on_finding, findings, &unaccounted_fen)
                            : ledger_verify(ledger, code, on_finding, findings, &unaccounted_fen);
    bool ok = err == RR_OK && json_array_size(findings) == 0 && unaccounted_fen == 0;
    if (err == RR_NOT_FOUND) {
        rc = ctl_fail("NOT_FOUND: no rain has the code %s", code ? code : "");
    } else if (err != RR_OK) {
        rc = ctl_fail("%s: %s", rr_err_name(err), ledger_error(ledger));
    } else if (ctl->json) {
        json_t *o = json_pack("{s:b, s:I, s:O}", "ok", ok, "unaccounted_fen",
                              (json_int_t)unaccounted_fen, "findings", findings);
        ctl_print_json(o);
        json_decref(o);
    } else {
        print_table(findings, unaccounted_fen);
    }
    json_decref(findings);
    return rc != CTL_OK ? rc : ok ? CTL_OK : CTL_FAILED;
}

int cmd_verify(struct ctl *ctl)
{
    bool all = false;
    bool quick = false;
    const char *code = NULL;
    struct ledger *ledger = NULL;
    const struct ctl_option options[] = {{"--all", NULL, &all}, {"--quick", NULL, &quick}};
    size_t n;
    int rc = ctl_options(ctl, options, RR_COUNTOF(options), &code, 1, &n);

    if (rc != CTL_OK)
        return rc;
    if (all + quick + (code != NULL) > 1)
        return ctl_usage_error("verify CODE, or verify --all, or verify --quick");
    if (code && !rain_code_valid(rr_slice_str(code)))
        return ctl_usage_error("\"%s\" is not the code of a rain", code);
    /* whole tables are read: longer than a server's query may take */
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed");
    rc = verify(ctl, ledger, code, quick);
    ledger_destroy(ledger);
    return rc;
}
