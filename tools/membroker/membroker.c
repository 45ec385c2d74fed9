/*
 * redrain-membroker: a Kafka broker in memory, for machines that cannot have the real one.
 *
 *   redrain-membroker [--topic NAME:PARTITIONS]... [--bootstrap-file FILE]
 *
 * serves until SIGTERM or SIGINT; prints its host:port on stdout and, when it is ready, into FILE.
 * What it holds dies with it: it proves nothing about durability. Topics not named are made when a
 * client first asks for them.
 *
 * With --brokers N it is a cluster of N; with --control it takes orders on stdin (control.h): errors, latency, outages.
 *
 *   redrain-membroker --ping HOST:PORT [--timeout-ms N]
 *
 * exits 0 if the brokers there (any, not only this one) answer a metadata request, else 1.
 *
 *   redrain-membroker --produce HOST:PORT TOPIC KEY HEX [--timeout-ms N]
 *
 * sends one record of these bytes, for tests of what a reader does with bytes that nobody should have sent.
 */
#include "control.h"

#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOPICS_MAX = 32, TOPIC_NAME_MAX = 249, PING_DEFAULT_MS = 2000 };

struct topic_arg {
    char name[TOPIC_NAME_MAX + 1];
    int partitions;
};

struct options {
    struct topic_arg topics[TOPICS_MAX];
    int topics_n;
    const char *bootstrap_file;
    const char *ping;
    const char *produce;
    char **args; /* of --produce: topic, key, hex */
    int brokers;
    int control;
    int timeout_ms;
};

static int usage(FILE *out, int rc)
{
    fputs("usage: redrain-membroker [--topic NAME:PARTITIONS]... [--bootstrap-file FILE]\n"
          "           [--brokers N] [--control]\n"
          "       redrain-membroker --ping HOST:PORT [--timeout-ms N]\n"
          "       redrain-membroker --produce HOST:PORT TOPIC KEY HEX [--timeout-ms N]\n",
          out);
    return rc;
}

static int topic_parse(const char *arg, struct topic_arg *out)
{
    const char *colon = strrchr(arg, ':');
    char *end = NULL;
    long partitions;

    if (colon == NULL || colon == arg || (size_t)(colon - arg) > TOPIC_NAME_MAX)
        return -1;
    errno = 0;
    partitions = strtol(colon + 1, &end, 10);
    if (errno != 0 || end == colon + 1 || *end != '\0' || partitions < 1 || partitions > 1024)
        return -1;
    memcpy(out->name, arg, (size_t)(colon - arg));
    out->name[colon - arg] = '\0';
    out->partitions = (int)partitions;
    return 0;
}

