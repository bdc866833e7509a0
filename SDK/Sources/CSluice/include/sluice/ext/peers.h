/*
 * `sluice.peers/1`: the peers of upstreams: which there are, how they are, and who they shall be.
 *
 * The host owns the peers. A plugin that discovers them gives whole sets, one that checks them says
 * how each is; balancers read the outcome in `sluice_peer_load`.
 */
#ifndef SLUICE_EXT_PEERS_H
#define SLUICE_EXT_PEERS_H

#include "../headers.h"
#include "../host.h"
#include "../types.h"

#define SLUICE_PEERS_ID "sluice.peers/1"

/* How a peer is. All but the first keep balancers away while another peer is left. */
enum {
    SLUICE_HEALTH_HEALTHY = 0,
    SLUICE_HEALTH_UNHEALTHY = 1, /* its checks fail */
    SLUICE_HEALTH_EJECTED = 2,   /* requests to it fail */
};

/* Flags of `set_health`. */
enum {
    /* Balancers pick it all the same (panic): too few of the upstream's peers are healthy. */
    SLUICE_HEALTH_USED = 1u << 0,
};

/* Flags of a peer. */
enum {
    SLUICE_PEER_BACKUP = 1u << 0,   /* only when no other peer of the upstream can be used */
    SLUICE_PEER_DRAINING = 1u << 1, /* nothing but requests of sessions that a balancer keeps with
                                       it; those that run finish */
};

/* Bounds of `set_peers`. */
enum {
    SLUICE_PEERS_MAX = 65535,
    SLUICE_PEER_ADDRESS_MAX = 256, /* bytes */
    SLUICE_PEER_ZONE_MAX = 64,     /* bytes */
};

/* A peer for `set_peers`. Lifetime: call; the host copies it. */
typedef struct sluice_new_peer {
    sluice_slice address; /* "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path"; never a name */
    uint32_t weight;      /* 1 to 65535; 0: 1 */
    uint32_t priority;    /* 0 (first) to 65535 */
    uint32_t flags;       /* SLUICE_PEER_* */
    uint32_t reserved0;
    sluice_slice zone; /* where it is; or empty */
    uint64_t reserved[3];
} sluice_new_peer;

/* A peer as it is now. Slices live for the process. */
typedef struct sluice_peer_info {
    uint64_t id; /* of this address in this upstream, while it is there; never of another peer.
                    0 of one that a set drains in an upstream without a balancer: it has left */
    sluice_slice address;
    uint32_t weight;
    uint32_t priority;
    uint32_t flags;     /* SLUICE_PEER_* */
    uint32_t health;    /* SLUICE_HEALTH_* */
    sluice_slice zone;  /* or empty */
    uint64_t in_flight; /* requests that are with it */
    uint64_t reserved[3];
} sluice_peer_info;

/* An upstream. Slices live for the process. */
typedef struct sluice_upstream_info {
    sluice_slice name;
    uint64_t version; /* greater when its peers have changed */
    uint32_t peer_count;
    uint32_t is_discovered; /* 1: the manifest says that a plugin gives its peers */
    uint64_t reserved[4];
} sluice_upstream_info;

/* How a probe speaks. */
enum {
    SLUICE_PROBE_TCP = 0,   /* a connection, with TLS where that is asked for; no request */
    SLUICE_PROBE_HTTP1 = 1, /* a request of HTTP/1.1 */
    SLUICE_PROBE_HTTP2 = 2, /* a request of HTTP/2 */
};

/* TLS of a probe. */
enum {
    SLUICE_PROBE_TLS_UPSTREAM = 0, /* as the upstream's `tls` says */
    SLUICE_PROBE_TLS_OFF = 1,
    SLUICE_PROBE_TLS_OWN = 2, /* as `tls_open` was told */
};

/* Steps of a probe: where it stopped. */
enum {
    SLUICE_PROBE_DONE = 0,     /* all of it succeeded, whatever the status */
    SLUICE_PROBE_CONNECT = 1,
    SLUICE_PROBE_HANDSHAKE = 2, /* of TLS */
    SLUICE_PROBE_REQUEST = 3,   /* no whole head of a response */
    SLUICE_PROBE_BODY = 4,      /* no whole body, or one over `body_max` */
};

/* Settings of TLS for probes alone. Lifetime: call. */
typedef struct sluice_probe_tls {
    uint32_t size;
    uint32_t skip_verify;     /* 1: any certificate will do */
    sluice_slice server_name; /* asked for and verified; empty: the peer's host */
    sluice_slice ca_file;     /* PEM, path from the root; empty: the system's authorities */
    uint64_t reserved[4];
} sluice_probe_tls;

typedef struct sluice_probe_tls_context sluice_probe_tls_context; /* opaque. Lifetime: process */

/* What came of a probe. Lifetime: call. */
typedef struct sluice_probe_result {
    uint32_t size;
    uint32_t step;       /* SLUICE_PROBE_DONE, or where it stopped */
    uint32_t is_timeout; /* 1: the time was over in this step */
    uint32_t status;     /* 200 to 999 when there is a whole response, else 0 */
    uint64_t duration_ns;
    const sluice_headers *headers;  /* with a status; else NULL */
    const sluice_headers *trailers; /* of HTTP/2; NULL without any */
    sluice_slice body;
    sluice_slice reason; /* of a failure, in a few words; else empty */
    uint64_t reserved[4];
} sluice_probe_result;

