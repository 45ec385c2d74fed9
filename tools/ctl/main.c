/* redrainctl - the operator's command. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ctl.h"
#include "ledger/ledger.h"

static const char usage[] =
    "redrainctl --config FILE [--set section.key=value]… COMMAND …      (--json: for programs)\n"
    "\n"
    "  migrate                          make or update the database and the Kafka topic\n"
    "  token --user N --role viewer|anchor|guest --rooms a,b|'*' [--name S] [--ttl SECONDS]\n"
    "        [--may-send] [--level N] [--since UNIX_S]   print a viewer's token (JWT)\n"
    "  wallet deposit USER FEN --biz-id ID   put money into a wallet; the same ID never twice\n"
    "  wallet withdraw|debit|freeze USER FEN --biz-id ID\n"
    "  wallet unfreeze|refund USER FEN --of ID --biz-id ID   give back a freeze or a debit\n"
    "  wallet transfer FROM TO FEN --biz-id ID\n"
    "  wallet show USER\n"
    "  wallet log USER [--limit N] [--before ID]   the newest entries, with before and after\n"
    "  rain create --room R --sender N --total FEN --count M [--split double-mean|line-cut|equal]\n"
    "        [--limit K] [--shards S] [--lo FEN] [--hi FEN] [--duration-ms D] [--text T]\n"
    "        [--kind rain|group|equal|enterprise|personal|marketing] [--users A,B,…] [--random]\n"
    "        [--level N] [--new-days D] [--start-at MS] [--expire-at MS] [--anchor N]\n"
    "        [--biz-id ID]              freeze the money; prints the code (times: ms since 1970)\n"
    "  rain prepare|close|cancel|show CODE\n"
    "  rain start CODE [--countdown-ms C] [--duration-ms D]\n"
    "  rain extend CODE --add-ms A\n"
    "  rain list [--room R]\n"
    "  rain grants CODE                 who has which packet; with --json one object per line\n"
    "  split check --split X --total FEN --count N --runs R [--lo FEN] [--hi FEN]\n"
    "        [--seed HEX]               statistics of a splitter\n"
    "  risk list [--user N] [--rain CODE] [--state held|released|taken|done] [--before ID]\n"
    "  risk release CODE SHARD NO       a held packet goes to its user's wallet\n"
    "  risk take-back CODE SHARD NO --to ACCOUNT   it goes to a platform account of that name\n"
    "  ban list                         who may not come in\n"
    "  ban add --user N|--address IP --reason TEXT [--secs S] [--by NAME]   without --secs: for "
    "good\n"
    "  ban remove --user N|--address IP|--hash H [--by NAME]\n"
    "  fu list [--room R]               the newest campaigns of five cards\n"
    "  fu show CODE\n"
    "  workers                          the server's worker processes\n"
    "  drain WORKER                     its clients move to the others, another one takes its "
    "place\n"
    "  verify [CODE|--all|--quick]      check the books; exit code 1 on a finding; --quick: as "
    "the\n"
    "                                   settlers do, without rains that ended clean within a day\n"
    "  archive --before YYYY-MM-DD [--max-rows N]\n"
    "                                   move rains that were over before that day to the archive "
    "tables;\n"
    "                                   never before Kafka's retention and 7 days\n"
    "  prove CODE [--list]              recompute the amounts of a rain that is over from its "
    "seed,\n"
    "                                   compare them with every grant; exit code 1 when they "
    "differ\n"
    "  prove --seed HEX --code C --total FEN --count N --split X [--lo FEN] [--hi FEN]\n"
    "        [--shards S] [--split-ver V] [--seed-hash HEX] [--list]   the same without any "
    "service\n"
    "  repair CODE|--wallets [--accept CLAIMS|all] [--reject CLAIMS|all] [--make-good]\n"
    "        [--apply --plan HASH] [--by NAME]   propose entries that mend the books, or apply "
    "them\n"
    "  repair --log [CODE]              what was repaired, by whom\n"
    "  doctor                           what works, and what to do about the rest\n"
    "\n"
    "  --check-config, --print-config, --print-default-config, --version, --help\n";

static const struct {
    const char *name;
    int (*run)(struct ctl *ctl);
} commands[] = {
    {"migrate", cmd_migrate}, {"token", cmd_token}, {"wallet", cmd_wallet}, {"rain", cmd_rain},
    {"split", cmd_split},     {"risk", cmd_risk},   {"verify", cmd_verify}, {"prove", cmd_prove},
    {"archive", cmd_archive}, {"ban", cmd_ban},     {"repair", cmd_repair}, {"doctor", cmd_doctor},
    {"workers", cmd_workers}, {"drain", cmd_drain}, {"fu", cmd_fu},
};

int main(int argc, char **argv)
{
    struct ctl ctl = {0};
    int rc = CTL_USAGE;

    /* A broken connection is an error of a call, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    int at = rr_conf_main(argc, argv, &ctl.conf, usage);
    rr_log_init("ctl", RR_LOG_WARN);
    while (at < argc && !strcmp(argv[at], "--json")) {
        ctl.json = true;
        at++;
    }
    if (at >= argc) {
        fputs(usage, stderr);
        rr_conf_fini(&ctl.conf);
        return CTL_USAGE;
    }
    ctl.argc = argc - at - 1;
    ctl.argv = argv + at + 1;
    size_t i = 0;
    while (i < RR_COUNTOF(commands) && strcmp(commands[i].name, argv[at]) != 0)
        i++;
    if (i < RR_COUNTOF(commands))
        rc = commands[i].run(&ctl);
    else
        rc = ctl_usage_error("unknown command \"%s\" (--help lists them)", argv[at]);
    rr_conf_fini(&ctl.conf);
    if (fflush(stdout) != 0 && rc == CTL_OK)
        rc = ctl_fail("cannot write to stdout");
    return rc;
}
