/* fuzz_conf.c - any bytes as a configuration file, as --set flags, or as what the supervisor hands to its children: no crash,
 * a reason for every refusal, and what is accepted survives being handed on. Files it names are not opened.
 * Input: one byte (modulo 3: 0 file, 1 flags, one a line, 2 handed on; from 24 on what is accepted is not handed on, which
 * costs the most), then the text. */
#include "fuzz.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/secret.h"
#include "text_file.h"

#include <stdlib.h>
#include <string.h>

enum { FLAGS_MAX = 32, KINDS = 3 };

/* A password file anywhere on this machine. */
enum rr_err __wrap_rr_secret_read(const char *file, char out[RR_SECRET_MAX], char *message,
                                  size_t cap);

enum rr_err __wrap_rr_secret_read(const char *file, char out[RR_SECRET_MAX], char *message,
                                  size_t cap)
{
    if (file[0] == '/') {
        snprintf(out, RR_SECRET_MAX, "p:%%@/%.20s", file);
        return RR_OK;
    }
    snprintf(message, cap, "%.100s: no such file", file);
    return RR_CONFIG;
}

static void accepted(struct rr_conf *c)
{
    struct rr_buf first = {0};
    struct rr_buf second = {0};
    struct rr_buf text = {0};
    struct rr_conf again;
    char message[512];

    rr_conf_pack(c, &first);
    RR_ASSERT(rr_conf_unpack(&again, first.p, first.len, message, sizeof(message)) == RR_OK);
    rr_conf_pack(&again, &second);
    RR_ASSERT(first.len == second.len && memcmp(first.p, second.p, first.len) == 0);
    rr_conf_print(c, &text);
    RR_ASSERT(text.len > 0);
    rr_buf_fini(&first);
    rr_buf_fini(&second);
    rr_buf_fini(&text);
    rr_conf_fini(&again);
    rr_conf_fini(c);
}

static enum rr_err load_flags(struct rr_conf *c, char *text, char *message, size_t cap)
{
    const char *flags[FLAGS_MAX];
    char *rest = text;
    size_t n = 0;

    while (n < FLAGS_MAX && rest)
        flags[n++] = strsep(&rest, "\n");
    return rr_conf_load(c, NULL, flags, n, message, cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct text_file file;
    struct rr_conf c;
    char message[512] = "";
    char *text = NULL;
    enum rr_err err = RR_OK;

    if (size == 0)
        return 0;
    text = malloc(size);
    RR_ASSERT(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    if (data[0] % KINDS == 0) {
        RR_ASSERT(text_file_set(&file, text, size - 1));
        err = rr_conf_load(&c, file.name, NULL, 0, message, sizeof(message));
    } else if (data[0] % KINDS == 1) {
        err = load_flags(&c, text, message, sizeof(message));
    } else {
        err = rr_conf_unpack(&c, (const char *)data + 1, size - 1, message, sizeof(message));
    }
    free(text);
    RR_ASSERT(err == RR_OK || (err == RR_CONFIG && message[0]));
    if (!err && data[0] < 8 * KINDS)
        accepted(&c);
    else if (!err)
        rr_conf_fini(&c);
    return 0;
}
