/* run.c - a fuzz target without libFuzzer: runs every file of the folders given once. Exit 1 when
 * there is none. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 20 };

static int file_run(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *all = malloc(FILE_MAX_BYTES);
    uint8_t *exact = NULL;
    size_t len = 0;
    int ok = 0;

    if (!f || !all)
        goto out;
    len = fread(all, 1, FILE_MAX_BYTES, f);
    exact = realloc(all, len ? len : 1); /* so that the byte after the last is nobody's */
    if (!exact)
        goto out;
    all = exact;
    ok = LLVMFuzzerTestOneInput(all, len) == 0;
out:
    free(all);
    if (f)
        fclose(f);
    return ok;
}

static int folder_run(const char *folder)
{
    char path[4096];
    struct dirent *entry = NULL;
    DIR *dir = opendir(folder);
    int files = 0;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (!file_run(path)) {
            fprintf(stderr, "cannot run %s\n", path);
            files = -1;
            break;
        }
        files++;
    }
    if (dir)
        closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int files = folder_run(argv[i]);

        if (files <= 0) {
            fprintf(stderr, "%s: no input\n", argv[i]);
            return 1;
        }
        total += files;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
