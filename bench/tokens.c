/* tokens.c - the file with one "user token" per line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crowd.h"

static bool is_user_id(const char *s)
{
    size_t len = strspn(s, "0123456789");
    return len > 0 && len <= 19 && s[len] == 0;
}

/* Cuts the line into its two words; RR_MALFORMED when it has not exactly two. */
static enum rr_err parse_line(char *line, struct user *out)
{
    char *save = NULL;
    const char *id = strtok_r(line, " \t\r\n", &save);
    const char *token = strtok_r(NULL, " \t\r\n", &save);
    if (!id)
        return RR_NOT_FOUND;
    if (!token || strtok_r(NULL, " \t\r\n", &save) || !is_user_id(id))
        return RR_MALFORMED;
    *out = (struct user){.id = rr_xstrdup(id), .token = rr_xstrdup(token)};
    return RR_OK;
}

enum rr_err tokens_load(const char *path, struct user **users, uint32_t *n)
{
    enum rr_err err = RR_OK;
    struct user *list = NULL;
    uint32_t count = 0;
    uint32_t line_no = 0;
    char *line = NULL;
    size_t cap = 0;
    struct user u;

    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "redrain-bench: %s: %s\n", path, strerror(errno));
        return RR_SYSTEM;
    }
    while (!err && getline(&line, &cap, f) > 0) {
        line_no++;
        enum rr_err parsed = parse_line(line, &u);
        if (parsed == RR_MALFORMED) {
            fprintf(stderr, "redrain-bench: %s:%u: not \"user token\"\n", path, line_no);
            err = RR_CONFIG;
        }
        if (parsed)
            continue;
        list = rr_xrealloc(list, count + 1, sizeof(*list));
        list[count++] = u;
    }
    if (!err && count == 0) {
        fprintf(stderr, "redrain-bench: %s: no tokens\n", path);
        err = RR_CONFIG;
    }
    free(line);
    fclose(f);
    *users = list; /* the caller frees it in any case */
    *n = count;
    return err;
}
