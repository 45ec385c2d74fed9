/* corpus_text.c - seeds of the targets that read text, one file each, and a dictionary of their words beside the folder:
 * corpus_text token|conf|admin|http FOLDER  writes FOLDER/… and FOLDER.dict */
#include "fuzz_token.h"

#include "base/buf.h"
#include "base/conf.h"

#include <stdio.h>
#include <string.h>

#define CODE "AAAAAAAAAAAAAAAAAAAAAA"
#define TOKEN "0123456789abcdef"

struct out {
    const char *folder;
    FILE *dict;
    unsigned n;
    bool failed;
};

static void seed(struct out *o, char first, const char *p, size_t len)
{
    char path[4096];
    FILE *f = NULL;

    snprintf(path, sizeof(path), "%s/seed-%03u", o->folder, o->n++);
    f = fopen(path, "wb");
    if (!f || fputc(first, f) == EOF || fwrite(p, 1, len, f) != len)
        o->failed = true;
    if (f && fclose(f) != 0)
        o->failed = true;
}

static void seed_text(struct out *o, char first, const char *text)
{
    seed(o, first, text, strlen(text));
}

static void word(struct out *o, const char *text)
{
    fputc('"', o->dict);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', o->dict);
        if (*text == '\n')
            fputs("\\x0a", o->dict);
        else
            fputc(*text, o->dict);
    }
    fputs("\"\n", o->dict);
}

static void words(struct out *o, const char *const *list)
{
    for (; *list; list++)
        word(o, *list);
}

/* ---- token ---- */

#define HEADER "{\"alg\":\"HS256\",\"kid\":\"k1\"}\n"
#define CLAIMS(more)                                                                               \
    "{\"sub\":\"42\",\"exp\":1800000100,\"aud\":\"redrain\",\"role\":\"viewer\"" more "}"

