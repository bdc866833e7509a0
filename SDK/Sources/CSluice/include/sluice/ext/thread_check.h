/* `sluice.thread_check/1`: which thread this is; for asserts in plugins and for tests. */
#ifndef SLUICE_EXT_THREAD_CHECK_H
#define SLUICE_EXT_THREAD_CHECK_H

#include "../types.h"

#define SLUICE_THREAD_CHECK_ID "sluice.thread_check/1"

enum {
    SLUICE_THREAD_OTHER = 0, /* not the host's */
    SLUICE_THREAD_CONTROL = 1,
    SLUICE_THREAD_WORKER = 2,
    SLUICE_THREAD_BLOCKING = 3,
};

/* `sluice.thread_check/1`. Lifetime: process. */
typedef struct sluice_thread_check {
    uint32_t size;
    uint32_t reserved0;

    /* SLUICE_THREAD_*. [any] */
    uint32_t (*current)(void);

    /* Index of the worker, or UINT32_MAX on another thread. [any] */
    uint32_t (*worker_index)(void);

    void *reserved[6];
} sluice_thread_check;

#endif
