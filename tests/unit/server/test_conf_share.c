/* The supervisor's configuration as its children read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf_share.h"

static char message[400];

static void load(struct rr_conf *c, const char *flag)
{
    assert_int_equal(rr_conf_load(c, NULL, &flag, 1, message, sizeof(message)), RR_OK);
}

static void what_was_written_last_is_read(void **state)
{
    struct rr_conf c;
    struct rr_conf got;
    int fd = -1;

    (void)state;
    assert_int_equal(conf_share_create(&fd), RR_OK);
    load(&c, "server.origins=https://a.example");
    assert_int_equal(conf_share_write(fd, &c), RR_OK);
    rr_conf_fini(&c);
    load(&c, "server.port=7");
    assert_int_equal(conf_share_write(fd, &c), RR_OK);
    rr_conf_fini(&c);
    assert_int_equal(conf_share_read(fd, &got, message, sizeof(message)), RR_OK);
    assert_int_equal(got.server_port, 7);
    assert_string_equal(got.server_origins, "");
    rr_conf_fini(&got);
    close(fd);
}

static void nothing_to_read_is_said(void **state)
{
    struct rr_conf got;

    (void)state;
    assert_int_equal(conf_share_read(-1, &got, message, sizeof(message)), RR_CONFIG);
    assert_non_null(strstr(message, "supervisor"));
}

/* Both options change together: who reads while it is written sees both or neither. */
struct writer {
    int fd;
    atomic_bool stop;
    atomic_bool failed;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    struct rr_conf c[2];

    for (int i = 0; i < 2; i++) {
        const char *flags[2] = {
            i ? "server.port=1001" : "server.port=1",
            i ? "server.origins=https://a-much-longer-name.example,https://b.example"
              : "server.origins=https://b.example"};
        if (rr_conf_load(&c[i], NULL, flags, 2, message, sizeof(message)) != RR_OK)
            atomic_store(&w->failed, true);
    }
    for (int i = 0; !atomic_load(&w->stop); i = !i) {
        if (conf_share_write(w->fd, &c[i]) != RR_OK)
            atomic_store(&w->failed, true);
        usleep(50);
    }
    rr_conf_fini(&c[0]);
    rr_conf_fini(&c[1]);
    return NULL;
}

static void a_reader_never_sees_half(void **state)
{
    struct writer w = {.fd = -1};
    struct rr_conf c;
    pthread_t thread;

    (void)state;
    assert_int_equal(conf_share_create(&w.fd), RR_OK);
    load(&c, "server.port=1");
    assert_int_equal(conf_share_write(w.fd, &c), RR_OK);
    rr_conf_fini(&c);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    for (int i = 0; i < 300; i++) {
        struct rr_conf got;
        enum rr_err err = conf_share_read(w.fd, &got, message, sizeof(message));
        bool whole = !err && (got.server_port == 1001) == (strlen(got.server_origins) > 20);

        if (!err)
            rr_conf_fini(&got);
        if (err || !whole)
            atomic_store(&w.failed, true);
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_false(atomic_load(&w.failed));
    close(w.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_last_is_read),
        cmocka_unit_test(nothing_to_read_is_said),
        cmocka_unit_test(a_reader_never_sees_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
