/* sim_core.c - time, chance, memory and coroutines. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/alloc.h"
#include "sim.h"

/* ASan is told of each switch of stacks. Its own swapcontext() only warns, so libc's is called instead. */
#if defined(__SANITIZE_ADDRESS__)
#include <dlfcn.h>
#include <sanitizer/common_interface_defs.h>
#define SIM_ASAN 1
static int (*swap_context)(ucontext_t *from, const ucontext_t *to);

static void swap_find(void)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

    RR_ASSERT(libc);
    *(void **)&swap_context = dlsym(libc, "swapcontext");
    RR_ASSERT(swap_context);
    dlclose(libc);
}
#else
#define swap_context swapcontext
static void swap_find(void)
{
}
#endif

struct sim sim;
struct actor *sim_self;

const char *const sim_hit_names[HIT_COUNT] = {
#define X(name, what) #name,
    SIM_HIT_MAP(X)
#undef X
};
const char *const sim_hit_texts[HIT_COUNT] = {
#define X(name, what) what,
    SIM_HIT_MAP(X)
#undef X
};

/* ---- memory of a seed ---- */

enum { ARENA_BLOCK = 1 << 18 };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(16) char bytes[];
};
static struct block *arena;

void *sim_alloc(size_t size)
{
    struct block *b = arena;
    void *p = NULL;

    size = (size + 15) & ~(size_t)15;
    if (!b || b->used + size > b->size) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

        b = rr_xcalloc(1, sizeof(*b) + room);
        b->size = room;
        b->next = arena;
        arena = b;
    }
    p = b->bytes + b->used;
    b->used += size;
    return p;
}

/* One block is kept: most seeds need no more. */
static void arena_reset(void)
{
    while (arena && arena->next) {
        struct block *b = arena;

        arena = b->next;
        free(b);
    }
    if (arena) {
        memset(arena->bytes, 0, arena->used);
        arena->used = 0;
    }
}

/* ---- chance: splitmix64 ---- */

static uint64_t rng;

