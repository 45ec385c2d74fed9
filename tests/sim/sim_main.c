/* redrain-sim: runs seeds, on every core, and says what was broken and what was hit.
 *   redrain-sim [--seeds N] [--first S] [--seed S [--trace]] [--mutations] [--mutation NAME] [--first-red]
 *              [--jobs N] [--json] */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sim.h"
#include "sim_redis.h"

enum { KEEP = 10, JOBS_MAX = 64, DEFAULT_SEEDS = 1000, MUTATION_SEEDS = 2000 };

struct result {
    uint64_t seeds;
    uint64_t violations;
    uint64_t hits[HIT_COUNT]; /* seeds in which the row was reached */
    uint64_t events;
    uint64_t scripts;
    uint32_t failing_n;
    struct {
        uint64_t seed;
        char why[sizeof(sim.violation)];
    } failing[KEEP];
};

struct options {
    uint64_t seeds;
    uint64_t first;
    bool one;
    bool trace;
    bool mutations;
    bool json;
    bool first_red;
    int jobs;
    enum sim_mutation mutation;
};

static void usage(int rc)
{
    fprintf(
        rc ? stderr : stdout,
        "redrain-sim [--seeds N] [--first S] [--seed S [--trace]] [--mutations] [--mutation NAME]\n"
        "            [--first-red] [--jobs N] [--json]\n"
        "  --seeds N        seeds S, S+1, … (default %d)\n"
        "  --first S        the first seed (default 1)\n"
        "  --seed S         this one only; with --trace what happens in it\n"
        "  --mutations      also without one rule at a time, over at most %d seeds: each must turn "
        "red\n"
        "  --mutation NAME  only this one; with --seed, that seed without that rule\n"
        "  --first-red      a run without a rule ends at its first broken promise\n"
        "  --gaps           also what is known not to hold (README.md)\n",
        DEFAULT_SEEDS, MUTATION_SEEDS);
    exit(rc);
}

static void run_some(const struct options *o, enum sim_mutation m, int job, struct result *r)
{
    lua_init(m);
    for (uint64_t i = (uint64_t)job; i < o->seeds; i += (uint64_t)o->jobs) {
        sim_seed(o->first + i, m, o->trace);
        r->seeds++;
        r->events += sim.events;
        r->scripts += sim.scripts;
        for (int h = 0; h < HIT_COUNT; h++)
            r->hits[h] += sim.hits[h] > 0;
        if (!sim.violation[0])
            continue;
        r->violations++;
        if (r->failing_n < KEEP) {
            r->failing[r->failing_n].seed = sim.seed;
            memcpy(r->failing[r->failing_n++].why, sim.violation, sizeof(sim.violation));
        }
        if (m && o->first_red)
            break;
    }
    lua_fini();
}

static void add(struct result *to, const struct result *r)
{
    to->seeds += r->seeds;
    to->violations += r->violations;
    to->events += r->events;
    to->scripts += r->scripts;
    for (int h = 0; h < HIT_COUNT; h++)
        to->hits[h] += r->hits[h];
    for (uint32_t i = 0; i < r->failing_n && to->failing_n < KEEP; i++)
        to->failing[to->failing_n++] = r->failing[i];
}

/* One child per core; a child that dies is a failure of its own. */
static bool run_all(const struct options *o, enum sim_mutation m, struct result *total)
{
    int fds[JOBS_MAX];
    pid_t pids[JOBS_MAX];
    bool ok = true;

    memset(total, 0, sizeof(*total));
    fflush(stdout);
    for (int i = 0; i < o->jobs; i++) {
        int p[2];

        if (pipe(p) || (pids[i] = fork()) < 0) {
            perror("redrain-sim");
            exit(2);
        }
        if (pids[i] == 0) {
            struct result r = {0};
            size_t done = 0;

            close(p[0]);
            run_some(o, m, i, &r);
            fflush(stdout);
            while (done < sizeof(r)) {
                ssize_t n = write(p[1], (const char *)&r + done, sizeof(r) - done);

                if (n <= 0)
                    _exit(2);
                done += (size_t)n;
            }
            close(p[1]);
            exit(0);
        }
        close(p[1]);
        fds[i] = p[0];
    }
    for (int i = 0; i < o->jobs; i++) {
        struct result r;
        size_t done = 0;
        int status = 0;
        ssize_t n = 0;

        while (done < sizeof(r) && (n = read(fds[i], (char *)&r + done, sizeof(r) - done)) > 0)
            done += (size_t)n;
        close(fds[i]);
        waitpid(pids[i], &status, 0);
        if (done == sizeof(r) && status == 0)
            add(total, &r);
        else
            ok = false;
    }
    if (!ok)
        fprintf(stderr, "redrain-sim: a child died\n");
    return ok;
}

static void print_failing(const struct result *r)
{
    for (uint32_t i = 0; i < r->failing_n; i++)
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)r->failing[i].seed,
                r->failing[i].why);
}

static void print_table(const struct result *r, double seconds)
{
    printf("%-12s %10llu\n%-12s %10llu\n%-12s %10.1f\n%-12s %10.0f\n%-12s %10.0f\n\n", "seeds",
           (unsigned long long)r->seeds, "violations", (unsigned long long)r->violations, "seconds",
           seconds, "events/seed", (double)r->events / (double)(r->seeds ? r->seeds : 1), "scripts",
           (double)r->scripts / (double)(r->seeds ? r->seeds : 1));
    printf("%-26s %-52s %s\n", "reached", "", "seeds of 1000");
    for (int h = 0; h < HIT_COUNT; h++)
        printf("%-26s %-52s %6.0f\n", sim_hit_names[h], sim_hit_texts[h],
               1000.0 * (double)r->hits[h] / (double)(r->seeds ? r->seeds : 1));
}

