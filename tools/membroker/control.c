#include "control.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 32, ERRORS_MAX = 4096 };

static const char *do_errors(rd_kafka_mock_cluster_t *cluster, char **w, int n)
{
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    int times = n > 3 ? atoi(w[2]) : 0;
    int count = 0;

    if (times < 1)
        return "errors API N CODE...";
    for (int i = 0; i < times; i++) {
        for (int k = 3; k < n && count < ERRORS_MAX; k++)
            errors[count++] = (rd_kafka_resp_err_t)atoi(w[k]);
    }
    rd_kafka_mock_push_request_errors_array(cluster, (int16_t)atoi(w[1]), (size_t)count, errors);
    return NULL;
}

static const char *said(rd_kafka_resp_err_t err)
{
    return err ? rd_kafka_err2str(err) : NULL;
}

static int replicas = 1;

/* NULL, or what was wrong. */
static const char *command(rd_kafka_mock_cluster_t *cluster, char **w, int n)
{
    if (strcmp(w[0], "errors") == 0)
        return do_errors(cluster, w, n);
    if (strcmp(w[0], "rtt") == 0 && n == 3)
        return said(rd_kafka_mock_broker_set_rtt(cluster, atoi(w[1]), atoi(w[2])));
    if (strcmp(w[0], "down") == 0 && n == 2)
        return said(rd_kafka_mock_broker_set_down(cluster, atoi(w[1])));
    if (strcmp(w[0], "up") == 0 && n == 2)
        return said(rd_kafka_mock_broker_set_up(cluster, atoi(w[1])));
    if (strcmp(w[0], "topic") == 0 && n == 3)
        return said(rd_kafka_mock_topic_create(cluster, w[1], atoi(w[2]), replicas));
    if (strcmp(w[0], "leader") == 0 && n == 4)
        return said(rd_kafka_mock_partition_set_leader(cluster, w[1], atoi(w[2]), atoi(w[3])));
    return "errors, rtt, down, up, topic or leader";
}

static void *serve(void *arg)
{
    rd_kafka_mock_cluster_t *cluster = arg;
    char line[1024];

    while (fgets(line, sizeof(line), stdin)) {
        char *w[WORDS_MAX];
        char *at = NULL;
        const char *wrong = NULL;
        int n = 0;

        for (char *word = strtok_r(line, " \n", &at); word && n < WORDS_MAX;
             word = strtok_r(NULL, " \n", &at))
            w[n++] = word;
        if (n == 0)
            continue;
        wrong = command(cluster, w, n);
        printf("%s%s\n", wrong ? "error: " : "ok", wrong ? wrong : "");
        fflush(stdout);
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

int control_start(rd_kafka_mock_cluster_t *cluster, int brokers)
{
    pthread_t thread;

    replicas = brokers < 3 ? brokers : 3;
    return pthread_create(&thread, NULL, serve, cluster) == 0 && pthread_detach(thread) == 0 ? 0
                                                                                             : -1;
}