static uint64_t next_u64(void)
{
    uint64_t z = (rng += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t sim_rand(uint64_t n)
{
    return n ? next_u64() % n : 0;
}

int64_t sim_between(int64_t lo, int64_t hi)
{
    return hi <= lo ? lo : lo + (int64_t)sim_rand((uint64_t)(hi - lo + 1));
}

bool sim_chance(double p)
{
    return p > 0 && (double)(next_u64() >> 11) * 0x1.0p-53 < p;
}

void sim_hit(enum sim_hit hit)
{
    if (hit != HIT_NONE) {
        sim.hits[hit]++;
        sim_trace("** %s", sim_hit_texts[hit]);
    }
}

bool sim_fault(enum sim_hit hit)
{
    if (!sim.chaos || hit == HIT_NONE || !sim_chance(sim.plan.p[hit]))
        return false;
    sim_hit(hit);
    return true;
}

/* ---- what is seen ---- */

void sim_trace(const char *fmt, ...)
{
    va_list ap;

    if (!sim.trace)
        return;
    printf("%10.3f %-10s ", (double)sim.now_us / 1e3, sim_self ? sim_self->name : "");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_violation(const char *fmt, ...)
{
    char text[sizeof(sim.violation)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sim_trace("!! %s", text);
    if (!sim.violation[0])
        memcpy(sim.violation, text, sizeof(text));
}

/* ---- events: a binary heap ordered by time, then by order of making ---- */

struct event {
    int64_t at_us;
    uint64_t order;
    sim_fn fn;
    void *arg;
    uint64_t n;
};
static struct event *heap;
static size_t heap_n, heap_cap;
static uint64_t order;

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_at(int64_t delay_us, sim_fn fn, void *arg, uint64_t n)
{
    struct event e = {sim.now_us + (delay_us > 0 ? delay_us : 0), order++, fn, arg, n};
    size_t i = heap_n++;

    if (heap_n > heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = rr_xrealloc(heap, heap_cap, sizeof(*heap));
    }
    for (; i > 0 && before(&e, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = e;
}

static struct event heap_pop(void)
{
    struct event top = heap[0];
    struct event last = heap[--heap_n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= heap_n)
            break;
        if (child + 1 < heap_n && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    if (heap_n)
        heap[i] = last;
    return top;
}

void sim_run(int64_t until_us, bool (*done)(void))
{
    while (heap_n && heap[0].at_us <= until_us && !(done && done())) {
        struct event e = heap_pop();

        sim.now_us = e.at_us;
        sim.events++;
        e.fn(e.arg, e.n);
    }
    if (!done && sim.now_us < until_us)
        sim.now_us = until_us;
}

/* ---- coroutines ---- */

enum {
    STACK_BYTES = 256 * 1024,
    ACTORS_MAX = 16,
    RESTART_MIN_US = 200000,
    RESTART_MAX_US = 2500000
};

struct actor_impl {
    ucontext_t ctx;
    char *stack;
    void *fake_stack;
    bool running;
};

static struct actor actors[ACTORS_MAX];
static struct actor_impl impls[ACTORS_MAX];
static uint32_t actors_n;
static ucontext_t scheduler;
#ifdef SIM_ASAN
static const void *main_bottom;
static size_t main_size;
static void *main_fake;
#endif

static void switch_to(struct actor *a)
{
    struct actor *was = sim_self;

    sim_self = a;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&main_fake, a->impl->stack, STACK_BYTES);
#endif
    swap_context(&scheduler, &a->impl->ctx);
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(main_fake, NULL, NULL);
#endif
    sim_self = was;
}

static void switch_back(struct actor *a)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&a->impl->fake_stack, main_bottom, main_size);
#endif
    swap_context(&a->impl->ctx, &scheduler);
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(a->impl->fake_stack, &main_bottom, &main_size);
#endif
}

static void on_wake(void *arg, uint64_t n)
{
    (void)n;
    switch_to(arg);
}

void sim_sleep(int64_t us)
{
    struct actor *a = sim_self;

    if (a->dead)
        return;
    sim_at(us, on_wake, a, 0);
    switch_back(a);
}

static void actor_loop(void)
{
    struct actor *a = sim_self;

#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(NULL, &main_bottom, &main_size);
#endif
    for (;;) {
        a->impl->running = true;
        a->main(a);
        a->impl->running = false;
        /* Dead or done: a supervisor starts it again. */
        if (a->dead)
            sim_trace("dead");
        a->dead = false;
        a->lives++;
        sim_at(sim_between(RESTART_MIN_US, RESTART_MAX_US), on_wake, a, 0);
        switch_back(a);
    }
}

struct actor *actor_start(const char *name, int index, void (*main)(struct actor *a))
{
    struct actor *a = &actors[actors_n];
    struct actor_impl *impl = &impls[actors_n++];

    RR_ASSERT(actors_n <= ACTORS_MAX);
    swap_find();
    if (!impl->stack)
        impl->stack = rr_xcalloc(1, STACK_BYTES);
    *a = (struct actor){.name = name, .main = main, .index = index, .impl = impl};
    getcontext(&impl->ctx);
    impl->ctx.uc_stack.ss_sp = impl->stack;
    impl->ctx.uc_stack.ss_size = STACK_BYTES;
    impl->ctx.uc_link = NULL;
    impl->fake_stack = NULL;
    impl->running = false;
    makecontext(&impl->ctx, actor_loop, 0);
    sim_at(sim_between(0, 20000), on_wake, a, 0);
    return a;
}

bool sim_crash_point(enum sim_hit row)
{
    if (!sim_self->dead && sim_fault(row))
        sim_self->dead = true;
    return sim_self->dead;
}

void sim_pause_point(enum sim_hit row)
{
    if (!sim_self->dead && sim_fault(row))
        sim_sleep(sim_chance(0.7) ? sim_between(1500 * SIM_MS, 14 * SIM_S)
                                  : sim_between(10 * SIM_S, 28 * SIM_S));
}

/* Every actor unwinds, so that nothing it holds is lost. */
void actors_reset(void)
{
    for (uint32_t i = 0; i < actors_n; i++) {
        actors[i].dead = true;
        if (actors[i].impl->running)
            switch_to(&actors[i]);
    }
    actors_n = 0;
    heap_n = 0;
    order = 0;
}

void sim_core_begin(uint64_t seed)
{
    bool trace = sim.trace;
    enum sim_mutation mutation = sim.mutation;

    arena_reset();
    memset(&sim, 0, sizeof(sim));
    sim.seed = seed;
    sim.trace = trace;
    sim.mutation = mutation;
    rng = seed * UINT64_C(0x2545f4914f6cdd1d) + UINT64_C(0x9e3779b97f4a7c15);
    heap_n = 0;
    order = 0;
}
