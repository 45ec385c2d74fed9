#include "limit_map.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNERS_MAX = 65, KEYS_PER_CONNECTION = 2 /* its address and its user */ };

static_assert(LIMIT_KEY_BYTES == crypto_shorthash_KEYBYTES, "the key of SipHash");

struct limit_map_head {
    uint64_t bytes;
    unsigned char key[LIMIT_KEY_BYTES];
    _Atomic int32_t sockets[OWNERS_MAX];
    _Atomic bool counted[OWNERS_MAX];
};

enum { HEAD_BYTES = 4096 };
static_assert(sizeof(struct limit_map_head) <= HEAD_BYTES, "slots begin on a page");

static void lay_out(const struct rr_conf *conf, struct limit_map *m)
{
    memset(m, 0, sizeof(*m));
    m->fd = -1;
    m->rates.n = rate_slots_size((uint32_t)conf->limits_slots);
    m->counts.owners = (uint32_t)conf->server_workers + 1;
    m->counts.section =
        count_slots_section((uint32_t)conf->server_max_connections * KEYS_PER_CONNECTION);
    m->bytes = HEAD_BYTES + sizeof(uint64_t) * m->rates.n +
               sizeof(uint64_t) * m->counts.section * m->counts.owners;
}

static enum rr_err map(struct limit_map *m, int fd)
{
    void *p = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return RR_SYSTEM;
    m->fd = fd;
    m->head = p;
    m->rates.words = (_Atomic uint64_t *)(void *)((char *)p + HEAD_BYTES);
    m->counts.words = m->rates.words + m->rates.n;
    m->counts.used = m->head->counted;
    return RR_OK;
}

enum rr_err limit_map_create(const struct rr_conf *conf, struct limit_map *out)
{
    int fd = memfd_create("redrain-limits", 0);
    enum rr_err err = RR_SYSTEM;

    lay_out(conf, out);
    if (fd < 0)
        return RR_SYSTEM;
    if (ftruncate(fd, (off_t)out->bytes) == 0)
        err = map(out, fd);
    if (err) {
        close(fd);
        return err;
    }
    out->head->bytes = out->bytes;
    randombytes_buf(out->head->key, sizeof(out->head->key));
    return RR_OK;
}

enum rr_err limit_map_attach(int fd, const struct rr_conf *conf, struct limit_map *out)
{
    struct stat st;

    lay_out(conf, out);
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)out->bytes)
        return RR_CONFIG;
    if (map(out, fd) != RR_OK)
        return RR_SYSTEM;
    return out->head->bytes == out->bytes ? RR_OK : RR_CONFIG;
}

void limit_map_close(struct limit_map *m)
{
    if (!m->head)
        return;
    munmap(m->head, m->bytes);
    close(m->fd);
    m->head = NULL;
    m->fd = -1;
}

void limit_map_reap(const struct limit_map *m, uint32_t owner)
{
    if (!m->head || owner >= m->counts.owners)
        return;
    count_slots_clear(&m->counts, owner);
    atomic_store(&m->head->sockets[owner], 0);
}

uint64_t limit_map_hash(const struct limit_map *m, const void *bytes, size_t n)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t out = 0;

    crypto_shorthash(hash, bytes, n, m->head->key);
    memcpy(&out, hash, sizeof(out));
    return out ? out : 1;
}

uint32_t limit_map_sockets(const struct limit_map *m)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < m->counts.owners; i++)
        n += atomic_load(&m->head->sockets[i]);
    return n > 0 ? (uint32_t)n : 0;
}

void limit_map_socket(const struct limit_map *m, uint32_t owner, bool opened)
{
    atomic_fetch_add(&m->head->sockets[owner], opened ? 1 : -1);
}
