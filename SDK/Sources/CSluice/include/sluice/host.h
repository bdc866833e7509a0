/* What the host offers to every instance. Tables are constant for the life of the process. */
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

/* Kinds of a metric. */
enum {
    SLUICE_METRIC_COUNTER = 1,   /* only grows */
    SLUICE_METRIC_GAUGE = 2,     /* is set, or goes up and down */
    SLUICE_METRIC_HISTOGRAM = 3, /* counts observations by bucket */
};

enum {
    SLUICE_METRIC_LABELS_MAX = 8,
    SLUICE_METRIC_BUCKETS_MAX = 64,
    SLUICE_METRIC_SERIES_MAX = 10000,
};

/* Which worker: its index, or all of them. */
#define SLUICE_WORKER_ALL UINT32_MAX

/* The host's handle of one instance, given to `create`; passed back in calls. Lifetime: process. */
typedef struct sluice_host sluice_host;

/* A metric. Lifetime: call. */
typedef struct sluice_metric {
    uint32_t size;
    uint32_t kind;
    sluice_slice name; /* [a-z][a-z0-9_]*, up to 100; shown as "sluice_plugin_" + name */
    sluice_slice help; /* one line */
    const sluice_slice *labels; /* names of labels, as the metric's; the host adds "plugin" */
    uint32_t label_count;   /* up to SLUICE_METRIC_LABELS_MAX */
    uint32_t series_max;    /* 1 to SLUICE_METRIC_SERIES_MAX; 0: 100 */
    const double *buckets;  /* of a histogram: upper bounds, rising; without the infinite one */
    uint32_t bucket_count;  /* up to SLUICE_METRIC_BUCKETS_MAX */
    uint32_t reserved0;
    uint64_t reserved[4];
} sluice_metric;

/* Work on a worker: `slot` is the worker's. [worker] */
typedef void (*sluice_task)(void *instance, void *slot, void *context);

#define SLUICE_CORE_ID "sluice.core/1"

/* `sluice.core/1`. Lifetime: process. */
typedef struct sluice_core {
    uint32_t size;
    uint32_t reserved0;

    /* -- Log ------------------------------------------------------------------------------- */

    /* Writes one line, prefixed with the instance's name. `message`: call. The host drops lines
     * above the configured level, and beyond a rate. [any] */
    void (*log)(const sluice_host *host, uint32_t level, sluice_slice message);

    /* The same with `key=value` behind the message; up to 16 pairs. Never log secrets. [any] */
    void (*log_pairs)(const sluice_host *host, uint32_t level, sluice_slice message,
        const sluice_pair *pairs, uint32_t count);

    /* The highest level that is written now; compare before building a message. [any] */
    uint32_t (*log_level)(const sluice_host *host);

    /* -- Clocks and chance ----------------------------------------------------------------- */

    /* CLOCK_MONOTONIC in nanoseconds. [any] */
    uint64_t (*now)(const sluice_host *host);

    /* Seconds since the epoch. [any] */
    uint64_t (*wall_clock)(const sluice_host *host);

    /* 64 random bits; not for keys or secrets. [any] */
    uint64_t (*random)(const sluice_host *host);

    /* -- Memory ---------------------------------------------------------------------------- */

    /* Memory that lives until the end of the request, 16-byte aligned, not zeroed. NULL when the
     * request's budget (64 KiB for all plugins together) is used up, or `length` is 0. [worker] */
    void *(*request_alloc)(sluice_req *request, uint64_t length);

    /* A buffer of `capacity` bytes (1 to 16 MiB), `len` 0, not zeroed, 16-byte aligned. NULL when
     * the instance's budget (64 MiB unless the manifest says otherwise) is used up. [any] */
    sluice_buf *(*buf_new)(const sluice_host *host, uint64_t capacity);

    /* A buffer over the plugin's own bytes, which must not change: `free` is called with `context`
     * when the last reference is gone, on whatever thread that happens. NULL: no memory; then
     * `free` is not called. [any] */
    sluice_buf *(*buf_wrap)(const sluice_host *host, sluice_slice bytes,
        void (*free)(void *context), void *context);

    /* A part of a buffer; it holds a reference to the whole. NULL when out of range. [any] */
    sluice_buf *(*buf_slice)(sluice_buf *buf, uint64_t offset, uint64_t length);

    void (*buf_retain)(sluice_buf *buf);  /* [any] */
    void (*buf_release)(sluice_buf *buf); /* [any] */

    /* -- Metrics --------------------------------------------------------------------------- */

    /* Defines a metric; an instance that defines it again gets the same id. SLUICE_EINVAL for a bad
     * name, or another kind or labels than before, with the reason in `error`. [control] */
    int32_t (*metric_define)(const sluice_host *host, const sluice_metric *metric, uint32_t *id,
        sluice_errbuf *error);

    /* The series for these values of its labels; keep it. Beyond `series_max` all share the series
     * whose labels are "other". Values are cut at 128 bytes. [control, worker] */
    int32_t (*metric_series)(uint32_t id, const sluice_slice *values, uint32_t count,
        uint32_t *series);

    /* Without a lock; counters and histograms on the worker's own share. A gauge is what was set
     * last on any thread, and what was added since. Wrong kinds do nothing. [any] */
    void (*metric_add)(uint32_t series, int64_t value); /* a counter takes no negative value */
    void (*metric_set)(uint32_t series, int64_t value);
    void (*metric_observe)(uint32_t series, double value);

    /* -- Attributes ------------------------------------------------------------------------ */

    /* The key of an attribute ("vendor.name", up to 64 bytes) of a type (SLUICE_ATTR_*): the same
     * for all plugins that ask for it. SLUICE_EINVAL when it has another type already,
     * SLUICE_ENOMEM after 256 keys. [control] */
    int32_t (*attr_key)(const sluice_host *host, sluice_slice name, uint32_t type, uint32_t *key);

    /* -- Time and threads ------------------------------------------------------------------ */

    /* Calls `task` on this worker in `delay_ns`, and then every `period_ns` (0: once). Precise to
     * some milliseconds. SLUICE_ENOMEM when the instance has 1,024 timers on this worker.
     * [worker] */
    int32_t (*timer_set)(const sluice_host *host, uint64_t delay_ns, uint64_t period_ns,
        sluice_task task, void *context, sluice_token *timer);

    /* SLUICE_ESTALE when it has fired for the last time. [worker that set it] */
    int32_t (*timer_cancel)(const sluice_host *host, const sluice_token *timer);

    /* Calls `task` on a worker, or on each of them. Those that come before the worker has started
     * run then; after `worker_stop` none runs. SLUICE_EINVAL for no such worker, SLUICE_EAGAIN when
     * 65,536 tasks wait for one of them; then it runs on none. [any] */
    int32_t (*post)(const sluice_host *host, uint32_t worker, sluice_task task, void *context);

    /* Calls `work` on a thread that may block, then `done` on the worker that asked (NULL: nobody).
     * SLUICE_EAGAIN when 1,024 of the instance wait or run, SLUICE_EINVAL for a `done` on another
     * thread than a worker's. [worker, control: then without `done`] */
    int32_t (*offload)(const sluice_host *host, void (*work)(void *instance, void *context),
        sluice_task done, void *context);

    void *reserved[38];
} sluice_core;

#endif
