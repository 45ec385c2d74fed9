/* redrainctl workers, drain: the server's worker processes. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

int cmd_workers(struct ctl *ctl)
{
    json_t *answer = NULL;
    const json_t *w;
    size_t i;
    int rc = ctl->argc ? ctl_usage_error("workers takes no arguments")
                       : ctl_api(ctl, "GET", "/api/v1/workers", NULL, &answer);

    if (rc != CTL_OK)
        return rc;
    if (ctl->json) {
        ctl_print_json(answer);
    } else {
        printf("%6s %8s %11s %8s %5s  %s\n", "worker", "pid", "connections", "members", "shed",
               "state");
        json_array_foreach(json_object_get(answer, "workers"), i, w)
        {
            printf("%6lld %8lld %11lld %8lld %5lld  %s\n", number_of(w, "slot"),
                   number_of(w, "pid"), number_of(w, "connections"), number_of(w, "members"),
                   number_of(w, "shed"),
                   number_of(w, "pid") == 0                       ? "starting"
                   : json_is_true(json_object_get(w, "draining")) ? "leaving"
                                                                  : "serving");
        }
    }
    json_decref(answer);
    return CTL_OK;
}

int cmd_drain(struct ctl *ctl)
{
    json_t *answer = NULL;
    json_t *body = NULL;
    char path[64];
    const char *slot = ctl->argc == 1 ? ctl->argv[0] : "";
    int rc = CTL_OK;

    if (strlen(slot) == 0 || strlen(slot) > 3 || strspn(slot, "0123456789") != strlen(slot))
        return ctl_usage_error("drain takes the number of a worker (redrainctl workers)");
    snprintf(path, sizeof(path), "/api/v1/workers/%s/drain", slot);
    body = json_object();
    rc = ctl_api(ctl, "POST", path, body, &answer);
    json_decref(body);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json)
        ctl_print_json(answer);
    else
        printf("worker %s (pid %lld) leaves; %lld connections move\n", slot,
               number_of(answer, "pid"), number_of(answer, "connections"));
    json_decref(answer);
    return CTL_OK;
}