/* Returns 0 to go on, else the exit code + 1. */
static int options_parse(int argc, char **argv, struct options *opt)
{
    static const struct option longopts[] = {
        {"topic", required_argument, NULL, 't'},
        {"bootstrap-file", required_argument, NULL, 'f'},
        {"ping", required_argument, NULL, 'p'},
        {"timeout-ms", required_argument, NULL, 'm'},
        {"brokers", required_argument, NULL, 'b'},
        {"control", no_argument, NULL, 'c'},
        {"produce", required_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    opt->timeout_ms = PING_DEFAULT_MS;
    opt->brokers = 1;
    while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
        switch (c) {
        case 't':
            if (opt->topics_n == TOPICS_MAX ||
                topic_parse(optarg, &opt->topics[opt->topics_n]) != 0) {
                fprintf(stderr, "redrain-membroker: bad --topic %s (want NAME:PARTITIONS)\n",
                        optarg);
                return 1 + 2;
            }
            opt->topics_n++;
            break;
        case 'f': opt->bootstrap_file = optarg; break;
        case 'p': opt->ping = optarg; break;
        case 'P': opt->produce = optarg; break;
        case 'c': opt->control = 1; break;
        case 'b':
            opt->brokers = atoi(optarg);
            if (opt->brokers < 1 || opt->brokers > 16)
                return 1 + usage(stderr, 2);
            break;
        case 'm':
            opt->timeout_ms = atoi(optarg);
            if (opt->timeout_ms <= 0)
                return 1 + usage(stderr, 2);
            break;
        case 'h': return 1 + usage(stdout, 0);
        default: return 1 + usage(stderr, 2);
        }
    }
    opt->args = argv + optind;
    return argc - optind == (opt->produce != NULL ? 3 : 0) ? 0 : 1 + usage(stderr, 2);
}

static void log_none(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
    (void)rk;
    (void)level;
    (void)fac;
    (void)buf;
}

static int ping(const struct options *opt)
{
    char errstr[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;
    const struct rd_kafka_metadata *md = NULL;
    int rc = 1;

    rd_kafka_conf_set_log_cb(conf, log_none);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", opt->ping, errstr, sizeof(errstr)) !=
            RD_KAFKA_CONF_OK ||
        (rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr))) == NULL) {
        fprintf(stderr, "redrain-membroker: %s\n", errstr);
        rd_kafka_conf_destroy(conf);
        return 1;
    }
    /* A KRaft broker answers before it is registered; it serves once it names itself. */
    if (rd_kafka_metadata(rk, 0, NULL, &md, opt->timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = md->broker_cnt > 0 ? 0 : 1;
        rd_kafka_metadata_destroy(md);
    }
    rd_kafka_destroy(rk);
    return rc;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    *(int *)opaque = m->err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

static int produce(const struct options *opt)
{
    char errstr[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;
    const char *hex = opt->args[2];
    size_t len = strlen(hex) / 2;
    unsigned char *bytes = malloc(len + 1);
    int rc = 1;

    for (size_t i = 0; bytes != NULL && i < len; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    rd_kafka_conf_set_log_cb(conf, log_none);
    rd_kafka_conf_set_opaque(conf, &rc);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    if (bytes == NULL ||
        rd_kafka_conf_set(conf, "bootstrap.servers", opt->produce, errstr, sizeof(errstr)) !=
            RD_KAFKA_CONF_OK ||
        (rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr))) == NULL) {
        rd_kafka_conf_destroy(conf);
        free(bytes);
        return 1;
    }
    if (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(opt->args[0]),
                          RD_KAFKA_V_KEY(opt->args[1], strlen(opt->args[1])),
                          RD_KAFKA_V_VALUE(bytes, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_flush(rk, opt->timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rc = 1;
    rd_kafka_destroy(rk);
    free(bytes);
    return rc;
}

/* Written whole and renamed, so that a reader sees all of it or nothing. */
static int bootstrap_write(const char *file, const char *bootstrap)
{
    char tmp[4096];
    FILE *f;
    int n = snprintf(tmp, sizeof(tmp), "%s.tmp", file);

    if (n < 0 || (size_t)n >= sizeof(tmp) || (f = fopen(tmp, "w")) == NULL)
        return -1;
    if (fprintf(f, "%s\n", bootstrap) < 0) {
        fclose(f);
        return -1;
    }
    return fclose(f) == 0 && rename(tmp, file) == 0 ? 0 : -1;
}

static int topics_create(rd_kafka_mock_cluster_t *cluster, const struct options *opt)
{
    for (int i = 0; i < opt->topics_n; i++) {
        const struct topic_arg *t = &opt->topics[i];
        rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(cluster, t->name, t->partitions, 1);

        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fprintf(stderr, "redrain-membroker: topic %s: %s\n", t->name, rd_kafka_err2str(err));
            return -1;
        }
    }
    return 0;
}

static int serve(const struct options *opt)
{
    char errstr[256];
    sigset_t stop;
    int sig = 0;
    int rc = 1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_mock_cluster_t *cluster = NULL;
    rd_kafka_t *rk;

    /* Blocked before librdkafka starts its threads, so that only sigwait below takes them. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);

    /* The cluster needs a client to live in; that it has no brokers of its own is no news. */
    rd_kafka_conf_set_log_cb(conf, log_none);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (rk == NULL) {
        fprintf(stderr, "redrain-membroker: %s\n", errstr);
        rd_kafka_conf_destroy(conf);
        return 1;
    }
    cluster = rd_kafka_mock_cluster_new(rk, opt->brokers);
    if (cluster == NULL) {
        fputs("redrain-membroker: the mock cluster did not start\n", stderr);
        goto out;
    }
    if (topics_create(cluster, opt) != 0)
        goto out;
    if (opt->bootstrap_file != NULL &&
        bootstrap_write(opt->bootstrap_file, rd_kafka_mock_cluster_bootstraps(cluster)) != 0) {
        fprintf(stderr, "redrain-membroker: %s: %s\n", opt->bootstrap_file, strerror(errno));
        goto out;
    }
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    if (opt->control && control_start(cluster, opt->brokers) != 0)
        goto out;
    sigwait(&stop, &sig);
    rc = 0;
out:
    if (cluster != NULL)
        rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    return rc;
}

int main(int argc, char **argv)
{
    static struct options opt;
    int rc = options_parse(argc, argv, &opt);

    if (rc != 0)
        return rc - 1;
    if (opt.produce != NULL)
        return produce(&opt);
    return opt.ping != NULL ? ping(&opt) : serve(&opt);
}
