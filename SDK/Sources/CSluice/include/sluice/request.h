/*
 * Services for one request: waiting, attributes, the hash key.
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

    void *reserved[23];
} sluice_http;

#endif
