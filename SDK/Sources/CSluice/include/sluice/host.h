/* What the host offers. Tables are constant for the life of the process. */
#ifndef SLUICE_HOST_H
#define SLUICE_HOST_H

#include "http.h"
#include "types.h"

/* Levels of the log. */
enum {
    SLUICE_LOG_ERROR = 1,
    SLUICE_LOG_WARN = 2,
    SLUICE_LOG_INFO = 3,
    SLUICE_LOG_DEBUG = 4,
};

/* The host's handle of one instance, given to `create`; passed back in calls. */
typedef struct sluice_host sluice_host;

#define SLUICE_CORE_ID "sluice.core/1"

/* `sluice.core/1`: services that every instance may use. */
typedef struct sluice_core {
    uint32_t size;
    uint32_t reserved0;

    /* Writes one line, prefixed with the instance's name. `message`: call. The host drops lines
     * above the configured level, and beyond a rate. [any] */
    void (*log)(const sluice_host *host, uint32_t level, sluice_slice message);

    /* The highest level that is written now; compare before building a message. [any] */
    uint32_t (*log_level)(const sluice_host *host);

    /* CLOCK_MONOTONIC in nanoseconds. [any] */
    uint64_t (*now)(const sluice_host *host);

    /* Seconds since the epoch. [any] */
    uint64_t (*wall_clock)(const sluice_host *host);

    /* 64 random bits; not for keys or secrets. [any] */
    uint64_t (*random)(const sluice_host *host);

    /* Memory that lives until the end of the request, 16-byte aligned, not zeroed. NULL when the
     * request's budget (64 KiB for all plugins together) is used up, or `length` is 0. [worker] */
    void *(*request_alloc)(sluice_req *request, uint64_t length);

    void *reserved[26];
} sluice_core;

#endif
