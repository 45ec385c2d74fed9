#include "web_root.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool web_root_has(const char *folder, const char *uri)
{
    char wanted[PATH_MAX];
    char inside[PATH_MAX];
    char real[PATH_MAX];
    size_t n = strlen(uri);
    const char *index = n == 0 || uri[n - 1] == '/' ? "index.html" : "";

    if (snprintf(wanted, sizeof(wanted), "%s/%s%s", folder, uri, index) >= (int)sizeof(wanted))
        return false;
    if (!realpath(wanted, real))
        return errno == ENOENT || errno == ENOTDIR;
    if (!realpath(folder, inside))
        return false;
    n = strlen(inside);
    return strncmp(real, inside, n) == 0 && (real[n] == '/' || real[n] == 0);
}
