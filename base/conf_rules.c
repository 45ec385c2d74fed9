/* Rules over more than one option, and passwords that come from files of their own. */
#include "conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/secret.h"

static enum rr_err wrong(struct conf_message *m, const char *text)
{
    struct conf_origin at = {.name = "configuration"};

    conf_complain(m, &at, "%s", text);
    return RR_CONFIG;
}

static void percent_encode(const char *text, struct rr_buf *out)
{
    for (; *text; text++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~", *text))
            rr_buf_append(out, text, 1);
        else
            rr_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

/* scheme://[user@]host… becomes scheme://[user]:password@host… */
static enum rr_err put_password(char **url, const char *file, struct conf_message *m)
{
    char password[RR_SECRET_MAX];
    char why[400];
    struct rr_buf b = {0};
    const char *host = strstr(*url, "://");
    const char *at = NULL;

    if (conf_has_password(*url))
        return wrong(m, "a password is given twice: in the url and by a password_file");
    if (!host)
        return wrong(m, "a password_file needs a url to belong to");
    if (rr_secret_read(file, password, why, sizeof(why)) != RR_OK)
        return wrong(m, why);
    host += 3;
    at = strchr(host, '@');
    rr_buf_append(&b, *url, (size_t)((at ? at : host) - *url));
    rr_buf_puts(&b, ":");
    percent_encode(password, &b);
    rr_buf_puts(&b, "@");
    rr_buf_puts(&b, at ? at + 1 : host);
    explicit_bzero(password, sizeof(password));
    free(*url);
    *url = b.p;
    return RR_OK;
}

enum rr_err conf_rules(struct rr_conf *c, struct conf_message *m)
{
    enum rr_err err = RR_OK;

    if (c->redis_password_file[0])
        err = put_password(&c->redis_url, c->redis_password_file, m);
    if (!err && c->mysql_password_file[0])
        err = put_password(&c->mysql_url, c->mysql_password_file, m);
    if (err)
        return err;
    if (strcmp(c->server_proxy_protocol, "v2") == 0 && !c->server_trusted_proxies[0])
        return wrong(m, "server.proxy_protocol = v2 needs server.trusted_proxies");
    if (strcmp(c->mysql_tls, "verify") == 0 && !c->mysql_tls_ca_file[0])
        return wrong(m, "mysql.tls = verify needs mysql.tls_ca_file");
    if (strncmp(c->kafka_security_protocol, "sasl_", 5) == 0 &&
        (!c->kafka_sasl_username[0] || !c->kafka_sasl_password_file[0]))
        return wrong(m, "kafka.security_protocol with sasl needs kafka.sasl_username and "
                        "kafka.sasl_password_file");
    return RR_OK;
}