static void token_seeds(struct out *o)
{
    static const char *const list[] = {
        "\"alg\"",    "\"kid\"",      "\"typ\"",      "\"sub\"",     "\"exp\"",   "\"nbf\"",
        "\"iat\"",    "\"aud\"",      "\"role\"",     "\"rooms\"",   "\"name\"",  "\"level\"",
        "\"since\"",  "\"may_send\"", "\"keys\"",     "\"k\"",       "\"pem\"",   "\"kty\"",
        "\"HS256\"",  "\"RS256\"",    "\"EdDSA\"",    "\"k1\"",      "\"r1\"",    "\"e1\"",
        "\"viewer\"", "\"anchor\"",   "\"guest\"",    "\"redrain\"", "\"JWT\"",   "\"*\"",
        "\\u0000",    "1800000000",   "253402300799", "true",        "\"oct\"",   "none",
        "null",       "[\"r1\"]",     "eyJ",          "e30",         ".e30.AAAA", NULL};

    words(o, list);
    seed_text(o, TOKEN_SIGNED, HEADER CLAIMS(",\"rooms\":\"*\""));
    seed_text(o, TOKEN_SIGNED,
              HEADER CLAIMS(",\"rooms\":[\"r1\",\"r2\"],\"name\":\"\xe5\xb0\x8f\",\"level\":3,"
                            "\"since\":1700000000,\"may_send\":true,\"nbf\":1,\"iat\":2"));
    seed_text(o, TOKEN_SIGNED,
              HEADER "{\"sub\":\"9223372036854775807\",\"exp\":253402300799,\"aud\":[\"x\","
                     "\"redrain\"],\"role\":\"anchor\",\"rooms\":[]}");
    seed_text(o, TOKEN_SIGNED,
              HEADER "{\"sub\":\"1\",\"exp\":5,\"aud\":\"redrain\",\"role\":\"guest\","
                     "\"rooms\":\"*\"}");
    seed_text(o, TOKEN_SIGNED, "{\"alg\":\"none\",\"kid\":\"k1\"}\n" CLAIMS(",\"rooms\":\"*\""));
    seed_text(o, TOKEN_SIGNED,
              "{\"alg\":\"RS256\",\"kid\":\"r1\",\"typ\":\"JWT\"}\n" CLAIMS(",\"rooms\":\"*\""));
    seed_text(o, TOKEN_SIGNED, "{\"alg\":\"EdDSA\",\"kid\":\"e1\"}\n" CLAIMS(""));
    seed_text(o, TOKEN_RAW,
              "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiI0MiJ9."
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    seed_text(o, TOKEN_RAW, "e30.e30.AAAA");
    seed_text(o, TOKEN_KEYS, FUZZ_KEYS);
    seed_text(o, TOKEN_KEYS,
              "{\"keys\":[{\"kid\":\"k1\",\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":"
              "\"" FUZZ_HS256_KEY "\"}]}");
}

/* ---- configuration ---- */

static void conf_seeds(struct out *o)
{
    struct rr_conf c;
    struct rr_buf text = {0};
    char message[256];

#define X(section, key, type, def, min, max, unit, reload, doc) word(o, #section "." #key "=");
    CONF_MAP(X)
#undef X
#define X(section, key, type, def, min, max, unit, reload, doc) word(o, #key " = ");
    CONF_MAP(X)
#undef X
    word(o, "\n[server]\n");
    word(o, "redis://:p@127.0.0.1:6379/0");
    word(o, "mysql://u:p@127.0.0.1:3306/db");
    if (rr_conf_load(&c, NULL, NULL, 0, message, sizeof(message)) != RR_OK) {
        o->failed = true;
        return;
    }
    rr_conf_pack(&c, &text);
    seed(o, 2, text.p, text.len);
    rr_conf_fini(&c);
    rr_buf_fini(&text);
    seed_text(o, 0,
              "[server]\nport = 8480\nworkers = 2 ; two\n\n# a comment\n[redis]\nurl = "
              "redis://127.0.0.1:6379/0\n");
    seed_text(o, 0,
              "[redis]\npassword_file = /a\n[mysql]\npassword_file = /b\ntls = verify\n"
              "tls_ca_file = /ca\n[kafka]\nsecurity_protocol = sasl_ssl\nsasl_username = u\n"
              "sasl_password_file = /c\n");
    seed_text(o, 0,
              "[server]\norigins = https://a.example,http://b:80\ntrusted_proxies = "
              "10.0.0.0/8, fd00::/8\n[log]\nlevel = debug\n");
    seed_text(o, 0, "\xef\xbb\xbf[server]\r\nport=1\r\n   80\r\n");
    seed_text(o, 0, "port = 1\n[nowhere]\nkey\n[");
    seed_text(o, 1, "server.port=9000\nlimits.exempt=::1/128\nrisk.address_header=x-real-ip");
    seed_text(o, 1, "server.prot=1\nserver.port=99999999999999999999\nserver\n=\n.=");
}

/* ---- the private listener ---- */

static const struct {
    const char *line;
    const char *key;
    const char *body;
} requests[] = {
    {"GET /livez", "", ""},
    {"GET /readyz?verbose", "", ""},
    {"GET /metrics", "", ""},
    {"POST /api/v1/rooms/r1/push", "",
     "{\"biz_code\":\"GIFT\",\"payload\":{\"a\":[1,2.5,null,true,\"x\"]}}"},
    {"POST /api/v1/rains", "",
     "{\"room\":\"r1\",\"sender\":\"9\",\"biz_id\":\"b\",\"total\":1000,\"count\":10,\"split\":"
     "\"equal\",\"limit\":1,\"shards\":1,\"lo\":1,\"hi\":900,\"duration_ms\":30000,\"text\":"
     "\"hi\"}"},
    {"POST /api/v1/rains", "",
     "{\"room\":\"r1\",\"sender\":9,\"biz_id\":\"b\",\"total\":1000,\"kind\":\"personal\","
     "\"users\":"
     "[\"7\",8],\"random\":false,\"start_at\":1800000000000,\"expire_at\":1800000100000}"},
    {"POST /api/v1/rains", "",
     "{\"room\":\"r1\",\"sender\":9,\"anchor\":\"8\",\"biz_id\":\"b\",\"total\":1000,\"kind\":"
     "\"system\",\"count\":2,\"random\":true,\"level\":3,\"new_days\":7,\"users\":\"1,2,3\"}"},
    {"GET /api/v1/rains?room=r1", "", ""},
    {"POST /api/v1/rains/stats", "", "{\"codes\":[\"" CODE "\"]}"},
    {"GET /api/v1/rains/" CODE, "", ""},
    {"GET /api/v1/rains/" CODE "/grants?limit=2&after_shard=0&after_no=1", "", ""},
    {"POST /api/v1/rains/" CODE "/prepare", "", ""},
    {"POST /api/v1/rains/" CODE "/start", "", "{\"countdown_ms\":5000,\"duration_ms\":30000}"},
    {"POST /api/v1/rains/" CODE "/extend", "", "{\"add_ms\":1000}"},
    {"POST /api/v1/rains/" CODE "/close", "", "{}"},
    {"POST /api/v1/rains/" CODE "/cancel", "", "{}"},
    {"POST /api/v1/wallet/freeze", "key-1", "{\"user\":\"7\",\"amount\":5}"},
    {"POST /api/v1/wallet/transfer", "key-2", "{\"user\":\"7\",\"to\":\"8\",\"amount\":5}"},
    {"POST /api/v1/wallet/unfreeze", "key-3", "{\"user\":\"7\",\"of\":\"key-1\",\"amount\":5}"},
    {"POST /api/v1/wallet/deduct", "key-4", "{\"user\":\"7\",\"of\":\"key-1\",\"amount\":5}"},
    {"GET /api/v1/wallets/7", "", ""},
    {"GET /api/v1/wallets/7/log?limit=2&before=9", "", ""},
    {"POST /api/v1/wallets/7/deposit", "", "{\"amount\":5,\"biz_id\":\"d\"}"},
    {"GET /api/v1/risk?user=7&rain=" CODE "&state=held&before=9", "", ""},
    {"POST /api/v1/risk/release", "", "{\"code\":\"" CODE "\",\"shard\":0,\"no\":1}"},
    {"POST /api/v1/risk/take_back", "",
     "{\"code\":\"" CODE "\",\"shard\":0,\"no\":1,\"to\":\"a\"}"},
    {"GET /api/v1/bans", "", ""},
    {"POST /api/v1/bans/add", "", "{\"user\":\"7\",\"reason\":\"x\",\"by\":\"y\",\"secs\":60}"},
    {"POST /api/v1/bans/remove", "", "{\"hash\":\"0123456789abcdef\",\"by\":\"y\"}"},
    {"GET /nowhere", "", ""},
};

static void request_words(struct out *o)
{
    static const char *const list[] = {"GET ",
                                       "POST ",
                                       "/api/v1/",
                                       "\"user\":",
                                       "\"amount\":",
                                       "\"biz_id\":",
                                       "\"room\":",
                                       "\"sender\":",
                                       "\"kind\":",
                                       "\"rain\"",
                                       "\"normal\"",
                                       "\"password\"",
                                       "\"exclusive\"",
                                       "\"users\":",
                                       "\"codes\":",
                                       "\"split\"",
                                       "\"payload\":",
                                       "\"biz_code\":",
                                       "?limit=",
                                       "&before=",
                                       "after_shard=",
                                       "after_no=",
                                       "room=",
                                       "\"secs\":",
                                       "\"address\":",
                                       "\"by\":",
                                       "\"reason\":",
                                       "\"hash\":",
                                       TOKEN,
                                       CODE,
                                       "-1",
                                       "9223372036854775807",
                                       "1e400",
                                       "\\u0000",
                                       "\\ud83d\\ude00",
                                       NULL};

    words(o, list);
}

static void admin_seeds(struct out *o)
{
    struct rr_buf b = {0};

    request_words(o);
    for (size_t i = 0; i < RR_COUNTOF(requests); i++) {
        rr_buf_clear(&b);
        rr_buf_printf(&b, "%s\n" TOKEN "\n%s\n%s", requests[i].line, requests[i].key,
                      requests[i].body);
        seed(o, 0, b.p, b.len);
        seed(o, (char)(i + 1), b.p, b.len);
    }
    seed_text(o, 0, "GET /api/v1/bans\nwrong\n\n");
    rr_buf_fini(&b);
}

static void http_seeds(struct out *o)
{
    static const char *const list[] = {"\r\n",
                                       "\r\n\r\n",
                                       "HTTP/1.1\r\n",
                                       "HTTP/1.0\r\n",
                                       "Host: a\r\n",
                                       "Content-Length: ",
                                       "Connection: ",
                                       "close\r\n",
                                       "keep-alive\r\n",
                                       "Upgrade: ",
                                       "websocket\r\n",
                                       "h2c\r\n",
                                       "Authorization: Bearer ",
                                       "Transfer-Encoding: chunked\r\n",
                                       "Expect: 100-continue\r\n",
                                       "%2e%2e/",
                                       "%00",
                                       NULL};
    struct rr_buf b = {0};

    request_words(o);
    words(o, list);
    for (size_t i = 0; i < RR_COUNTOF(requests); i++) {
        rr_buf_clear(&b);
        rr_buf_printf(&b,
                      "%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " TOKEN
                      "\r\nIdempotency-Key: %s\r\nContent-Length: %zu\r\n\r\n%s",
                      requests[i].line, requests[i].key, strlen(requests[i].body),
                      requests[i].body);
        rr_buf_puts(&b, i % 3 == 0 ? "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" : "");
        seed(o, (char)(i % 4), b.p, b.len);
    }
    seed_text(o, 0, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc");
    seed_text(
        o, 0,
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    seed_text(o, 0, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nabc");
    seed_text(o, 0, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
    seed_text(o, 1, "GET /x HTTP/1.0\r\n\r\n");
    seed_text(o, 0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    rr_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*write)(struct out *o);
    } targets[] = {
        {"token", token_seeds}, {"conf", conf_seeds}, {"admin", admin_seeds}, {"http", http_seeds}};
    char path[4096];
    struct out o = {.folder = argc == 3 ? argv[2] : ""};

    snprintf(path, sizeof(path), "%s.dict", o.folder);
    o.dict = argc == 3 ? fopen(path, "w") : NULL;
    for (size_t i = 0; o.dict && i < RR_COUNTOF(targets); i++) {
        if (strcmp(argv[1], targets[i].name) == 0)
            targets[i].write(&o);
    }
    if (!o.dict || fclose(o.dict) != 0 || o.failed || o.n == 0) {
        fprintf(stderr, "usage: corpus_text token|conf|admin|http EXISTING_FOLDER\n");
        return 1;
    }
    return 0;
}
