/* run.c - a fuzz target without libFuzzer: run RUNS MAX_LEN FOLDER: every file of the folder once, then RUNS inputs made of
 * them by a few changes each, always the same ones. Exit 1 when there is no file. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_MAX = 512, CHANGES_MAX = 6 };

struct seed {
    uint8_t *p;
    size_t len;
};

static struct seed seeds[SEEDS_MAX];
static size_t seeds_n;
static size_t max_len;

/* xorshift64: the same inputs in every run. */
static uint64_t random_next(void)
{
    static uint64_t x = 88172645463325252U;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static size_t random_below(size_t n)
{
    return n ? (size_t)(random_next() % n) : 0;
}

static int seed_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct seed *s = &seeds[seeds_n];

    if (!f)
        return 0;
    s->p = malloc(max_len + 1);
    if (s->p) {
        s->len = fread(s->p, 1, max_len, f);
        seeds_n++;
    }
    fclose(f);
    return s->p != NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int seeds_read(const char *folder)
{
    char path[4096];
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, by_name);
    int ok = n >= 0;

    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && seeds_n < SEEDS_MAX)
            ok = seed_read(path) && ok;
        free(names[i]);
    }
    free((void *)names);
    return ok && seeds_n > 0;
}

/* In a block of its own size: the byte after the last is nobody's. */
static void run(const uint8_t *p, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);

    if (!exact)
        abort();
    memcpy(exact, p, len);
    if (LLVMFuzzerTestOneInput(exact, len) != 0)
        abort();
    free(exact);
}

static size_t change(uint8_t *p, size_t len)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0xc0, 0xdd, 0xdf, '"', '{', '.', '/'};
    const struct seed *other = &seeds[random_below(seeds_n)];
    size_t at = random_below(len);
    size_t n = random_below(len - at) + 1;
    size_t from = random_below(other->len);

    if (len == 0) {
        p[0] = (uint8_t)random_next();
        return 1;
    }
    switch (random_below(7)) {
    case 0: p[at] ^= (uint8_t)(1U << random_below(8)); return len;
    case 1: p[at] = edges[random_below(sizeof(edges))]; return len;
    case 2: p[at] = (uint8_t)random_next(); return len;
    case 3: return at; /* cut off */
    case 4:            /* taken out */
        n = n > len - at ? len - at : n;
        memmove(p + at, p + at + n, len - at - n);
        return len - n;
    case 5: /* said twice */
        n = n > max_len - len ? max_len - len : n;
        n = n > len - at ? len - at : n;
        memmove(p + at + n, p + at, len - at);
        return len + n;
    default: /* goes on as another one does */
        n = other->len - from;
        n = n > max_len - at ? max_len - at : n;
        memcpy(p + at, other->p + from, n);
        return at + n;
    }
}

int main(int argc, char **argv)
{
    long runs = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
    uint8_t *p = NULL;

    max_len = argc == 4 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
    p = max_len ? malloc(max_len + 1) : NULL;
    if (!p || !seeds_read(argv[3])) {
        fprintf(stderr, "usage: %s RUNS MAX_LEN FOLDER_WITH_SEEDS\n", argv[0]);
        return 1;
    }
    for (size_t i = 0; i < seeds_n; i++)
        run(seeds[i].p, seeds[i].len);
    for (long i = 0; i < runs; i++) {
        const struct seed *s = &seeds[random_below(seeds_n)];
        size_t len = s->len;

        memcpy(p, s->p, len);
        for (size_t c = random_below(CHANGES_MAX) + 1; c > 0; c--)
            len = change(p, len);
        run(p, len);
    }
    printf("%zu seeds, %ld inputs made of them\n", seeds_n, runs);
    for (size_t i = 0; i < seeds_n; i++)
        free(seeds[i].p);
    free(p);
    return 0;
}
