/* fake_redis.h - servers that answer as a script says, and remember what they were asked: for what a real cluster does too rarely. */
#ifndef TEST_FAKE_REDIS_H
#define TEST_FAKE_REDIS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { FAKE_ASKED_MAX = 256, FAKE_WORD_MAX = 24 };

struct fake_redis {
    int port;
    int fd;
    pthread_t thread;
    /* The whole answer to a command; name is its first word. Called on the server's threads, one at a time. */
    void (*answer)(struct fake_redis *f, const char *name, char *out, size_t cap);
    void *arg;
    pthread_mutex_t mu;
    char asked[FAKE_ASKED_MAX][FAKE_WORD_MAX]; /* first words, without the login's */
    unsigned asked_n;
};

void fake_redis_start(struct fake_redis *f);
/* Connections end with the clients'; call it after they are gone. */
void fake_redis_stop(struct fake_redis *f);
/* How often it was asked this since start or forget. */
unsigned fake_redis_asked(struct fake_redis *f, const char *name);
void fake_redis_forget(struct fake_redis *f);

#endif
