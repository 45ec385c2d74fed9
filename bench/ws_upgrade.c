/* ws_upgrade.c - the HTTP upgrade of RFC 6455: our request, the check of the answer. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ws_client.h"

enum { HEAD_MAX_BYTES = 8192 };

static void accept_of(const char *key, char accept[WS_ACCEPT_CHARS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    struct rr_buf b = {0};

    rr_buf_printf(&b, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    accept[0] = 0;
    if (!b.failed && EVP_Digest(b.p, b.len, digest, &len, EVP_sha1(), NULL) == 1)
        EVP_EncodeBlock((unsigned char *)accept, digest, (int)len);
    rr_buf_fini(&b);
}

void ws_upgrade_request(struct ws_client *ws, struct rr_buf *out)
{
    const struct ws_net *net = ws->net;
    uint64_t nonce[2] = {ws_net_random(ws->net), ws_net_random(ws->net)};
    char key[25];

    EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)nonce, sizeof(nonce));
    accept_of(key, ws->accept);
    rr_buf_printf(out,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                  net->path, net->host, key);
    if (net->subprotocol)
        rr_buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", net->subprotocol);
    if (net->origin)
        rr_buf_printf(out, "Origin: %s\r\n", net->origin);
    rr_buf_puts(out, "\r\n");
}

/* Value of a header line in a NUL-terminated head, or NULL. */
static const char *header(const char *head, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *v = line + name_len + 1;
        v += strspn(v, " \t");
        *len = strcspn(v, "\r\n");
        while (*len && (v[*len - 1] == ' ' || v[*len - 1] == '\t'))
            (*len)--;
        return v;
    }
    return NULL;
}

static bool header_is(const char *head, const char *name, const char *want)
{
    size_t len = 0;
    const char *v = header(head, name, &len);
    return v && len == strlen(want) && memcmp(v, want, len) == 0;
}

enum rr_err ws_upgrade_answer(const struct ws_client *ws, size_t *used, int *status)
{
    const char *head = ws->in.p; /* NUL-terminated by rr_buf */
    size_t len = 0;
    *status = 0;
    const char *end = strstr(head, "\r\n\r\n");
    if (!end)
        return ws->in.len > HEAD_MAX_BYTES ? RR_TOO_BIG : RR_RETRY;
    if (strncmp(head, "HTTP/1.1 ", 9) != 0)
        return RR_MALFORMED;
    *status = atoi(head + 9);
    if (*status != 101)
        return RR_CLOSED;
    const char *upgrade = header(head, "Upgrade", &len);
    if (!upgrade || len != 9 || strncasecmp(upgrade, "websocket", 9) != 0)
        return RR_MALFORMED;
    if (!header_is(head, "Sec-WebSocket-Accept", ws->accept) ||
        (ws->net->subprotocol && !header_is(head, "Sec-WebSocket-Protocol", ws->net->subprotocol)))
        return RR_MALFORMED;
    *used = (size_t)(end - head) + 4;
    return RR_OK;
}
