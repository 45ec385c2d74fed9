/* main.c - redrain-server: one program, three roles. Started by hand it is the supervisor, which
 * starts it again as worker and admin child with their sockets. */
#include "admin.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "supervisor.h"
#include "token/token.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "redrain-server: WebSocket rooms with red-packet rains\n"
    "usage: redrain-server --config FILE [--set section.key=value]...\n"
    "       redrain-server --check-config|--print-config|--print-default-config|--version|--help\n";

static int env_int(const char *name)
{
    const char *v = getenv(name);

    return v ? atoi(v) : -1;
}

/* Rules over more than one option, which the table cannot say. */
static int conf_check(const struct rr_conf *c)
{
    struct token_keys *keys = NULL;
    char message[256];

    if (strcmp(c->admin_host, "127.0.0.1") != 0 && strcmp(c->admin_host, "::1") != 0) {
        fprintf(stderr, "redrain-server: admin.host must be 127.0.0.1 or ::1, not %s\n",
                c->admin_host);
        return 1;
    }
    if (!c->token_keys_file[0]) {
        fprintf(stderr,
                "redrain-server: token.keys_file is required: without a key nobody could be "
                "told apart from anybody else\n");
        return 1;
    }
    if (token_keys_load(c->token_keys_file, &keys, message, sizeof(message)) != RR_OK) {
        fprintf(stderr, "redrain-server: %s\n", message);
        return 1;
    }
    token_keys_free(keys);
    return 0;
}

static int child_main(struct rr_conf *conf, const char *role)
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
        rc = worker_main(conf, slot, listen_fd, &mapping.slots[slot]);
    else
        rc = admin_main(conf, listen_fd, &mapping, (uint32_t)slot);
    rr_metrics_mapping_close(&mapping);
    return rc;
}

int main(int argc, char **argv)
{
    struct rr_conf conf;
    const char *role = getenv(CHILD_ROLE_ENV);
    int next = rr_conf_main(argc, argv, &conf, usage);
    int rc = 0;

    if (next < argc) {
        fprintf(stderr, "redrain-server: unknown argument %s\n%s", argv[next], usage);
        rr_conf_fini(&conf);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (rr_log_level_parse(conf.log_level) < 0) {
        fprintf(stderr, "redrain-server: log.level: unknown level %s\n", conf.log_level);
        rc = 2;
    } else if (role) {
        rc = child_main(&conf, role);
    } else if (conf_check(&conf) != 0) {
        rc = 2;
    } else {
        rr_log_init("supervisor", (enum rr_log_level)rr_log_level_parse(conf.log_level));
        rc = supervisor_main(&conf, argc, argv);
    }
    rr_conf_fini(&conf);
    return rc;
}