static void print_json(const struct result *r, const struct result *m, double seconds)
{
    const char *sep = "";

    printf("{\"seeds\":%llu,\"violations\":%llu,\"failing_seeds\":[", (unsigned long long)r->seeds,
           (unsigned long long)r->violations);
    for (uint32_t i = 0; i < r->failing_n; i++)
        printf("%s%llu", i ? "," : "", (unsigned long long)r->failing[i].seed);
    printf("],\"seconds\":%.1f,\"hits\":{", seconds);
    for (int h = 0; h < HIT_COUNT; h++)
        printf("%s\"%s\":%llu", h ? "," : "", sim_hit_names[h], (unsigned long long)r->hits[h]);
    printf("},\"mutations\":{");
    for (int i = 1; i < MUT_COUNT; i++) {
        if (m[i].seeds) {
            printf("%s\"%s\":\"%s\"", sep, sim_mutation_names[i],
                   m[i].violations ? "red" : "green");
            sep = ",";
        }
    }
    printf("},\"rates\":{");
    sep = "";
    for (int i = 1; i < MUT_COUNT; i++) {
        if (m[i].seeds) {
            printf("%s\"%s\":%.4f", sep, sim_mutation_names[i],
                   (double)m[i].violations / (double)m[i].seeds);
            sep = ",";
        }
    }
    printf("}}\n");
}

static void print_mutations(const struct result *m)
{
    printf("\n%-16s %-48s %-6s %s\n", "without", "", "", "runs that broke a promise");
    for (int i = 1; i < MUT_COUNT; i++) {
        if (m[i].seeds)
            printf("%-16s %-48s %-6s %.2f%% (seed %llu: %s)\n", sim_mutation_names[i],
                   sim_mutation_texts[i], m[i].violations ? "red" : "GREEN",
                   100.0 * (double)m[i].violations / (double)m[i].seeds,
                   (unsigned long long)m[i].failing[0].seed, m[i].failing[0].why);
    }
}

static enum sim_mutation mutation_of(const char *name)
{
    for (int i = 1; i < MUT_COUNT; i++) {
        if (strcmp(name, sim_mutation_names[i]) == 0)
            return (enum sim_mutation)i;
    }
    fprintf(stderr, "redrain-sim: no mutation '%s'\n", name);
    exit(2);
}

static struct options options_of(int argc, char **argv)
{
    static const struct option longs[] = {
        {"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},  {"trace", no_argument, NULL, 't'},
        {"mutations", no_argument, NULL, 'M'},   {"mutation", required_argument, NULL, 'm'},
        {"jobs", required_argument, NULL, 'j'},  {"json", no_argument, NULL, 'J'},
        {"first-red", no_argument, NULL, 'r'},   {"gaps", no_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    struct options o = {.seeds = 0, .first = 1, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    int c = 0;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'n': o.seeds = strtoull(optarg, NULL, 10); break;
        case 'f': o.first = strtoull(optarg, NULL, 10); break;
        case 's':
            o.first = strtoull(optarg, NULL, 10);
            o.one = true;
            break;
        case 't': o.trace = true; break;
        case 'M': o.mutations = true; break;
        case 'm': o.mutation = mutation_of(optarg); break;
        case 'j': o.jobs = atoi(optarg); break;
        case 'J': o.json = true; break;
        case 'r': o.first_red = true; break;
        case 'g': sim_gaps = true; break;
        case 'h': usage(0); break;
        default: usage(2);
        }
    }
    if (optind < argc)
        usage(2);
    if (o.jobs < 1 || o.jobs > JOBS_MAX || o.one)
        o.jobs = 1;
    if (o.one)
        o.seeds = 1;
    return o;
}

int main(int argc, char **argv)
{
    static struct result mutations[MUT_COUNT];
    static struct result r;
    struct options o = options_of(argc, argv);
    struct timespec t[2];
    double seconds = 0;
    bool ok = true;

    rr_log_init("sim", RR_LOG_ERROR);
    rr_log_level_min = (enum rr_log_level)(RR_LOG_ERROR + 1);
    /* A server's tables come and go with each of its lives: from the heap, not by mmap. */
    mallopt(M_MMAP_THRESHOLD, 1 << 26);
    clock_gettime(CLOCK_MONOTONIC, &t[0]);
    if (o.mutation || o.mutations) {
        uint64_t seeds = o.seeds;

        for (int i = 1; i < MUT_COUNT; i++) {
            if (o.mutation && i != (int)o.mutation)
                continue;
            o.seeds = o.one || (seeds && seeds < MUTATION_SEEDS) ? seeds : MUTATION_SEEDS;
            ok = run_all(&o, (enum sim_mutation)i, &mutations[i]) && ok && mutations[i].violations;
        }
        o.seeds = seeds;
    }
    if (!o.mutation) {
        if (!o.seeds)
            o.seeds = DEFAULT_SEEDS;
        ok = run_all(&o, MUT_none, &r) && ok && r.violations == 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &t[1]);
    seconds = (double)(t[1].tv_sec - t[0].tv_sec) + (double)(t[1].tv_nsec - t[0].tv_nsec) / 1e9;
    print_failing(&r);
    if (o.json) {
        print_json(&r, mutations, seconds);
    } else if (!o.one) {
        if (r.seeds)
            print_table(&r, seconds);
        if (o.mutation || o.mutations)
            print_mutations(mutations);
    } else {
        printf("%s\n", r.violations || mutations[o.mutation].violations ? "RED" : "green");
    }
    return ok ? 0 : 1;
}
