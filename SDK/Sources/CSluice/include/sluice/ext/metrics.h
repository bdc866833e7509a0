/*
 * `sluice.metrics/1`: what the host and all plugins have counted, for one that shows it.
 *
 * A library that reads it names it among the tables that it needs (`required`): unless somebody
 * does, or there is an admin interface, workers do not count requests.
 */
#ifndef SLUICE_EXT_METRICS_H
#define SLUICE_EXT_METRICS_H

#include "../types.h"

#define SLUICE_METRICS_ID "sluice.metrics/1"

/* Formats of `write_as`. */
enum {
    SLUICE_METRICS_TEXT = 0,        /* the Prometheus text format 0.0.4 */
    SLUICE_METRICS_OPENMETRICS = 1, /* OpenMetrics 1.0; ends with the line "# EOF" */
};

/* `sluice.metrics/1`. Lifetime: process. */
typedef struct sluice_metrics {
    uint32_t size;
    uint32_t reserved0;

    /* Writes all metrics, those of the host included, in the Prometheus text format 0.0.4, in
     * pieces of about 64 KiB. The first result of the sink that is not SLUICE_OK ends it and is
     * returned. [any] */
    int32_t (*write)(const sluice_sink *sink);

    /* The same in another format, SLUICE_METRICS_*; SLUICE_EINVAL for one that is not known. NULL
     * where the host has 0.0.4 alone. [any] */
    int32_t (*write_as)(uint32_t format, const sluice_sink *sink);

    void *reserved[6];
} sluice_metrics;

#endif
