/* The admin API over HTTP on the private listener. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "ctl.h"
#include "protocol/code_map.h"

enum { TIMEOUT_S = 30, TOKEN_MAX = 1024 };

struct request {
    const char *method;
    const char *path;
    const char *body;  /* NULL: none */
    const char *token; /* NULL: none */
    const char *key;   /* Idempotency-Key; NULL: none */
};

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
    struct rr_buf *out = arg;

    rr_buf_append(out, p, size * n);
    return out->failed ? 0 : size * n;
}

static struct curl_slist *headers_of(const struct request *r)
{
    struct curl_slist *list = NULL;
    char line[TOKEN_MAX + 32];

    if (r->body)
        list = curl_slist_append(list, "Content-Type: application/json");
    if (r->token) {
        snprintf(line, sizeof(line), "Authorization: Bearer %s", r->token);
        list = curl_slist_append(list, line);
    }
    if (r->key) {
        snprintf(line, sizeof(line), "Idempotency-Key: %s", r->key);
        list = curl_slist_append(list, line);
    }
    /* Without it curl asks for permission to send a large body. */
    return curl_slist_append(list, "Expect:");
}

/* HTTP status, or 0 with *out holding why there was no answer. */
static long http(const struct ctl *ctl, const struct request *r, struct rr_buf *out)
{
    const char *host = ctl->conf.admin_host;
    char url[700];
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();

    if (!curl)
        return 0;
    snprintf(url, sizeof(url),
             strchr(host, ':') ? "http://[%s]:%" PRId64 "%s" : "http://%s:%" PRId64 "%s", host,
             ctl->conf.admin_port, r->path);
    struct curl_slist *headers = headers_of(r);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    if (r->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(r->body));
    }
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    } else {
        rr_buf_clear(out);
        rr_buf_puts(out, why[0] ? why : curl_easy_strerror(rc));
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

static int token_read(const struct ctl *ctl, char *token)
{
    const char *file = ctl->conf.admin_token_file;
    struct stat st;
    int fd = file[0] ? open(file, O_RDONLY | O_CLOEXEC) : -1;

    if (!file[0])
        return ctl_fail("admin.token_file is not set: this command needs the admin API");
    if (fd < 0)
        return ctl_fail("%s: %s", file, strerror(errno));
    if (fstat(fd, &st) || (st.st_mode & (S_IRWXG | S_IRWXO))) {
        close(fd);
        return ctl_fail("%s: its mode lets others read the admin token: chmod 600 it", file);
    }
    ssize_t got = read(fd, token, TOKEN_MAX - 1);
    close(fd);
    size_t len = got > 0 ? (size_t)got : 0;
    token[len] = 0;
    token[strcspn(token, "\r\n")] = 0;
    return token[0] ? CTL_OK : ctl_fail("%s: is empty", file);
}

static const char *text_of_result(const char *name)
{
#define X(name_, n, retryable, zh, en)                                                             \
    if (!strcmp(name, #name_))                                                                     \
        return en;
    RESULT_MAP(X)
#undef X
    return "refused";
}

static int report_error(const struct ctl *ctl, long status, const json_t *answer)
{
    const char *name = json_string_value(json_object_get(answer, "name"));
    const char *field = json_string_value(json_object_get(answer, "field"));
    const char *reason = json_string_value(json_object_get(answer, "reason"));

    if (ctl->json && answer)
        ctl_print_json(answer);
    if (status == 401)
        return ctl_fail("%s: the admin token was refused (HTTP %ld); is admin.token_file the "
                        "server's?",
                        name ? name : "UNAUTHORIZED", status);
    if (!name)
        return ctl_fail("HTTP %ld without a reason", status);
    return ctl_fail("%s: %s%s%s%s%s (HTTP %ld)", name, text_of_result(name),
                    field ? ", field " : "", field ? field : "", reason ? ": " : "",
                    reason ? reason : "", status);
}

static int call(const struct ctl *ctl, struct request r, const json_t *body, json_t **out)
{
    char token[TOKEN_MAX];
    struct rr_buf answer = {0};
    char *text = NULL;
    int rc = token_read(ctl, token);

    *out = NULL;
    if (rc != CTL_OK)
        return rc;
    r.token = token;
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    r.body = text;
    long status = http(ctl, &r, &answer);
    if (status == 0) {
        rc = ctl_fail("no answer from the admin listener %s:%" PRId64 ": %s; is redrain-server "
                      "running?",
                      ctl->conf.admin_host, ctl->conf.admin_port, answer.p ? answer.p : "");
        goto out;
    }
    *out = answer.len ? json_loadb(answer.p, answer.len, 0, NULL) : json_object();
    if (status >= 400)
        rc = report_error(ctl, status, *out);
    else if (!*out)
        rc = ctl_fail("the answer of %s is not JSON", r.path);
    if (rc != CTL_OK) {
        json_decref(*out);
        *out = NULL;
    }
out:
    explicit_bzero(token, sizeof(token));
    rr_buf_fini(&answer);
    free(text);
    return rc;
}

int ctl_api(const struct ctl *ctl, const char *method, const char *path, const json_t *body,
            json_t **out)
{
    return call(ctl, (struct request){.method = method, .path = path}, body, out);
}

int ctl_api_key(const struct ctl *ctl, const char *path, const char *key, const json_t *body,
                json_t **out)
{
    return call(ctl, (struct request){.method = "POST", .path = path, .key = key}, body, out);
}

long ctl_get_text(const struct ctl *ctl, const char *path, char **text)
{
    struct request r = {.method = "GET", .path = path};
    struct rr_buf answer = {0};
    long status = http(ctl, &r, &answer);

    *text = rr_xstrdup(answer.p ? answer.p : "");
    rr_buf_fini(&answer);
    return status;
}
