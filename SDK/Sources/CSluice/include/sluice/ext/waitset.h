/*
 * `sluice.waitset/1`: requests that wait for a key, and wake-ups across workers.
 *
 * What a cache lock, a queue or request coalescing needs: no thread of the plugin's own.
 */
#ifndef SLUICE_EXT_WAITSET_H
#define SLUICE_EXT_WAITSET_H

#include "../host.h"
#include "../http.h"
#include "shared.h"

#define SLUICE_WAITSET_ID "sluice.waitset/1"

/* `sluice.waitset/1`. Lifetime: process. */
typedef struct sluice_waitset {
    uint32_t size;
    uint32_t reserved0;

    /* Take a ticket, look whether there is a reason to wait, then `wait` with the ticket: a wake-up
     * in between is not lost. [any] */
    uint64_t (*ticket)(const sluice_host *host, sluice_key key);

    /* As `suspend` (request.h), and the wait also ends by a `wake` of the key: `resumed` then gets
     * SLUICE_RESUME_WOKEN. SLUICE_EAGAIN when the key may have been woken since the ticket: look
     * again. Keys of different instances are different. [worker; as `suspend`] */
    int32_t (*wait)(const sluice_host *host, sluice_req *request, sluice_key key, uint64_t ticket,
        uint64_t timeout_ns, sluice_token *token);

    /* Wakes up to `count` requests, those first that have waited longest (UINT32_MAX: all). Returns
     * how many. [any] */
    uint32_t (*wake)(const sluice_host *host, sluice_key key, uint32_t count, uint64_t payload);

    void *reserved[5];
} sluice_waitset;

#endif
