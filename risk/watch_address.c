/* watch_address.c - which users grab from one address: a list per address and window, bounded each and together. */
#include <stdlib.h>
#include <utlist.h>

#include "base/alloc.h"
#include "watch_private.h"

enum { FIRST_ALLOC = 4 };

static void address_drop(struct risk_watch *w, struct address_node *a)
{
    HASH_DEL(w->addresses, a);
    DL_DELETE(w->addresses_lru, a);
    if (a->dirty)
        DL_DELETE2(w->addresses_dirty, a, dirty_prev, dirty_next);
    w->members -= a->n;
    free(a->users);
    free(a);
}

void risk__addresses_fini(struct risk_watch *w)
{
    struct address_node *a = NULL;
    struct address_node *tmp = NULL;

    HASH_ITER (hh, w->addresses, a, tmp)
        address_drop(w, a);
}

struct address_node *risk__address_find(struct risk_watch *w, uint64_t address)
{
    struct address_node *a = NULL;

    HASH_FIND(hh, w->addresses, &address, sizeof(address), a);
    return a;
}

static struct address_node *address_get(struct risk_watch *w, uint64_t address, int64_t window)
{
    struct address_node *a = risk__address_find(w, address);

    if (!a && HASH_COUNT(w->addresses) >= w->opts.addresses_max) {
        address_drop(w, w->addresses_lru);
        w->forgotten++;
    }
    if (!a) {
        a = rr_xcalloc(1, sizeof(*a));
        a->address = address;
        a->window = window;
        HASH_ADD(hh, w->addresses, address, sizeof(a->address), a);
        DL_APPEND(w->addresses_lru, a);
        return a;
    }
    DL_DELETE(w->addresses_lru, a);
    DL_APPEND(w->addresses_lru, a);
    if (a->window != window) {
        w->members -= a->n;
        a->n = 0;
        a->sent = 0;
        a->merged = 0;
        a->window = window;
    }
    return a;
}

static bool is_member(const struct address_node *a, uint64_t user)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->users[i] == user)
            return true;
    }
    return false;
}

static void member_add(struct risk_watch *w, struct address_node *a, uint64_t user)
{
    struct address_node *oldest = w->addresses_lru;

    /* Room for one: others go, not the one that is being counted. One at a time; the next tap goes on with it. */
    if (w->members >= w->opts.members_max && oldest != a) {
        address_drop(w, oldest);
        w->forgotten++;
    }
    if (a->n == RISK_ADDRESS_USERS_MAX || w->members >= w->opts.members_max)
        return;
    if (a->n == a->alloc) {
        a->alloc = a->alloc ? 2 * a->alloc : FIRST_ALLOC;
        a->users = rr_xrealloc(a->users, a->alloc, sizeof(*a->users));
    }
    a->users[a->n++] = user;
    w->members++;
    if (!a->dirty) {
        a->dirty = true;
        DL_APPEND2(w->addresses_dirty, a, dirty_prev, dirty_next);
    }
}

int64_t risk__address_add(struct risk_watch *w, uint64_t address, int64_t window,
                          struct user_node *u)
{
    struct address_node *a = address_get(w, address, window);
    bool counted = u->address == address && u->address_window == window && a->n > 0;

    if (!counted && !is_member(a, (uint64_t)u->user_id))
        member_add(w, a, (uint64_t)u->user_id);
    u->address = address;
    u->address_window = window;
    /* Ours and theirs overlap, nobody knows by how much: the larger number is the safe one. */
    return a->merged > a->n ? a->merged : a->n;
}
