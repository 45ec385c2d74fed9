#include "conf_check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tls.h"
#include "token/token.h"

/* As text: what a name resolves to may change. */
static bool host_is_loopback(const char *host)
{
    struct in_addr v4;

    return strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

enum rr_err server_conf_check(const struct rr_conf *c, char *message, size_t cap)
{
    struct token_keys *keys = NULL;
    struct tls *tls = NULL;
    enum rr_err err = RR_OK;

    if (strcmp(c->admin_host, "127.0.0.1") != 0 && strcmp(c->admin_host, "::1") != 0) {
        snprintf(message, cap, "admin.host must be 127.0.0.1 or ::1, not %s", c->admin_host);
        return RR_CONFIG;
    }
    if (c->server_selftest_echo && !host_is_loopback(c->server_host)) {
        snprintf(
            message, cap,
            "server.selftest_echo is for tests on this machine: server.host must be a loopback "
            "address, not %s",
            c->server_host);
        return RR_CONFIG;
    }
    if (!c->token_keys_file[0]) {
        snprintf(message, cap,
                 "token.keys_file is required: without a key nobody could be told apart from "
                 "anybody else");
        return RR_CONFIG;
    }
    err = token_keys_load(c->token_keys_file, &keys, message, cap);
    token_keys_free(keys);
    if (!err)
        err = tls_load(&tls, c, message, cap);
    tls_free(tls);
    return err;
}
