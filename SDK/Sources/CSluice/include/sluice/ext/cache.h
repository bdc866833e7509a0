/*
 * `sluice.cache/1`: a plugin that keeps responses and answers from them.
 *
 * A plugin in a route's chain that offers this table is the route's cache; there is at most one.
 * The plugin decides and keeps the bytes; the host does all I/O, owns framing, and makes the
 * requests in the background. Order of the calls for one request, on its worker:
 *
 *   request_headers hooks -> lookup -> HIT: the answer's head, response_headers hooks, read...close
 *                                   -> STALE: the same, and the host fetches in the background
 *                                   -> WAIT, FETCH: lookup again after a wake or the deadline
 *                                   -> RESPOND: the plugin's own reply
 *                                   -> BYPASS: to the origin; no further call
 *                                   -> MISS: to the origin; then one of
 *        upstream_response hooks -> admit -> PASS: the client gets the response
 *                                         -> STORE: the same, and write... then commit or abort
 *                                         -> ANSWER: the origin's response is dropped, the answer
 *                                            is served (a 304, or stale-if-error)
 *        every attempt failed    -> failed -> PASS: 502, 503 or 504 -> ANSWER: as above
 *   `request_end` of the plugin's hooks ends it all, exactly once: what the plugin still holds for
 *   the request (a lock on a key) is given up there.
 *
 * A request in the background (SLUICE_ARGS_INTERNAL) is a GET with the fields of the request that
 * led to it, goes through the same chain, and has no client: what it gets is stored or dropped.
 *
 * When the client leaves a request whose lookup was MISS, the request goes on without it until
 * `admit` says PASS, or the writer has all bytes.
 */
#ifndef SLUICE_EXT_CACHE_H
#define SLUICE_EXT_CACHE_H

#include "../host.h"
#include "../http.h"
#include "../types.h"

#define SLUICE_CACHE_ID "sluice.cache/1"

/* Results of `lookup`. Any other counts as a failure of the plugin: `on_error` decides. */
enum {
    SLUICE_CACHE_BYPASS = 0,
    SLUICE_CACHE_MISS = 1,
    SLUICE_CACHE_HIT = 2,
    SLUICE_CACHE_STALE = 3,
    /* `suspend` of `sluice.http/1` was called before; whoever has the token wakes the request. */
    SLUICE_CACHE_WAIT = 4,
    /* Likewise, and the host begins a request in the background. SLUICE_CACHE_AGAIN_REFUSED in the
     * next lookup says that it could not. */
    SLUICE_CACHE_FETCH = 5,
    SLUICE_CACHE_RESPOND = 6,
};

/* Results of `admit` and `failed`. */
enum {
    SLUICE_CACHE_PASS = 0,
    SLUICE_CACHE_STORE = 1,  /* not from `failed` */
    SLUICE_CACHE_ANSWER = 2,
};

/* Why `lookup` is called again: `sluice_cache_lookup.again`; 0 the first time. */
enum {
    SLUICE_CACHE_AGAIN_WOKEN = 1,
    SLUICE_CACHE_AGAIN_DEADLINE = 2,
    SLUICE_CACHE_AGAIN_REFUSED = 3, /* the background request was not begun: a bound is reached */
};

/* How a request was served: `sluice_facts.cache_status`. */
enum {
    SLUICE_CACHE_STATUS_NONE = 0, /* the route has no cache */
    SLUICE_CACHE_STATUS_BYPASS = 1,
    SLUICE_CACHE_STATUS_MISS = 2,
    SLUICE_CACHE_STATUS_HIT = 3,
    SLUICE_CACHE_STATUS_STALE = 4,
    SLUICE_CACHE_STATUS_REVALIDATED = 5, /* stored, after a 304 */
    SLUICE_CACHE_STATUS_STALE_ERROR = 6, /* stored, as the origin failed */
    SLUICE_CACHE_STATUS_UPDATED = 7,     /* a request in the background */
};

/* A piece of an answer's body: `text` (when its `ptr` is set), else a range of what is stored. */
typedef struct sluice_cache_part {
    sluice_slice text;
    uint64_t offset;
    uint64_t length; /* UINT64_MAX: as much as there will be */
} sluice_cache_part;

enum {
    SLUICE_CACHE_PARTS_MAX = 64,
};

/*
 * What is served from the cache. The host makes Content-Length of the parts, or frames the body
 * itself when a part's length is unknown, adds Date when there is none, and leaves the body out for
 * HEAD, 204 and 304.
 *
 * Everything pointed to stays valid and unchanged until `close` is called with `reader`; without a
 * reader (a head alone) until the call has returned.
 */
typedef struct sluice_cache_answer {
    uint32_t size;
    uint32_t status;            /* 200 to 599 */
    const sluice_field *fields; /* as stored: lower-case names, ids set, none of framing */
    uint32_t field_count;
    uint32_t more_count;
    const sluice_field *more;   /* behind them: Age, Cache-Status, Content-Range */
    const sluice_cache_part *parts;
    uint32_t part_count;        /* 0: no body */
    uint32_t cache_status;      /* SLUICE_CACHE_STATUS_* */
    uint64_t content_length;    /* for HEAD and 304 without parts; UINT64_MAX: unknown */
    void *reader;               /* NULL when no part is read */
    uint64_t reserved[4];
} sluice_cache_answer;

