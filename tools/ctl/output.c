/* JSON for programs, aligned lines for people. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

void ctl_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));

    if (text)
        puts(text);
    free(text);
}

void ctl_print_object(const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        /* The outcome of the call, told by the exit code. */
        if (!strcmp(key, "result") || !strcmp(key, "name"))
            continue;
        if (json_is_string(value))
            printf("%-14s %s\n", key, json_string_value(value));
        else if (json_is_integer(value))
            printf("%-14s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
        else if (json_is_boolean(value))
            printf("%-14s %s\n", key, json_is_true(value) ? "yes" : "no");
    }
}

void ctl_print(const struct ctl *ctl, const json_t *object)
{
    if (ctl->json)
        ctl_print_json(object);
    else
        ctl_print_object(object);
}
