/* delivery.h - what became of the frames that were meant for somebody: a room's members, or all sessions of a worker. Exact at
 * any instant: expected = sent + dropped + closed + queued. */
#ifndef ROOM_DELIVERY_H
#define ROOM_DELIVERY_H

#include <stdint.h>

struct delivery {
    uint64_t expected;
    uint64_t sent;    /* handed to the socket */
    uint64_t dropped; /* latest wins: replaced, or too old, before they were sent */
    uint64_t closed;  /* the socket closed (for a room: or its member left) before they were sent */
    uint64_t queued;
    /* Of a room, beside its frames: what its members asked for, and what we owed them an answer to and could not give. */
    uint64_t grabs;
    uint64_t grabs_failed; /* BUSY, RECOVERING, UNAVAILABLE */
};

#endif
