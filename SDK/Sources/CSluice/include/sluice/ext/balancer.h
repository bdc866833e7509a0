/*
 * `sluice.lb/1`: a plugin that chooses peers.
 *
 * The host owns the peers of an upstream and gives them to the plugin as an immutable set. The
 * plugin builds a table from a set; workers then pick from the table, without a lock.
 */
#ifndef SLUICE_EXT_BALANCER_H
#define SLUICE_EXT_BALANCER_H

#include "../host.h"
#include "../types.h"

#define SLUICE_LB_ID "sluice.lb/1"

/* Host-owned counters of a peer. Read with relaxed atomic loads; never write. */
typedef struct sluice_peer_load {
    uint64_t in_flight;
    uint64_t latency_ewma_ns;
    uint64_t failures; /* consecutive */
    uint64_t health;   /* 0 healthy, else do not pick unless nothing else is left */
    uint64_t reserved[4];
} sluice_peer_load;

/* One peer. Lifetime: the set. */
typedef struct sluice_peer {
    uint64_t id; /* stable for the same address over updates of the set */
    sluice_slice address; /* "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path" */
    uint32_t weight;      /* 1 to 65535 */
    uint32_t priority;    /* 0 first */
    const sluice_peer_load *load;
    const sluice_value *meta; /* NULL, or an object: "zone", a string; "draining", true: picked only
                                 for what is with it already */
    uint64_t reserved[4];
} sluice_peer;

/* The peers of one upstream, 1 to 65535. Lifetime: until `drop` of the table built from it. */
typedef struct sluice_peer_set {
    uint32_t size;
    uint32_t count;
    uint64_t version;
    sluice_slice upstream; /* its name */
    const sluice_peer *peers;
    uint32_t worker_count;
    uint32_t reserved0;
    uint64_t reserved[4];
} sluice_peer_set;

enum { SLUICE_PICK_MAX = 8 };

/* Results of `pick`. */
enum {
    SLUICE_PICK_OK = 0,
    SLUICE_PICK_NONE = 1, /* no peer may be used now: the host answers 503 */
};

/* A request for a peer. Lifetime: call. */
typedef struct sluice_pick {
    uint32_t size;
    uint32_t attempt; /* 1 for the first */
    uint32_t worker_index;
    uint32_t has_hash;   /* 1 when `hash_key` is set, which may be empty */
    sluice_slice hash_key;
    const uint64_t *tried; /* bit per peer index, 64 a word: failed for this request; NULL: none */
    const sluice_headers *headers; /* the request; NULL unless the table asked for them */
    /* out: peer indices in order of preference; the host takes the first that it can use */
    uint32_t count;
    uint32_t wanted; /* in: how many the host has use for; 0: as many as there are */
    uint32_t candidates[SLUICE_PICK_MAX];
    uint64_t reserved[4];
} sluice_pick;

/* The role's table. Lifetime: instance. */
typedef struct sluice_lb {
    uint32_t size;
    uint32_t flags; /* 0 */

    /* Builds a table from a set; NULL on failure, with the reason in `error`. [control] */
    void *(*build)(void *instance, const sluice_peer_set *set, sluice_errbuf *error);

    /* Frees a table that no worker uses any more. [control] */
    void (*drop)(void *instance, void *table);

    /* Chooses. `tried` peers come last or not at all. [worker] */
    uint32_t (*pick)(void *instance, void *slot, void *table, sluice_pick *pick);

    void *reserved[8];
} sluice_lb;

#endif
