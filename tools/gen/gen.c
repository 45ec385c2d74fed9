/* gen.c - redrain-gen PART: prints one generated file or table (see gen.sh). Without an argument:
 * the names. */
#include "gen.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct part {
    const char *name;
    void (*print)(struct rr_buf *out);
} parts[] = {
    {"constants", gen_constants}, {"messages", gen_messages},
    {"fields", gen_fields},       {"results", gen_results},
    {"closes", gen_closes},       {"pushes", gen_pushes},
    {"limits", gen_limits},       {"options", gen_options},
    {"metrics", gen_metrics},     {"settler-metrics", gen_settler_metrics},
    {"config", gen_config},
};

static const struct part *part_find(const char *name)
{
    for (size_t i = 0; i < RR_COUNTOF(parts); i++) {
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct part *part = argc == 2 ? part_find(argv[1]) : NULL;
    struct rr_buf out = {0};
    size_t written = 0;
    bool complete = false;

    if (!part) {
        for (size_t i = 0; argc == 1 && i < RR_COUNTOF(parts); i++)
            puts(parts[i].name);
        return argc == 1 ? 0 : 2;
    }
    part->print(&out);
    if (!out.failed)
        written = fwrite(out.p, 1, out.len, stdout);
    complete = !out.failed && written == out.len && fflush(stdout) == 0;
    rr_buf_fini(&out);
    return complete ? 0 : 1;
}
