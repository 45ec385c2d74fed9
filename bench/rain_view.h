/* rain_view.h - what the crowd knows of one rain, shared by all its viewers. */
#ifndef BENCH_RAIN_VIEW_H
#define BENCH_RAIN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

struct rain_view {
    char code[65];         /* [A-Za-z0-9_-]+, checked when it is learned */
    int64_t open_ms;       /* rain time */
    int64_t end_ms;        /* rain time; moved by EXTEND and by an early close */
    int64_t config_end_ms; /* the latest end any RED_PACKET_CONFIG announced */
    bool over;             /* RED_PACKET_END, RESULT or CANCEL arrived */
    uint32_t live_pushes;  /* viewers who got the first live RED_PACKET_CONFIG */
    int64_t first_push_us; /* of those, our clock */
    int64_t last_push_us;
};

#endif
