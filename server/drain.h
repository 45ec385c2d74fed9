/* drain.h - when a worker that leaves does what: the states, without I/O. drain_step() is the only transition function; what is
 * done in a state is in worker_drain.c.
 *
 *   RUNNING ──SIGTERM──► ANNOUNCED ──ready_wait──► LEAVING ──everybody left, or had his time──► FLUSHING
 *      │ └──a successor has the socket──────────────►┘                                             │ nothing in flight
 *      └──at once (second SIGTERM, orphaned)──────────────────────────────────────────────────────►┤
 *                                                        DONE ◄──sockets gone, or 1 s── CLOSING ◄──┘
 *
 *   ANNOUNCED  /readyz says 503, everything goes on: the balancer takes this server off
 *   LEAVING    no new sockets; everybody gets GOAWAY with a slot of his own, members of a room with a live rain after it ended
 *   FLUSHING   no new grabs; those in flight are answered, Kafka's reports read, outbox entries deleted
 *   CLOSING    4001 to the rest
 * After timeout_ms every state before CLOSING ends. Thread: the worker's loop. */
#ifndef SERVER_DRAIN_H
#define SERVER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

enum drain_phase {
    DRAIN_RUNNING,
    DRAIN_ANNOUNCED,
    DRAIN_LEAVING,
    DRAIN_FLUSHING,
    DRAIN_CLOSING,
    DRAIN_DONE,
};

enum drain_mode {
    DRAIN_LEAVE, /* the whole server goes */
    DRAIN_HAND,  /* another process accepts on the same socket already */
    DRAIN_FAST,  /* no waiting for clients */
};

struct drain_opts {
    int64_t ready_wait_us;
    int64_t spread_us;    /* the last slot */
    int64_t wait_rain_us; /* from the beginning of LEAVING */
    int64_t timeout_us;   /* from the signal to CLOSING */
};

/* What the worker sees at a step. */
struct drain_view {
    int64_t now_us;
    uint32_t sessions;
    uint32_t sockets; /* accepted ones, also those in their handshake */
    bool listening;   /* the listening socket is still open here */
    uint32_t untold;  /* sessions without GOAWAY */
    uint32_t
        in_flight; /* grabs without an answer, records without a report, entries to be deleted */
};

struct drain {
    struct drain_opts opts;
    enum drain_phase phase;
    enum drain_mode mode;
    int64_t began_us;
    int64_t phase_us;     /* when this phase began */
    int64_t last_slot_us; /* the latest one given, 0: none */
    int64_t deadline_us;
    bool cut; /* timeout_ms came before the end */
};

/* A signal. A later one can only make it faster. */
void drain_begin(struct drain *d, const struct drain_opts *o, enum drain_mode mode, int64_t now_us);
/* Moves on as far as it goes; call about every 100 ms and after each change. True: the phase changed. */
bool drain_step(struct drain *d, const struct drain_view *v);
/* Members of a room with a live rain are not told yet. */
bool drain_waits_for_rain(const struct drain *d, int64_t now_us);
/* delay_ms of the i-th of n that are told in one wave that began at wave_us; noted as the latest slot. */
uint32_t drain_slot_ms(struct drain *d, uint32_t i, uint32_t n, int64_t wave_us, int64_t now_us);

#endif
