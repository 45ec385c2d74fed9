/* Passwords in files, and what of a configuration belongs together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

static char path[] = "/tmp/redrain-secret-XXXXXX";

static void put(const char *text, size_t len, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_secret_is_one_line_of_its_owner(void **state)
{
    char out[RR_SECRET_MAX];
    char message[300];
    char longest[RR_SECRET_MAX + 10];
    const mode_t open_modes[] = {0640, 0604, 0660, 0620, 0610, 0644, 0601};

    (void)state;
    put("s e:c/r@t\r\n", 11, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_OK);
    assert_string_equal(out, "s e:c/r@t");
    put("x", 1, 0400);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_OK);
    assert_string_equal(out, "x");
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        put("secret", 6, open_modes[i]);
        assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
        assert_non_null(strstr(message, "chmod 600"));
        assert_string_equal(out, "");
    }
    memset(longest, 'x', sizeof(longest));
    put("", 0, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
    put("\n\n", 2, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
    put("a\nb\n", 4, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
    put("a\0b", 3, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
    put(longest, sizeof(longest), 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_CONFIG);
    assert_null(strstr(message, "xx"));
    put(longest, RR_SECRET_MAX - 1, 0600);
    assert_int_equal(rr_secret_read(path, out, message, sizeof(message)), RR_OK);
    assert_int_equal(strlen(out), RR_SECRET_MAX - 1);
    assert_int_equal(rr_secret_read("/nonexistent", out, message, sizeof(message)), RR_CONFIG);
    assert_int_equal(rr_secret_read("/tmp", out, message, sizeof(message)), RR_CONFIG);
}

static enum rr_err load(struct rr_conf *c, const char *const *flags, size_t n, char message[400])
{
    return rr_conf_load(c, NULL, flags, n, message, 400);
}

static void a_password_file_fills_the_url(void **state)
{
    static const struct {
        const char *url;
        const char *filled;
    } rows[] = {
        {"redis.url=redis://h:1/2", "redis://:p%3Aw%2F%40%25@h:1/2"},
        {"redis.url=redis://user@h:1/2", "redis://user:p%3Aw%2F%40%25@h:1/2"},
    };
    char file[100];
    char message[400];
    struct rr_conf c;

    (void)state;
    put("p:w/@%\n", 7, 0600);
    snprintf(file, sizeof(file), "redis.password_file=%s", path);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const flags[] = {rows[i].url, file};

        assert_int_equal(load(&c, flags, 2, message), RR_OK);
        assert_string_equal(c.redis_url, rows[i].filled);
        rr_conf_fini(&c);
    }
    const char *const twice[] = {"redis.url=redis://u:x@h:1/2", file};
    assert_int_equal(load(&c, twice, 2, message), RR_CONFIG);
    assert_non_null(strstr(message, "given twice"));
    assert_int_equal(chmod(path, 0644), 0);
    const char *const open_to_all[] = {rows[0].url, file};
    assert_int_equal(load(&c, open_to_all, 2, message), RR_CONFIG);
    assert_non_null(strstr(message, "chmod 600"));
}

static void a_child_gets_the_url_and_not_the_file(void **state)
{
    char file[100];
    char message[400];
    struct rr_conf c;
    struct rr_conf child;
    struct rr_buf packed = {0};

    (void)state;
    put("pw", 2, 0600);
    snprintf(file, sizeof(file), "mysql.password_file=%s", path);
    const char *const flags[] = {"mysql.url=mysql://u@h/d", file};
    assert_int_equal(load(&c, flags, 2, message), RR_OK);
    assert_string_equal(c.mysql_url, "mysql://u:pw@h/d");
    rr_conf_pack(&c, &packed);
    unlink(path);
    assert_int_equal(rr_conf_unpack(&child, packed.p, packed.len, message, sizeof(message)), RR_OK);
    assert_string_equal(child.mysql_url, "mysql://u:pw@h/d");
    rr_buf_fini(&packed);
    rr_buf_clear(&packed);
    rr_conf_print(&child, &packed);
    assert_null(strstr(packed.p, "pw@"));
    rr_buf_fini(&packed);
    rr_conf_fini(&child);
    rr_conf_fini(&c);
}

/* ---- Kafka ---- */

static enum rr_err note_property(void *arg, const char *key, const char *value)
{
    rr_buf_printf(arg, "%s=%s ", key, value);
    return RR_OK;
}

static void kafka_properties(void **state)
{
    char file[100];
    char message[400];
    struct rr_conf c;
    struct rr_buf b = {0};

    (void)state;
    put("pw", 2, 0600);
    snprintf(file, sizeof(file), "kafka.sasl_password_file=%s", path);
    assert_int_equal(load(&c, NULL, 0, message), RR_OK);
    assert_int_equal(rr_kafka_security(&c, note_property, &b, message, sizeof(message)), RR_OK);
    assert_int_equal(b.len, 0);
    rr_conf_fini(&c);

    const char *const all[] = {"kafka.security_protocol=sasl_ssl", "kafka.sasl_username=me", file,
                               "kafka.tls_ca_file=/ca", "kafka.sasl_mechanism=PLAIN"};
    assert_int_equal(load(&c, all, 5, message), RR_OK);
    assert_int_equal(rr_kafka_security(&c, note_property, &b, message, sizeof(message)), RR_OK);
    assert_string_equal(b.p, "security.protocol=sasl_ssl ssl.ca.location=/ca "
                             "ssl.endpoint.identification.algorithm=https sasl.mechanism=PLAIN "
                             "sasl.username=me sasl.password=pw ");
    unlink(path);
    assert_int_equal(rr_kafka_security(&c, note_property, &b, message, sizeof(message)), RR_CONFIG);
    rr_conf_fini(&c);
    rr_buf_fini(&b);
    assert_int_equal(load(&c, all, 1, message), RR_CONFIG);
    assert_non_null(strstr(message, "needs kafka.sasl_username"));
}

static int begin(void **state)
{
    (void)state;
    return close(mkstemp(path));
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_one_line_of_its_owner),
        cmocka_unit_test(a_password_file_fills_the_url),
        cmocka_unit_test(a_child_gets_the_url_and_not_the_file),
        cmocka_unit_test(kafka_properties),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
