/* corpus.c - writes the bytes of the golden vectors into a folder, one file each:
 * corpus_writer tests/vectors/messages.json FOLDER */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int entry_write(const char *folder, size_t n, const char *hex)
{
    char path[4096];
    FILE *f = NULL;
    unsigned byte = 0;

    snprintf(path, sizeof(path), "%s/vector-%03zu", folder, n);
    f = fopen(path, "wb");
    if (!f)
        return 0;
    for (; strlen(hex) >= 2 && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        fputc((int)byte, f);
    return fclose(f) == 0;
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *list = argc == 3 ? json_load_file(argv[1], JSON_ALLOW_NUL, &error) : NULL;
    json_t *v = NULL;
    size_t i = 0;
    int ok = json_array_size(list) > 0;

    json_array_foreach(list, i, v)
    {
        const char *hex = json_string_value(json_object_get(v, "hex"));

        ok = ok && hex && entry_write(argv[2], i, hex);
    }
    json_decref(list);
    if (!ok)
        fprintf(stderr, "usage: corpus_writer VECTORS.json EXISTING_FOLDER\n");
    return ok ? 0 : 1;
}
