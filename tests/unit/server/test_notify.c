/* sd_notify by hand: what arrives at the service manager's socket. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

static char dir[] = "/tmp/redrain-notify-XXXXXX";

/* A bound datagram socket; its name goes into the environment. */
static int listen_as(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, name, n);
    if (name[0] == '@')
        at.sun_path[0] = 0;
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
        0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void assert_hears(int fd, const char *want)
{
    char got[512] = "";

    assert_true(recv(fd, got, sizeof(got) - 1, 0) >= 0);
    assert_string_equal(got, want);
}

static void test_a_path(void **state)
{
    char name[64];
    int fd = -1;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(name, sizeof(name), "%s/s", dir);
    fd = listen_as(name);
    assert_true(notify("READY=1\nSTATUS=%s", "ready"));
    assert_hears(fd, "READY=1\nSTATUS=ready");
    close(fd);
    assert_false(notify("READY=1")); /* nobody listens any more */
    unlink(name);
    rmdir(dir);
}

static void test_an_abstract_name(void **state)
{
    char name[64];
    int fd = -1;

    (void)state;
    snprintf(name, sizeof(name), "@redrain-notify-%d", (int)getpid());
    fd = listen_as(name);
    assert_true(notify("MAINPID=%d", 4711));
    assert_hears(fd, "MAINPID=4711");
    close(fd);
}

static void test_nobody_asked(void **state)
{
    static const char *const names[] = {"", "/", "relative", "@"};
    char longer[200];

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_false(notify("READY=1"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_false(notify("READY=1"));
    }
    memset(longer, 'a', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = 0;
    setenv("NOTIFY_SOCKET", longer, 1);
    assert_false(notify("READY=1"));
}

static void test_the_watchdog(void **state)
{
    (void)state;
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_us(), 15000000);
    setenv("WATCHDOG_USEC", "-5", 1);
    assert_int_equal(notify_watchdog_us(), 0);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_us(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path),
        cmocka_unit_test(test_an_abstract_name),
        cmocka_unit_test(test_nobody_asked),
        cmocka_unit_test(test_the_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
