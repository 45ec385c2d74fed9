/* main.c - redrain-server: one program, three roles. Started by hand it is the supervisor, which
 * starts it again as worker and admin child with their sockets. */
#include "admin.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/privileges.h"
#include "conf_check.h"
#include "conf_share.h"
#include "supervisor.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "redrain-server: WebSocket rooms with red-packet rains\n"
    "usage: redrain-server --config FILE [--set section.key=value]... [--selftest-echo]\n"
    "       redrain-server --check-config|--print-config|--print-default-config|--version|--help\n";

static int env_int(const char *name)
{
    const char *v = getenv(name);

    return v ? atoi(v) : -1;
}

static int worker_child(struct rr_conf *conf, int slot, int listen_fd, struct rr_metrics *metrics)
{
    struct limit_map limits;
    int rc = 1;

    if (limit_map_attach(env_int(CHILD_LIMITS_FD_ENV), conf, &limits) != RR_OK) {
        log_error("child_env", "the limits of another version or configuration");
        return 1;
    }
    rc = worker_main(conf, slot, listen_fd, metrics, &limits);
    limit_map_close(&limits);
    return rc;
}

static int run_child(struct rr_conf *conf, const char *role)
{
    struct rr_metrics_mapping mapping;
    uint32_t slots = (uint32_t)conf->server_workers + 1;
    int slot = env_int(CHILD_SLOT_ENV);
    int listen_fd = env_int(CHILD_LISTEN_FD_ENV);
    char src[32];
    int rc = 1;

    snprintf(src, sizeof(src), "%s/%d", role, slot);
    rr_log_init(src, (enum rr_log_level)rr_log_level_parse(conf->log_level));
    if (slot < 0 || slot >= (int)slots || listen_fd < 0 ||
        rr_metrics_mapping_attach(env_int(CHILD_METRICS_FD_ENV), slots, &mapping) != RR_OK) {
        log_error("child_env", "not started by a supervisor of this version");
        return 1;
    }
    if (strcmp(role, "worker") == 0)
        rc = worker_child(conf, slot, listen_fd, &mapping.slots[slot]);
    else
        rc = admin_main(conf, listen_fd, &mapping, (uint32_t)slot);
    rr_metrics_mapping_close(&mapping);
    return rc;
}

static int child_main(const char *role)
{
    struct rr_conf conf;
    char message[1024];
    int rc = 1;

    if (conf_share_read(env_int(CHILD_CONF_FD_ENV), &conf, message, sizeof(message)) != RR_OK) {
        log_error("child_env", "%s", message);
        return 1;
    }
    rc = run_child(&conf, role);
    rr_conf_fini(&conf);
    return rc;
}

int main(int argc, char **argv)
{
    struct rr_conf conf;
    const char *role = getenv(CHILD_ROLE_ENV);
    char message[1024];
    int next = 0;
    int rc = 2;

    signal(SIGPIPE, SIG_IGN);
    if (role)
        return child_main(role);
    next = rr_conf_main_checked(argc, argv, &conf, usage, server_conf_check);
    if (next < argc) {
        fprintf(stderr, "redrain-server: unknown argument %s\n%s", argv[next], usage);
    } else if (server_conf_check(&conf, message, sizeof(message)) != RR_OK) {
        fprintf(stderr, "redrain-server: %s\n", message);
    } else {
        rr_log_init("supervisor", (enum rr_log_level)rr_log_level_parse(conf.log_level));
        rr_privileges_drop();
        rc = supervisor_main(&conf, argc, argv);
    }
    rr_conf_fini(&conf);
    return rc;
}
