#include "cluster_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHOLE_MS = 30000, SLOTS = 16384 };

static void start_node(struct redis_fixture *n)
{
    n->cluster = true;
    redis_start(n);
}

static bool whole(struct redis_fixture *n)
{
    const char *info = redis_do_str(n, "CLUSTER INFO");

    return strstr(info, "cluster_state:ok") && strstr(info, "cluster_known_nodes:3") &&
           strstr(info, "cluster_slots_ok:16384") && strstr(info, "cluster_size:3");
}

void cluster_until_whole(struct cluster_fixture *f)
{
    int64_t deadline = test_now_ms() + WHOLE_MS;

    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++) {
        while (!whole(&f->nodes[i])) {
            if (test_now_ms() > deadline)
                fail_msg("the cluster is not whole after %d ms", WHOLE_MS);
            usleep(10000);
        }
    }
}

void cluster_start(struct cluster_fixture *f)
{
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++) {
        unsigned from = i * SLOTS / CLUSTER_TEST_NODES;
        unsigned to = (i + 1) * SLOTS / CLUSTER_TEST_NODES - 1;
        struct redis_fixture *n = &f->nodes[i];

        start_node(n);
        snprintf(f->ids[i], sizeof(f->ids[i]), "%s", redis_do_str(n, "CLUSTER MYID"));
        redis_do_int(n, "CLUSTER ADDSLOTSRANGE %u %u", from, to);
        redis_do_int(n, "CLUSTER SET-CONFIG-EPOCH %u", i + 1);
        if (i > 0)
            redis_do_int(n, "CLUSTER MEET 127.0.0.1 %d %d", f->nodes[0].port, f->nodes[0].bus_port);
    }
    snprintf(f->url, sizeof(f->url), "redis://127.0.0.1:%d,127.0.0.1:%d", f->nodes[0].port,
             f->nodes[1].port);
    cluster_until_whole(f);
}

void cluster_stop(struct cluster_fixture *f)
{
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++)
        redis_stop(&f->nodes[i]);
}

uint32_t cluster_owner(struct cluster_fixture *f, unsigned slot)
{
    for (uint32_t i = 0; i < CLUSTER_TEST_NODES; i++) {
        redisReply *r = redis_do(&f->nodes[i], "CLUSTER SLOTS");
        uint32_t owner = CLUSTER_TEST_NODES;

        for (size_t k = 0; k < r->elements; k++) {
            const redisReply *range = r->element[k];

            if (slot < range->element[0]->integer || slot > range->element[1]->integer)
                continue;
            for (uint32_t n = 0; n < CLUSTER_TEST_NODES; n++) {
                if (f->nodes[n].port == range->element[2]->element[1]->integer)
                    owner = n;
            }
        }
        freeReplyObject(r);
        if (owner == i)
            return i;
    }
    fail_msg("nobody has slot %u", slot);
    return 0;
}

void cluster_move_begin(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to)
{
    redis_do_int(&f->nodes[to], "CLUSTER SETSLOT %u IMPORTING %s", slot, f->ids[from]);
    redis_do_int(&f->nodes[from], "CLUSTER SETSLOT %u MIGRATING %s", slot, f->ids[to]);
}

void cluster_move_keys(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to)
{
    redisReply *r = redis_do(&f->nodes[from], "CLUSTER GETKEYSINSLOT %u 1000", slot);

    for (size_t i = 0; i < r->elements; i++)
        redis_do_int(&f->nodes[from], "MIGRATE 127.0.0.1 %d %s 0 5000", f->nodes[to].port,
                     r->element[i]->str);
    freeReplyObject(r);
}

void cluster_move_end(struct cluster_fixture *f, unsigned slot, uint32_t from, uint32_t to)
{
    redis_do_int(&f->nodes[to], "CLUSTER SETSLOT %u NODE %s", slot, f->ids[to]);
    redis_do_int(&f->nodes[from], "CLUSTER SETSLOT %u NODE %s", slot, f->ids[to]);
}

struct store_opts cluster_opts(const struct cluster_fixture *f, const char *name)
{
    return (struct store_opts){.url = f->url,
                               .namespace_ = "t1_",
                               .worker_name = name,
                               .timeout_ms = 1000,
                               .topology = STORE_CLUSTER};
}
