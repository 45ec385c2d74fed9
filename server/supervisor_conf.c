/* supervisor_conf.c - what the children are configured with, and when that changes; see supervisor_private.h. */
#include "supervisor_private.h"

#include "base/alloc.h"
#include "base/log.h"
#include "conf_check.h"
#include "conf_share.h"
#include "notify.h"
#include "tls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void supervisor__conf_gauges(struct supervisor *s)
{
    struct rr_metrics *m = &s->metrics.slots[s->n - 1];

    rr_metric_set(&m->config_reload_success, s->conf_good);
    rr_metric_set(&m->config_last_reload_timestamp_seconds, s->conf_taken_s);
    rr_metric_set(&m->tls_certificate_expiry_timestamp_seconds, s->tls_expiry_s);
}

/* When the certificate expires; it was checked before, so what fails now is only the metric. */
static int64_t expiry_of(const struct rr_conf *c)
{
    struct tls *t = NULL;
    char message[512];
    int64_t at_s = 0;

    if (tls_load(&t, c, message, sizeof(message)) != RR_OK || !t)
        return 0;
    at_s = tls_expiry_s(t);
    if (at_s < rr_wall_ms(rr_clock_system()) / 1000)
        log_warn("tls_expired", "the certificate in %s has expired", c->server_tls_cert_file);
    tls_free(t);
    return at_s;
}

enum rr_err supervisor__conf_publish(struct supervisor *s)
{
    enum rr_err err = conf_share_write(s->conf_fd, s->conf);

    s->conf_good = !err;
    if (!err)
        s->conf_taken_s = rr_wall_ms(rr_clock_system()) / 1000;
    s->tls_expiry_s = expiry_of(s->conf);
    supervisor__conf_gauges(s);
    return err;
}

static void conf_reload(struct supervisor *s)
{
    struct rr_conf fresh;

    if (rr_conf_reread(s->conf, &fresh, server_conf_check) != RR_OK) {
        rr_metric_add(&s->metrics.slots[s->n - 1].config_refused_total, 1);
        s->conf_good = false;
        supervisor__conf_gauges(s);
        return;
    }
    if (tls_wanted(s->conf) != tls_wanted(&fresh)) {
        log_notice("config_waits", "needs a restart: TLS on or off");
        free(fresh.server_tls_cert_file);
        free(fresh.server_tls_key_file);
        fresh.server_tls_cert_file = rr_xstrdup(s->conf->server_tls_cert_file);
        fresh.server_tls_key_file = rr_xstrdup(s->conf->server_tls_key_file);
    }
    rr_conf_take(s->conf, &fresh);
    rr_conf_fini(&fresh);
    rr_log_level_set(s->conf->log_level);
    if (supervisor__conf_publish(s) != RR_OK) {
        log_error("config_share", "the children cannot be told: %s", strerror(errno));
        return;
    }
    log_notice("config_read", "%u workers are told", supervisor__workers_alive(s));
    supervisor__signal_children(s, SIGHUP);
}

void supervisor__reload(struct supervisor *s)
{
    notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)supervisor__now_us());
    conf_reload(s);
    notify("READY=1");
}
