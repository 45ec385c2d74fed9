/* redrainctl migrate: database, schema, topic. Repeatable; changes nothing that is there. */
#include <stdio.h>

#include "ctl.h"
#include "ledger/ledger.h"
#include "names.h"
#include "settler/topic.h"

static int migrate_database(const struct ctl *ctl)
{
    struct ledger_opts opts = ledger_opts_of(&ctl->conf, 60);
    struct ledger *ledger = NULL;
    int rc = CTL_OK;

    ledger_global_init();
    if (ledger_create(&ledger, &opts) != RR_OK)
        return ctl_fail("mysql.url is malformed: mysql://user:password@host:port/database");
    enum rr_err err = ledger_migrate(ledger);
    if (err != RR_OK)
        rc = ctl_fail("database: %s: %s", rr_err_name(err), ledger_error(ledger));
    ledger_destroy(ledger);
    return rc;
}

static int migrate_topic(const struct ctl *ctl, char topic[TOPIC_NAME_MAX])
{
    char message[512] = "";

    ctl_topic_name(&ctl->conf, topic);
    enum rr_err err =
        settler_topic_ensure(&ctl->conf, topic, (int32_t)ctl->conf.kafka_partitions,
                             (int32_t)ctl->conf.kafka_replication, message, sizeof(message));
    if (err != RR_OK)
        return ctl_fail("topic %s: %s: %s", topic, rr_err_name(err), message);
    return CTL_OK;
}

int cmd_migrate(struct ctl *ctl)
{
    char topic[TOPIC_NAME_MAX];
    size_t n;
    int rc = ctl_options(ctl, NULL, 0, NULL, 0, &n);

    if (rc == CTL_OK)
        rc = migrate_database(ctl);
    if (rc == CTL_OK)
        rc = migrate_topic(ctl, topic);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json)
        printf("{\"ok\":true,\"topic\":\"%s\"}\n", topic);
    else
        printf("database       up to date\ntopic          %s is there\n", topic);
    return CTL_OK;
}
