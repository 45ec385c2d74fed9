#include "store/store_opts.h"

#include <string.h>

#include "keys.h"
#include "opts_check.h"

enum store_topology store_topology_of(const char *word)
{
    if (strcmp(word, "cluster") == 0)
        return STORE_CLUSTER;
    return strcmp(word, "sentinel") == 0 ? STORE_SENTINEL : STORE_SINGLE;
}

enum rr_err store__opts_check(const struct store_opts *o, struct redis_url *url)
{
    enum rr_err err = RR_OK;

    if (!o->worker_name || !key_name_ok(o->worker_name) ||
        (o->namespace_ && !key_namespace_ok(o->namespace_)))
        return RR_CONFIG;
    err = redis_url_parse(o->url, url);
    if (err)
        return err;
    /* Several addresses mean nothing to one server; a cluster has one database. */
    if ((o->topology == STORE_SINGLE && url->seeds_n > 1) ||
        (o->topology == STORE_CLUSTER && url->db != 0) ||
        (o->topology == STORE_SENTINEL &&
         (!o->sentinel_master || !key_name_ok(o->sentinel_master))))
        return RR_CONFIG;
    return RR_OK;
}
