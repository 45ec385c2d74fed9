#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { EXIT_CODE = 99, NAME_MAX_BYTES = 64 };

enum action { ACTION_KILL, ACTION_STOP, ACTION_EXIT, ACTION_ERROR, ACTION_HANG, ACTION_COUNT };

static const char *const action_names[ACTION_COUNT] = {"kill", "stop", "exit", "error", "hang"};

static const char *const names[RR_FAIL_COUNT] = {
#define X(id, name, row, where) name,
    RR_FAIL_MAP(X)
#undef X
};

struct armed {
    unsigned nth;
    enum action action;
};

/* What the environment says, read once. */
static struct {
    int point; /* -1: none */
    struct armed armed;
    const char *once;
    const char *dir;
} env = {.point = -1};

static pthread_once_t env_once = PTHREAD_ONCE_INIT;
static atomic_uint hits[RR_FAIL_COUNT];

const char *rr_fail_name(enum rr_fail id)
{
    return names[id];
}

static void broken(const char *what, const char *text)
{
    fprintf(stderr, "failpoint: %s: %s\n", what, text);
    _exit(EXIT_CODE);
}

static int point_of(const char *name)
{
    for (int i = 0; i < RR_FAIL_COUNT; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    broken("no such name", name);
    return -1;
}

/* "", "3", "stop", "3<sep>stop" */
static struct armed armed_parse(const char *text, const char *sep)
{
    struct armed a = {.nth = 1, .action = ACTION_KILL};
    char copy[NAME_MAX_BYTES];
    char *at = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, sep, &at); word; word = strtok_r(NULL, sep, &at)) {
        int action = 0;

        if (*word >= '0' && *word <= '9') {
            a.nth = (unsigned)strtoul(word, NULL, 10);
            continue;
        }
        while (action < ACTION_COUNT && strcmp(action_names[action], word) != 0)
            action++;
        if (action == ACTION_COUNT)
            broken("no such action", word);
        a.action = (enum action)action;
    }
    return a;
}

static void env_read(void)
{
    const char *spec = getenv("REDRAIN_FAIL");

    env.once = getenv("REDRAIN_FAIL_ONCE");
    env.dir = getenv("REDRAIN_FAIL_DIR");
    if (spec && *spec) {
        char name[NAME_MAX_BYTES];
        size_t len = strcspn(spec, ":");

        snprintf(name, sizeof(name), "%.*s", (int)len, spec);
        env.point = point_of(name);
        env.armed = armed_parse(spec + len, ":");
    }
}

/* The file says who was hit, whole before anything happens to the process. */
static void sign(int fd)
{
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

    if (write(fd, pid, (size_t)n) != n)
        broken("cannot write", "a marker");
    close(fd);
}

/* By environment. True: this process is the one. */
static bool claim_env(enum rr_fail id, struct armed *out)
{
    int fd = -1;

    if ((int)id != env.point || atomic_fetch_add(&hits[id], 1) + 1 != env.armed.nth)
        return false;
    *out = env.armed;
    if (!env.once)
        return true;
    fd = open(env.once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    sign(fd);
    return true;
}

/* By a file in REDRAIN_FAIL_DIR. It is renamed first to a name of this process' own: of two only one can do that. */
static bool claim_file(enum rr_fail id, struct armed *out)
{
    char path[PATH_MAX];
    char mine[PATH_MAX];
    char hit[PATH_MAX];
    char text[NAME_MAX_BYTES] = "";
    ssize_t n = 0;
    int fd = -1;

    if (snprintf(path, sizeof(path), "%s/%s", env.dir, names[id]) >= (int)sizeof(path))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    *out = armed_parse(text, " \n");
    if (atomic_fetch_add(&hits[id], 1) + 1 < out->nth)
        return false;
    snprintf(mine, sizeof(mine), "%s/.%s.%d", env.dir, names[id], (int)getpid());
    snprintf(hit, sizeof(hit), "%s/%s.hit", env.dir, names[id]);
    if (rename(path, mine) != 0)
        return false;
    atomic_store(&hits[id], 0);
    fd = open(mine, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        broken("cannot open", mine);
    sign(fd);
    if (rename(mine, hit) != 0)
        broken("cannot rename", mine);
    return true;
}

bool rr_fail_hit(enum rr_fail id)
{
    struct armed a;
    int saved_errno = errno;
    bool hit = false;

    pthread_once(&env_once, env_read);
    hit = claim_env(id, &a) || (env.dir && claim_file(id, &a));
    errno = saved_errno;
    if (!hit)
        return false;
    log_notice("failpoint", "%s: %s", names[id], action_names[a.action]);
    switch (a.action) {
    case ACTION_KILL: kill(getpid(), SIGKILL); break;
    case ACTION_STOP: kill(getpid(), SIGSTOP); break;
    case ACTION_EXIT: _exit(EXIT_CODE);
    case ACTION_HANG:
        for (;;)
            pause();
    default: break;
    }
    return a.action == ACTION_ERROR;
}
