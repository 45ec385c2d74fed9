/* fuzz_session.h - the steps of fuzz_session's input, for the target and its corpus. */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

enum session_step {
    STEP_FRAME, /* a client's message */
    STEP_CONNECT,
    STEP_DISCONNECT,
    STEP_SUBSCRIBED, /* the bus acknowledges r1 (or r2) */
    STEP_LOADED,     /* … and answers the oldest load */
    STEP_POOL,       /* the oldest script call comes back */
    STEP_REPORT,     /* the oldest record is reported */
    STEP_JOB,        /* the oldest database job comes back */
    STEP_BUS_PUSH,
    STEP_TIME,
    STEP_RUN, /* a slice of fan-out */
    STEP_BUSY,
    STEP_WRITABLE,
    STEP_NEXT_SEQ,
    STEP_BUS_STATE,
    STEP_CONTROL,
    STEP_PRODUCER,
    STEP_COUNT
};

#endif