/* A lookup. Lifetime: call. */
typedef struct sluice_cache_lookup {
    uint32_t size;
    uint32_t flags;  /* SLUICE_ARGS_INTERNAL; SLUICE_ARGS_EOS: no body follows */
    uint32_t again;  /* SLUICE_CACHE_AGAIN_* */
    uint32_t cache_status; /* out: for the facts, with BYPASS and MISS */
    const sluice_headers *headers; /* the request's, after the request_headers hooks */
    const sluice_facts *facts;
    /* out: edits of the request that goes to the origin, with MISS; the host has taken Range and
     * the conditional fields off it already. */
    sluice_edits *edits;
    sluice_reply *reply;           /* out, with RESPOND */
    sluice_cache_answer *answer;   /* out, with HIT and STALE */
    uint64_t reserved[4];
} sluice_cache_lookup;

/* A response, or none. Lifetime: call. */
typedef struct sluice_cache_response {
    uint32_t size;
    uint32_t flags;    /* SLUICE_ARGS_INTERNAL; SLUICE_ARGS_EOS: no body follows */
    uint32_t result;   /* of the last attempt: SLUICE_ATTEMPT_* */
    uint32_t cache_status; /* out: for the facts, with PASS and STORE */
    const sluice_headers *request_headers;
    const sluice_headers *headers; /* NULL in `failed` */
    const sluice_facts *facts;
    uint64_t content_length;       /* UINT64_MAX: unknown */
    sluice_edits *edits;           /* out: of the response, for the client (Cache-Status) */
    void *writer;                  /* out, with STORE */
    sluice_cache_answer *answer;   /* out, with ANSWER */
    uint64_t reserved[4];
} sluice_cache_response;

/* What `read` gives. */
enum {
    /* `bytes`: 1 or more, valid until `close` or a `read` whose offset is behind them. */
    SLUICE_CACHE_BYTES = 0,
    SLUICE_CACHE_FILE = 1,   /* `file`, `file_offset`, `file_length`: 1 or more, until `close` */
    /* Not there yet: `suspend` was called before, and whoever has the token wakes the request. */
    SLUICE_CACHE_AGAIN = 2,
    SLUICE_CACHE_END = 3,    /* the offset is the body's end */
    SLUICE_CACHE_BROKEN = 4, /* there will be no more: the host cuts the response */
};

/* A read. Lifetime: call. */
typedef struct sluice_cache_chunk {
    uint32_t size;
    uint32_t wants_bytes; /* in: 1: a file can't be sent from here */
    uint64_t offset;      /* in */
    uint64_t length;      /* in: how many the host has use for */
    sluice_slice bytes;
    int32_t file;         /* a descriptor of the plugin's; the host uses it with offsets alone */
    uint32_t reserved0;
    uint64_t file_offset;
    uint64_t file_length;
    uint64_t reserved[4];
} sluice_cache_chunk;

/* What is to go: `sluice_cache_purge.kind`. */
enum {
    SLUICE_CACHE_PURGE_URL = 1,    /* "scheme://host/path?query": all its variants */
    SLUICE_CACHE_PURGE_PREFIX = 2, /* of such an address */
    SLUICE_CACHE_PURGE_TAG = 3,
    SLUICE_CACHE_PURGE_ALL = 4,
};

/* An order to forget. Lifetime: call. */
typedef struct sluice_cache_purge {
    uint32_t size;
    uint32_t kind;
    uint32_t is_soft; /* 1: they become stale, and stay */
    uint32_t reserved0;
    sluice_slice value;
    uint64_t count; /* out: objects that it hit */
    uint64_t reserved[4];
} sluice_cache_purge;

/* The role's table. `context` is the plugin's memory for the request. Lifetime: instance. */
typedef struct sluice_cache {
    uint32_t size;
    uint32_t flags; /* 0 */

    /* [worker] */
    uint32_t (*lookup)(void *instance, void *slot, sluice_req *request, void *context,
        sluice_cache_lookup *lookup);

    /* The origin's final response to a MISS, after the upstream_response hooks. [worker] */
    uint32_t (*admit)(void *instance, void *slot, sluice_req *request, void *context,
        sluice_cache_response *response);

    /* No attempt of a MISS had a response. [worker] */
    uint32_t (*failed)(void *instance, void *slot, sluice_req *request, void *context,
        sluice_cache_response *response);

    /* Bytes of the body as the upstream_body hooks left them. Not SLUICE_OK: it can't be stored
     * (too large, no memory); the host calls `abort`, and the client still gets all. With SLUICE_OK
     * the bytes are taken in any case; if `suspend` was called in the call, for the request that
     * was admitted, the host brings no more of a body before that wait is over. [worker] */
    int32_t (*write)(void *instance, void *slot, void *writer, sluice_slice bytes);

    /* The whole body was written: its framing was right and nothing is missing. Ends the writer.
     * [worker] */
    void (*commit)(void *instance, void *slot, void *writer);

    /* It will never be whole. Ends the writer. [worker] */
    void (*abort)(void *instance, void *slot, void *writer);

    /* SLUICE_CACHE_BYTES...; `request` is the one that reads. [worker] */
    uint32_t (*read)(void *instance, void *slot, sluice_req *request, void *reader,
        sluice_cache_chunk *chunk);

    /* Exactly once for each reader that an answer named. [worker] */
    void (*close)(void *instance, void *slot, void *reader);

    /* SLUICE_OK, or SLUICE_EINVAL with the reason in `error`. NULL: it can't. [control] */
    int32_t (*purge)(void *instance, sluice_cache_purge *purge, sluice_errbuf *error);

    void *reserved[8];
} sluice_cache;

#endif
