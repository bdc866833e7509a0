/*
 * `sluice.shared/1`: counters and small values that all workers share, kept by the host.
 *
 * A table belongs to the instance's name in the manifest: an instance that takes the place of
 * another one under this name finds what that left.
 */
#ifndef SLUICE_EXT_SHARED_H
#define SLUICE_EXT_SHARED_H

#include "../host.h"
#include "../types.h"

#define SLUICE_SHARED_ID "sluice.shared/1"

/* A key: 128 bits that the plugin makes, as a rule by a hash (`hash128`). Not both words 0. */
typedef struct sluice_key {
    uint64_t low;
    uint64_t high;
} sluice_key;

typedef struct sluice_table sluice_table; /* opaque. Lifetime: process */

/* A token bucket's answer. */
typedef struct sluice_bucket_answer {
    uint32_t granted;  /* 1: taken; 0: not enough tokens, nothing was taken */
    uint32_t reserved0;
    uint64_t tokens;   /* whole tokens left */
    uint64_t wait_ns;  /* until the cost would be there; 0 when granted */
} sluice_bucket_answer;

/* `sluice.shared/1`. Lifetime: process. */
typedef struct sluice_shared {
    uint32_t size;
    uint32_t reserved0;

    /* The table of this name: made, or found as it was. `capacity` entries, 64 to 16,777,216,
     * rounded up to a power of two; when it is full the entry that expires first nearby makes
     * room. SLUICE_EINVAL when it exists with another capacity, SLUICE_ENOMEM. [control] */
    int32_t (*open)(const sluice_host *host, sluice_slice name, uint64_t capacity,
        sluice_table **table);

    /* A keyed 128-bit hash of bytes; the key is the process's, so a client can't choose collisions.
     * [any] */
    void (*hash128)(sluice_slice bytes, sluice_key *key);

    /* Adds to a counter and returns its new value. One that is not there, or has expired, begins at
     * 0 and expires `ttl_ns` from now (0: never), to about a millisecond. Without a lock once the
     * entry is there. [any] */
    int64_t (*counter_add)(sluice_table *table, sluice_key key, int64_t delta, uint64_t ttl_ns);

    /* The counter's value; 0 when it is not there or has expired. [any] */
    int64_t (*counter_get)(sluice_table *table, sluice_key key);

    /* Takes `cost` tokens from a bucket that is refilled by `rate_milli` thousandths of a token a
     * second (1 to 10^12) up to `burst` (1 or more), and is full when it is new; a cost of 0 only
     * looks. Exact over all workers, without a lock. SLUICE_EINVAL when a number is out of its
     * range or `cost` over `burst`. [any] */
    int32_t (*bucket_take)(sluice_table *table, sluice_key key, uint64_t rate_milli, uint64_t burst,
        uint64_t cost, sluice_bucket_answer *answer);

    /* Copies a value of up to 1,024 bytes into `to`. SLUICE_ESTALE when there is none,
     * SLUICE_EAGAIN when it is longer than `capacity`; `length` and `version` are set in both other
     * cases. [any] */
    int32_t (*value_get)(sluice_table *table, sluice_key key, uint8_t *to, uint64_t capacity,
        uint64_t *length, uint64_t *version);

    /* Sets a value when its version is still `expected` (0: there must be none; UINT64_MAX:
     * whatever is there), else SLUICE_ESTALE. An empty value removes it. [any] */
    int32_t (*value_set)(sluice_table *table, sluice_key key, sluice_slice value, uint64_t expected,
        uint64_t ttl_ns, uint64_t *version);

    void *reserved[8];
} sluice_shared;

#endif
