/*
 * `sluice.http_client/1`: requests of a plugin's own, to upstreams of the manifest.
 *
 * They go through the host's connections: pooled, with the upstream's peers, balancer and timeouts.
 * The whole response is collected, up to a bound. A callout that belongs to a request is cancelled
 * with it.
 */
#ifndef SLUICE_EXT_HTTP_CLIENT_H
#define SLUICE_EXT_HTTP_CLIENT_H

#include "../host.h"
#include "../http.h"
#include "../types.h"

#define SLUICE_HTTP_CLIENT_ID "sluice.http_client/1"

/* What came of a callout. */
enum {
    SLUICE_CALL_OK = 0,        /* there is a whole response, whatever its status */
    SLUICE_CALL_FAILED = 1,    /* no peer could be reached, or it broke HTTP or off */
    SLUICE_CALL_TIMEOUT = 2,   /* not done in `timeout_ns` */
    SLUICE_CALL_TOO_LARGE = 3, /* the body is over `body_max` */
};

/* A response, or why there is none. Lifetime: call. */
typedef struct sluice_call_result {
    uint32_t size;
    uint32_t outcome; /* SLUICE_CALL_* */
    uint32_t status;  /* 200 to 999 with SLUICE_CALL_OK */
    uint32_t reserved0;
    const sluice_headers *headers;
    sluice_slice body;
    uint64_t reserved[4];
} sluice_call_result;

/* A request to make. Lifetime: call; the host copies it. */
typedef struct sluice_call {
    uint32_t size;
    uint32_t field_count;
    sluice_slice upstream;  /* name of an upstream of the manifest */
    sluice_slice method;    /* empty: "GET" */
    sluice_slice path;      /* begins with '/' */
    sluice_slice authority; /* the Host; empty: the upstream's */
    const sluice_pair *fields; /* not the ones of framing or Host */
    sluice_slice body;      /* up to 1 MiB */
    uint64_t body_max;      /* of the response; up to 1 MiB, 0: 64 KiB */
    uint64_t timeout_ns;    /* of it all; up to 60 s, 0: 5 s */
    /* Called once, unless the call is cancelled: on the thread that started it. [worker] */
    void (*done)(void *instance, void *slot, void *context, const sluice_call_result *result);
    void *context; /* passed to `done` */
    uint64_t reserved[4];
} sluice_call;

/* `sluice.http_client/1`. Lifetime: process. */
typedef struct sluice_http_client {
    uint32_t size;
    uint32_t reserved0;

    /* Starts a callout for a request, or for none (NULL; then only `cancel` ends it early).
     * `done` is never called before `start` has returned. SLUICE_EINVAL when the call breaks a rule
     * of HTTP or a bound, SLUICE_ESTALE for an unknown upstream, SLUICE_ENOMEM when 16 callouts of
     * this request, or 1,024 of the worker, run already, SLUICE_ENOTSUP on another thread than a
     * worker's. [worker] */
    int32_t (*start)(const sluice_host *host, sluice_req *request, const sluice_call *call,
        sluice_token *token);

    /* Cancels: `done` will not be called. SLUICE_ESTALE when it has been, or will not be.
     * [worker] */
    int32_t (*cancel)(const sluice_host *host, const sluice_token *token);

    /* Whether the manifest has an upstream of this name: 1 or 0. [any] */
    uint32_t (*has_upstream)(const sluice_host *host, sluice_slice name);

    void *reserved[13];
} sluice_http_client;

#endif
