/* `sluice.metrics/1`: what all plugins have counted, for one that shows it. */
#ifndef SLUICE_EXT_METRICS_H
#define SLUICE_EXT_METRICS_H

#include "../types.h"

#define SLUICE_METRICS_ID "sluice.metrics/1"

/* `sluice.metrics/1`. Lifetime: process. */
typedef struct sluice_metrics {
    uint32_t size;
    uint32_t reserved0;

    /* Writes all metrics in the Prometheus text format 0.0.4, in pieces of about 64 KiB. The first
     * result of the sink that is not SLUICE_OK ends it and is returned. [any] */
    int32_t (*write)(const sluice_sink *sink);

    void *reserved[7];
} sluice_metrics;

#endif
