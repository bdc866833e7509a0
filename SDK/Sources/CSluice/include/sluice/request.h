/*
 * Services for one request: waiting, attributes, the hash key, hooks that took long.
 *
 * Waiting: a hook calls `suspend`, keeps the token, and returns SUSPEND. Whoever has the token
 * calls `resume`, from any thread. The host then calls `resumed` of the instance on the request's
 * worker, exactly once, and its verdict is the phase's.
 *
 *   hook: suspend() + SUSPEND ---- resume(token, payload) ----> resumed(SLUICE_RESUMED, payload)
 *                              \-- deadline passed -----------> resumed(SLUICE_RESUME_DEADLINE)
 *                              \-- request over --------------> request_end, and no `resumed`
 *
 * A second `resume`, or one after the deadline or the request's end, returns SLUICE_ESTALE and does
 * nothing. A `resume` that comes before the hook has returned is kept.
 */
#ifndef SLUICE_REQUEST_H
#define SLUICE_REQUEST_H

#include "http.h"
#include "types.h"

/* Types of an attribute. */
enum {
    SLUICE_ATTR_U64 = 1,
    SLUICE_ATTR_BYTES = 2,
};

/* Slow calls of one request that are kept: the first ones. */
enum {
    SLUICE_SLOW_HOOKS_MAX = 16,
};

/*
 * A call of a hook that took long: from its begin to its last verdict, the waits that it began
 * included, and in them whatever it waited for, as a callout or offloaded work. Times are
 * nanoseconds of CLOCK_MONOTONIC. Lifetime: hook.
 */
typedef struct sluice_slow_hook {
    sluice_slice instance; /* its name in the manifest. Lifetime: process */
    uint32_t phase;        /* that of calls of a cache for a request is cache_lookup */
    uint32_t waits;        /* that the call began */
    uint64_t start;
    uint64_t end;  /* 0 while it waits; in request_end: the request was over before the wait */
    uint64_t busy; /* of that time, what ran on the worker in the plugin's code */
    uint64_t reserved[2];
} sluice_slow_hook;

#define SLUICE_HTTP_ID "sluice.http/1"

/* `sluice.http/1`. Lifetime: process. */
typedef struct sluice_http {
    uint32_t size;
    uint32_t reserved0;

    /* Begins a wait of at most `timeout_ns` (0 and more than the host's bound, 60 s unless the
     * manifest says otherwise, mean the bound). The hook must return SUSPEND; with another verdict
     * the wait is over. SLUICE_ENOTSUP in a phase that can't wait or without a `resumed` hook,
     * SLUICE_EINVAL when the request waits already, SLUICE_ENOMEM when the worker has too many
     * waits. [worker; request_headers, request_body, upstream_request, upstream_response,
     * upstream_body, response_headers, response_body] */
    int32_t (*suspend)(sluice_req *request, uint64_t timeout_ns, sluice_token *token);

    /* Ends a wait. SLUICE_OK when this call ended it, else SLUICE_ESTALE. [any] */
    int32_t (*resume)(const sluice_token *token, uint64_t payload);

    /* Gives a number or bytes (copied, to the end of the request; up to 4,096) to plugins that come
     * later. `key` is of `attr_key`. SLUICE_EINVAL for another type than the key's, SLUICE_ENOMEM.
     * Takes effect at once and stays when the hook fails. [worker; any phase] */
    int32_t (*attr_set_u64)(sluice_req *request, uint32_t key, uint64_t value);
    int32_t (*attr_set_bytes)(sluice_req *request, uint32_t key, sluice_slice value);

    /* What was set last; SLUICE_ESTALE when nothing was. Bytes: until they are set again, at most
     * to the end of the request. [worker; any phase] */
    int32_t (*attr_get_u64)(sluice_req *request, uint32_t key, uint64_t *value);
    int32_t (*attr_get_bytes)(sluice_req *request, uint32_t key, sluice_slice *value);

    /* What the balancer hashes, in place of what the manifest says: copied, up to 4,096 bytes.
     * SLUICE_ENOTSUP after a peer was picked. [worker; request_headers] */
    int32_t (*set_hash_key)(sluice_req *request, sluice_slice key);

    /* From now on the host keeps the calls of this request's hooks, of all plugins, that take
     * `threshold_ns` or more. Of several thresholds the least counts, so leave out what is below
     * your own. A request that nobody asks this for is not timed. SLUICE_EINVAL for 0. [worker; any
     * phase] */
    int32_t (*watch_hooks)(sluice_req *request, uint64_t threshold_ns);

    /* How many were kept by now, up to SLUICE_SLOW_HOOKS_MAX, and where they are, in the order in
     * which they ended or began to wait. `hooks` is not set when there are none. [worker; any
     * phase] */
    uint32_t (*slow_hooks)(sluice_req *request, const sluice_slow_hook **hooks);

    void *reserved[21];
} sluice_http;

#endif