/* A probe to make. Lifetime: call; the host copies it. */
typedef struct sluice_probe {
    uint32_t size;
    uint32_t protocol; /* SLUICE_PROBE_* */
    sluice_slice upstream;
    uint64_t peer; /* its id */
    uint32_t port; /* in place of the peer's; 0: the peer's */
    uint32_t tls;  /* SLUICE_PROBE_TLS_* */
    sluice_probe_tls_context *tls_context; /* with SLUICE_PROBE_TLS_OWN */
    sluice_slice method; /* empty: "GET" */
    sluice_slice path;   /* begins with '/'; empty: "/" */
    sluice_slice authority; /* the Host; empty: the upstream's `host`, or the peer's address */
    const sluice_pair *fields; /* not the ones of framing or Host */
    uint32_t field_count;
    uint32_t reserved0;
    sluice_slice body;   /* up to 64 KiB */
    uint64_t body_max;   /* of the response; up to 1 MiB, 0: 64 KiB */
    uint64_t timeout_ns; /* of it all; up to 60 s, 0: 1 s */
    /* Called once, unless the probe is cancelled: on the thread that began it. [worker] */
    void (*done)(void *instance, void *slot, void *context, const sluice_probe_result *result);
    void *context; /* passed to `done` */
    uint64_t reserved[4];
} sluice_probe;

/* Tells that the peers of an upstream have changed: new requests of this worker pick from the new
 * ones. Called on every worker, once for a run of changes at least. [worker] */
typedef void (*sluice_peers_changed)(
    void *instance, void *slot, void *context, sluice_slice upstream);

/* `sluice.peers/1`. Lifetime: process. */
typedef struct sluice_peers {
    uint32_t size;
    uint32_t reserved0;

    /* Writes up to `capacity` upstreams and how many there are. While the instance is created
     * these are those of the manifest that it is made for, which have no peers yet at the
     * process's start: `watch` tells when they do. [any] */
    int32_t (*upstreams)(const sluice_host *host, sluice_upstream_info *to, uint64_t capacity,
        uint64_t *count);

    /* Writes up to `capacity` peers of an upstream, how many there are, and the version of the set.
     * SLUICE_ESTALE when there is no such upstream. [any] */
    int32_t (*peers)(const sluice_host *host, sluice_slice upstream, sluice_peer_info *to,
        uint64_t capacity, uint64_t *count, uint64_t *version);

    /* Says how a peer is: `state` is SLUICE_HEALTH_*, `flags` SLUICE_HEALTH_USED or 0, `reason` a
     * few words for operators, cut at 128 bytes. It stays with the address until it is said anew,
     * or the instance that said it last is destroyed.
     * SLUICE_ESTALE when the peer is gone, SLUICE_EINVAL for another state or flag. [any] */
    int32_t (*set_health)(const sluice_host *host, uint64_t peer, uint32_t state, uint32_t flags,
        sluice_slice reason);

    /* Gives an upstream another set of peers, 0 to SLUICE_PEERS_MAX, in place of those that it has;
     * no address twice. The whole set is checked at once; SLUICE_EINVAL with the reason in `error`
     * when anything is wrong, and then nothing changes. SLUICE_ESTALE when there is no such
     * upstream, SLUICE_ENOTSUP when the manifest does not say `discovery: true` for it,
     * SLUICE_EINVAL for several peers where it names no balancer. The set
     * is put in use soon after, off the path of requests; of sets that come faster than that the
     * last counts. Peers keep their load and health by their address. One that is gone finishes
     * what it has. Reloads of the manifest keep the set. [any] */
    int32_t (*set_peers)(const sluice_host *host, sluice_slice upstream,
        const sluice_new_peer *peers, uint64_t count, sluice_errbuf *error);

    /* Has `changed` called for changes of this upstream's peers, or of any upstream's when the name
     * is empty, from now on, and once for every upstream when its worker has started. Up to 64 for
     * an instance, then SLUICE_ENOMEM. [control] */
    int32_t (*watch)(const sluice_host *host, sluice_slice upstream, sluice_peers_changed changed,
        void *context);

    /* The id of the peer of a request's attempt: in and after upstream_request; else 0. [worker] */
    uint64_t (*of_request)(sluice_req *request);

    /* Makes settings of TLS for probes; the same for the same settings. SLUICE_ECONFIG with the
     * reason in `error`, SLUICE_ENOMEM after 256 of the process. [control] */
    int32_t (*tls_open)(const sluice_host *host, const sluice_probe_tls *settings,
        sluice_probe_tls_context **context, sluice_errbuf *error);

    /* Begins a probe: a connection of its own to one peer, outside of the pools, which is closed
     * with the probe. `done` is never called before this has returned. SLUICE_EINVAL when it
     * breaks a rule of HTTP or a bound, SLUICE_ESTALE when the peer is gone, SLUICE_EAGAIN when
     * 256 probes of this worker run, SLUICE_ENOTSUP on another thread than a worker's. [worker] */
    int32_t (*probe)(const sluice_host *host, const sluice_probe *probe, sluice_token *token);

    /* Cancels: `done` will not be called. SLUICE_ESTALE when it has been. [worker] */
    int32_t (*cancel)(const sluice_host *host, const sluice_token *token);

    void *reserved[16];
} sluice_peers;

#endif
