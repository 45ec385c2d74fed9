/* c11_threads.c - <threads.h> by pthreads, for builds with ThreadSanitizer, which does not know the former: a thread that Debian's
 * librdkafka makes by thrd_create() would be unknown to it and crash in its first intercepted call, and what mtx_lock() protects
 * would look unprotected. A shared library in front of libc. glibc's mtx_t, cnd_t and thrd_t have the sizes of the pthread types. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mtx_t holds a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a cnd_t holds a pthread_cond_t");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "a thrd_t is a pthread_t");

struct start {
    thrd_start_t run;
    void *arg;
};

static void *trampoline(void *arg)
{
    struct start s = *(struct start *)arg;

    free(arg);
    return (void *)(intptr_t)s.run(s.arg);
}

static int result(int rc)
{
    switch (rc) {
    case 0: return thrd_success;
    case EBUSY: return thrd_busy;
    case ETIMEDOUT: return thrd_timedout;
    case ENOMEM: return thrd_nomem;
    default: return thrd_error;
    }
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct start *s = malloc(sizeof(*s));
    int rc = 0;

    if (!s)
        return thrd_nomem;
    *s = (struct start){run, arg};
    rc = pthread_create((pthread_t *)thread, NULL, trampoline, s);
    if (rc)
        free(s);
    return result(rc);
}

int thrd_join(thrd_t thread, int *value)
{
    void *returned = NULL;
    int rc = pthread_join((pthread_t)thread, &returned);

    if (rc == 0 && value)
        *value = (int)(intptr_t)returned;
    return result(rc);
}

int thrd_detach(thrd_t thread)
{
    return result(pthread_detach((pthread_t)thread));
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attr;
    int rc = 0;

    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return result(rc);
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
    return result(pthread_mutex_timedlock((pthread_mutex_t *)mutex, until));
}

int mtx_unlock(mtx_t *mutex)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *cond)
{
    return result(pthread_cond_init((pthread_cond_t *)cond, NULL));
}

void cnd_destroy(cnd_t *cond)
{
    pthread_cond_destroy((pthread_cond_t *)cond);
}

int cnd_signal(cnd_t *cond)
{
    return result(pthread_cond_signal((pthread_cond_t *)cond));
}

int cnd_broadcast(cnd_t *cond)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)cond));
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return result(pthread_cond_wait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    return result(pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until));
}
