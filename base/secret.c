#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum rr_err refuse(const char *file, const char *why, char *message, size_t cap)
{
    snprintf(message, cap, "%s: %s", file, why);
    return RR_CONFIG;
}

enum rr_err rr_secret_read(const char *file, char out[RR_SECRET_MAX], char *message, size_t cap)
{
    struct stat st;
    ssize_t n = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    out[0] = 0;
    if (fd < 0)
        return refuse(file, strerror(errno), message, cap);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return refuse(file, "is not a regular file", message, cap);
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        close(fd);
        return refuse(file, "its mode lets others at the secret: chmod 600 it", message, cap);
    }
    n = read(fd, out, RR_SECRET_MAX);
    close(fd);
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    if (n <= 0 || n >= RR_SECRET_MAX || memchr(out, 0, (size_t)n) || memchr(out, '\n', (size_t)n)) {
        explicit_bzero(out, RR_SECRET_MAX);
        return refuse(file, "must hold one line, and not a long one", message, cap);
    }
    out[n] = 0;
    return RR_OK;
}

enum rr_err rr_kafka_security(const struct rr_conf *c, rr_property_fn set, void *arg, char *message,
                              size_t cap)
{
    const char *protocol = c->kafka_security_protocol;
    char password[RR_SECRET_MAX];
    enum rr_err err = RR_OK;

    if (strcmp(protocol, "plaintext") == 0)
        return RR_OK;
    err = set(arg, "security.protocol", protocol);
    if (!err && c->kafka_tls_ca_file[0])
        err = set(arg, "ssl.ca.location", c->kafka_tls_ca_file);
    /* What librdkafka does by itself only from 2.0 on. */
    if (!err && strstr(protocol, "ssl"))
        err = set(arg, "ssl.endpoint.identification.algorithm", "https");
    if (err || strncmp(protocol, "sasl_", 5) != 0)
        return err;
    err = rr_secret_read(c->kafka_sasl_password_file, password, message, cap);
    if (!err)
        err = set(arg, "sasl.mechanism", c->kafka_sasl_mechanism);
    if (!err)
        err = set(arg, "sasl.username", c->kafka_sasl_username);
    if (!err)
        err = set(arg, "sasl.password", password);
    explicit_bzero(password, sizeof(password));
    return err;
}
