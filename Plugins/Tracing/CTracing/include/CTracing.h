/* The clocks of the machine: spans have wall-clock times, and the host's are those of the other. */
#ifndef CTRACING_H
#define CTRACING_H

#include <stdint.h>
#include <time.h>

static inline uint64_t tracing_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* What the wall clock is ahead of the one that only goes on, in nanoseconds. */
static inline uint64_t tracing_wall_offset(void) {
    return tracing_clock(CLOCK_REALTIME) - tracing_clock(CLOCK_MONOTONIC);
}

#endif
