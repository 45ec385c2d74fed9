/* Options every program of ours takes. */
#include "conf_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/version.h"

enum { EXIT_USAGE = 2, MESSAGE_CAP = 1024 };

enum print_mode { PRINT_NOTHING, PRINT_CONFIG, PRINT_CHECK };

struct cli {
    const char *file;
    const char **flags;
    size_t n_flags;
    enum print_mode mode;
};

static _Noreturn void fail(const char *program, const char *text)
{
    fprintf(stderr, "%s: %s\n", program, text);
    exit(EXIT_USAGE);
}

static _Noreturn void print_and_exit(const struct rr_conf *c)
{
    struct rr_buf out = {0};

    rr_conf_print(c, &out);
    fwrite(out.p, 1, out.len, stdout);
    bool failed = out.failed || fflush(stdout) != 0;
    rr_buf_fini(&out);
    exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path ? path : "redrain";
}

/* "--name VALUE" and "--name=VALUE"; NULL when argv[*i] is not this option. */
static const char *option_value(int argc, char **argv, int *i, const char *name)
{
    const char *arg = argv[*i];
    size_t len = strlen(name);

    if (!arg)
        return NULL;
    if (!strcmp(arg, name)) {
        if (*i + 1 >= argc) {
            fprintf(stderr, "%s: %s needs a value\n", base_name(argv[0]), name);
            exit(EXIT_USAGE);
        }
        return argv[++*i];
    }
    if (!strncmp(arg, name, len) && arg[len] == '=')
        return arg + len + 1;
    return NULL;
}

/* True when argv[*i] was one of ours. */
static bool take_option(struct cli *cli, int argc, char **argv, int *i, const char *usage)
{
    const char *arg = argv[*i];
    const char *value;

    if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
        printf("%s", usage);
        exit(EXIT_SUCCESS);
    }
    if (!strcmp(arg, "--version")) {
        printf("%s %s\n", base_name(argv[0]), RR_VERSION);
        exit(EXIT_SUCCESS);
    }
    if (!strcmp(arg, "--print-default-config"))
        print_and_exit(NULL);
    if (!strcmp(arg, "--selftest-echo")) {
        cli->flags[cli->n_flags++] = "server.selftest_echo=true";
    } else if (!strcmp(arg, "--print-config")) {
        cli->mode = PRINT_CONFIG;
    } else if (!strcmp(arg, "--check-config")) {
        cli->mode = PRINT_CHECK;
    } else if ((value = option_value(argc, argv, i, "--config"))) {
        if (cli->file)
            fail(base_name(argv[0]), "--config is given twice");
        cli->file = value;
    } else if ((value = option_value(argc, argv, i, "--set"))) {
        cli->flags[cli->n_flags++] = value;
    } else {
        return false;
    }
    return true;
}

/* What this process was started with; argv lives as long as it. */
static struct {
    int argc;
    char **argv;
} started;

enum rr_err rr_conf_again(struct rr_conf *c, char *message, size_t cap)
{
    struct cli cli = {0};
    enum rr_err err = RR_OK;

    RR_ASSERT(started.argv);
    cli.flags = rr_xcalloc((size_t)started.argc + 1, sizeof(*cli.flags));
    for (int i = 1; i < started.argc && take_option(&cli, started.argc, started.argv, &i, ""); i++)
        ;
    err = rr_conf_load(c, cli.file, cli.flags, cli.n_flags, message, cap);
    free(cli.flags);
    return err;
}

int rr_conf_main(int argc, char **argv, struct rr_conf *c, const char *usage)
{
    return rr_conf_main_checked(argc, argv, c, usage, NULL);
}

int rr_conf_main_checked(int argc, char **argv, struct rr_conf *c, const char *usage,
                         rr_conf_check_fn check)
{
    struct cli cli = {0};
    char message[MESSAGE_CAP];
    int i = 1;

    started.argc = argc;
    started.argv = argv;
    cli.flags = rr_xcalloc((size_t)argc + 1, sizeof(*cli.flags));
    while (i < argc && take_option(&cli, argc, argv, &i, usage))
        i++;
    enum rr_err err = rr_conf_load(c, cli.file, cli.flags, cli.n_flags, message, sizeof(message));
    free(cli.flags);
    if (err != RR_OK)
        fail(base_name(argv[0]), message);
    if (cli.mode == PRINT_CONFIG)
        print_and_exit(c);
    if (cli.mode == PRINT_CHECK) {
        if (check && check(c, message, sizeof(message)) != RR_OK)
            fail(base_name(argv[0]), message);
        printf("%s: configuration is valid\n", cli.file ? cli.file : "defaults");
        rr_conf_fini(c);
        exit(EXIT_SUCCESS);
    }
    return i;
}
