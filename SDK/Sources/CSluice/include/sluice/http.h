/*
 * The life of a request: phases, what a hook gets, and what it answers.
 *
 *   request_headers -> cache_lookup -> request_body -> upstream_select -> upstream_request
 *     -> upstream_result -> upstream_response -> upstream_body
 *     -> response_headers -> response_body -> request_end
 *
 * Request phases run in the order of the manifest, response phases in reverse. A request keeps the
 * chain that it began with. A plugin that was entered on the way in is left on the way out: its
 * response hooks run, then `request_end`, exactly once, also after RESPOND. After RESET, or when
 * the plugin itself failed, only `request_end` runs.
 */
#ifndef SLUICE_HTTP_H
#define SLUICE_HTTP_H

#include "body.h"
#include "headers.h"
#include "types.h"

/* Phases, in call order. The bit of a phase in a mask is 1 << phase. */
enum {
    SLUICE_PHASE_REQUEST_HEADERS = 0,   /* the head is parsed and checked */
    SLUICE_PHASE_CACHE_LOOKUP = 1,      /* reserved: the cache role */
    SLUICE_PHASE_REQUEST_BODY = 2,      /* each chunk of the request's body */
    SLUICE_PHASE_UPSTREAM_SELECT = 3,   /* reserved: the balancer role */
    SLUICE_PHASE_UPSTREAM_REQUEST = 4,  /* per attempt, before the head is written */
    SLUICE_PHASE_UPSTREAM_RESULT = 5,   /* per attempt, when it has a response's head or failed */
    SLUICE_PHASE_UPSTREAM_RESPONSE = 6, /* the origin's head, before a cache would store it */
    SLUICE_PHASE_UPSTREAM_BODY = 7,     /* each chunk of the origin's body, likewise */
    SLUICE_PHASE_RESPONSE_HEADERS = 8,  /* before the head goes to the client */
    SLUICE_PHASE_RESPONSE_BODY = 9,     /* each chunk of what the client gets */
    SLUICE_PHASE_LOCAL_REPLY = 10,      /* before an error of the host or a plugin is sent */
    SLUICE_PHASE_REQUEST_END = 11,      /* exactly once, whatever the outcome */
    SLUICE_PHASE_COUNT = 12,
};

/* Verdicts of a hook; docs/phases.md says which phase takes which. Any other counts as ERROR. */
enum {
    SLUICE_CONTINUE = 0,
    SLUICE_RESPOND = 1, /* answer from `args->reply`; not after the response head was sent */
    SLUICE_SUSPEND = 2, /* wait; `suspend` of `sluice.http/1` was called before */
    SLUICE_HOLD = 3,    /* response_headers only: keep the head until the body hook lets it go */
    SLUICE_DETACH = 4,  /* CONTINUE, and no further hook of this plugin but `request_end` */
    SLUICE_RESET = 5,   /* cut the connection without an answer */
    SLUICE_MORE = 6,    /* body hooks only: call again with the rest when there is room */
    SLUICE_ERROR = 7,   /* failed; `args->error_code` may say why; `on_error` decides */
};

/* Flags in `sluice_args.flags`. */
enum {
    SLUICE_ARGS_EOS = 1u << 0,      /* no body follows this head */
    SLUICE_ARGS_INTERNAL = 1u << 1, /* a request that the host made itself */
    SLUICE_ARGS_LOCAL = 1u << 2,    /* the response was made by the host or a plugin */
    SLUICE_ARGS_HELD = 1u << 3,     /* this plugin holds the response's head: `edits` apply to it */
};

/* Why `resumed` is called: `sluice_args.resume_reason`. */
enum {
    SLUICE_RESUMED = 1,         /* by `resume` */
    SLUICE_RESUME_DEADLINE = 2, /* the time is over */
    SLUICE_RESUME_WOKEN = 3,    /* by `wake` of `sluice.waitset/1` */
};

/* What a hook asks for besides its verdict: bits of `sluice_args.asks`, with the values beside it.
 * They count only when the hook succeeds. */
enum {
    /* `body_policy`, `body_length`: in request_headers for the request's body; in upstream_response
     * and response_headers for the response's. */
    SLUICE_ASK_BODY_POLICY = 1u << 0,
    /* `buffer_max`, `buffer_overflow`: in the same phases: the plugin's body hook (request_body;
     * upstream_body; response_body) gets the whole body in one call. */
    SLUICE_ASK_BUFFER = 1u << 1,
    /* `interest`: in any phase: of this plugin's later hooks only those in the mask are called for
     * this request, and request_end in any case. Never widens. */
    SLUICE_ASK_INTEREST = 1u << 2,
    /* In a body hook while it holds the head: let it go, with the edits of this call. */
    SLUICE_ASK_RELEASE = 1u << 3,
};

/* What a plugin does to the length of a body. The host makes the framing of it. */
enum {
    SLUICE_BODY_SAME = 0,    /* the length stays */
    SLUICE_BODY_UNKNOWN = 1, /* known only at the end */
    SLUICE_BODY_EXACT = 2,   /* `body_length` bytes */
    SLUICE_BODY_DROP = 3,    /* no body at all */
};

/* What happens to a body that is longer than `buffer_max`. */
enum {
    SLUICE_OVERFLOW_REFUSE = 0, /* a request: 413; a response: 502, or cut when its head is out */
    SLUICE_OVERFLOW_STREAM = 1, /* in chunks after all, the first of them what was kept */
};

/* What came of an attempt: `sluice_facts.attempt_result`, set in upstream_result. */
enum {
    SLUICE_ATTEMPT_RESPONSE = 0,   /* a response's head came; `status` has it */
    SLUICE_ATTEMPT_CONNECT = 1,    /* no connection */
    SLUICE_ATTEMPT_TIMEOUT = 2,    /* no connection or no response in time */
    SLUICE_ATTEMPT_CLOSED = 3,     /* the connection ended before a response */
    SLUICE_ATTEMPT_MALFORMED = 4,  /* the response breaks HTTP */
    SLUICE_ATTEMPT_ABANDONED = 5,  /* given up for another one beside it: no fault of the peer */
};

/* HTTP versions in `sluice_facts.http_version`. */
enum {
    SLUICE_HTTP_1_0 = 10,
    SLUICE_HTTP_1_1 = 11,
    SLUICE_HTTP_2 = 20,
};

/* How a request ended: `sluice_facts.outcome`, set in `request_end`. */
enum {
    SLUICE_OUTCOME_COMPLETE = 0,      /* the whole response was written */
    SLUICE_OUTCOME_CLIENT_GONE = 1,   /* the client closed or timed out */
    SLUICE_OUTCOME_UPSTREAM_CUT = 2,  /* the origin failed after the response had begun */
    SLUICE_OUTCOME_RESET = 3,         /* a plugin's verdict */
    SLUICE_OUTCOME_MALFORMED = 4,     /* the request was refused by the parser */
};

typedef struct sluice_req sluice_req; /* opaque: one request, owned by a worker */

/* What is known of a client's TLS connection. Lifetime: hook. Text is ASCII. */
typedef struct sluice_tls_facts {
    uint32_t size;
    uint32_t version; /* 0x0303 for TLS 1.2, 0x0304 for TLS 1.3 */
    sluice_slice cipher;
    sluice_slice server_name; /* of the client's hello; empty when it had none */
    sluice_slice alpn;
    sluice_slice client_subject;     /* of a client certificate that was verified; else empty */
    sluice_slice client_fingerprint; /* SHA-256 in lower-case hex; likewise */
    uint32_t is_resumed;
    uint32_t is_early_data;
    uint64_t reserved[8];
} sluice_tls_facts;

/*
 * What is known of a request besides its fields. Lifetime: hook. Text is ASCII.
 * Times are nanoseconds of CLOCK_MONOTONIC, 0 where the event has not happened.
 */
typedef struct sluice_facts {
    uint32_t size;
    uint32_t http_version; /* of the downstream request */
    uint64_t request_number; /* unique in this process */
    sluice_slice client_address; /* "192.0.2.1", "2001:db8::1", or "unix:" */
    sluice_slice local_address;  /* of the listener, as in the manifest */
    sluice_slice route;          /* name of the route; empty before routing */
    sluice_slice upstream;       /* name of the upstream; empty before it is chosen */
    sluice_slice peer;           /* address of this attempt's peer; empty before it is chosen */
    uint8_t client_ip[16];       /* IPv6, or IPv4 in the first four bytes */
    uint32_t client_family;      /* 4, 6, or 0 for a Unix socket */
    uint32_t client_port;
    uint32_t attempt;            /* 0 before the first, then 1, 2, ... */
    uint32_t secure;             /* 1 when the client's connection is TLS */
    uint32_t status;             /* of the response; 0 before there is one */
    uint32_t outcome;            /* in request_end */
    uint64_t time_start;
    uint64_t time_now;
    uint64_t bytes_in;  /* request body bytes read so far */
    uint64_t bytes_out; /* response body bytes written so far */
    uint64_t time_connected;  /* of this attempt; 0 for a connection from the pool */
    uint64_t time_first_byte; /* of this attempt's response */
    uint32_t attempt_result;  /* in upstream_result */
    uint32_t is_reused;       /* 1 when the attempt's connection came from the pool */
    const sluice_tls_facts *tls; /* NULL when the client's connection is not TLS */
    uint32_t cache_status;        /* SLUICE_CACHE_STATUS_* of ext/cache.h */
    uint32_t connection_requests; /* on the client's connection so far, with this one */
    uint64_t connection_number;   /* of the client's connection; unique in this process */
    sluice_slice answered_by;     /* instance that answered, reset or failed it; or empty */
    sluice_slice reason;          /* in request_end: why the host ended it by itself; or empty */
    uint32_t head_bytes_in;       /* request line and fields as they came; over HTTP/2 decoded */
    uint32_t head_bytes_out;      /* likewise, of the response that was sent; else 0 */
    uint64_t time_attempt;        /* when this attempt began: before a peer was chosen for it */
} sluice_facts;

/*
 * A response made by a plugin. The hook sets `status` (200 to 599) and may set `body` and add edits
 * of fields; the host adds Content-Length and Date. `body` must stay valid for the instance, or be
 * memory of `request_alloc`.
 */
typedef struct sluice_reply {
    uint32_t size;
    uint32_t status;
    sluice_slice body;
    sluice_edits *edits; /* fields of the reply */
    uint64_t reserved[4];
} sluice_reply;

/*
 * What a hook gets. Lifetime of everything in it: hook, unless said otherwise.
 *
 * `headers` is the head of the phase's message. `edits` apply to it, and are NULL where there is
 * nothing to edit any more: in request_end, upstream_result, and body phases but for the trailers
 * (with EOS) or a held head (SLUICE_ARGS_HELD). In local_reply the message is the reply.
 */
typedef struct sluice_args {
    uint32_t size;
    uint32_t phase;
    uint32_t flags;
    uint32_t error_code; /* out: with SLUICE_ERROR, a number of the plugin's for the log */
    const sluice_headers *headers;         /* of this phase's message */
    const sluice_headers *request_headers; /* the request's, in every phase */
    const sluice_facts *facts;
    sluice_edits *edits;
    sluice_reply *reply;
    sluice_body_in *body_in;   /* NULL outside body phases */
    sluice_body_out *body_out; /* NULL outside body phases */
    uint64_t asks;             /* out: SLUICE_ASK_* */
    uint64_t interest;         /* out: bit per phase */
    uint32_t body_policy;      /* out: SLUICE_BODY_* */
    uint32_t buffer_overflow;  /* out: SLUICE_OVERFLOW_* */
    uint64_t body_length;      /* out */
    uint64_t buffer_max;       /* out: bytes, up to the manifest's `limits.body_buffer` */
    uint32_t resume_reason;    /* in `resumed`, else 0 */
    uint32_t reserved0;
    uint64_t resume_payload;   /* what `resume` or `wake` was given */
    uint64_t reserved[4];
} sluice_args;

/*
 * A hook. `instance` and `slot` are what `create` and `worker_start` gave; `context` is
 * `context_size` bytes of the plugin's own for this request, zeroed at its start.
 * Returns a verdict. Must not block. [worker]
 */
typedef uint32_t (*sluice_hook)(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args);

/* The hooks of an instance; NULL = not interested, and costs nothing. Lifetime: instance. */
typedef struct sluice_http_hooks {
    uint32_t size;
    uint32_t flags; /* 0 */
    sluice_hook request_headers;
    sluice_hook cache_lookup;
    sluice_hook request_body;
    sluice_hook upstream_select;
    sluice_hook upstream_request;
    sluice_hook upstream_result;
    sluice_hook upstream_response;
    sluice_hook upstream_body;
    sluice_hook response_headers;
    sluice_hook response_body;
    sluice_hook local_reply;
    sluice_hook request_end;
    /* After a wait, in the phase that began it (`args->phase`), with the arguments of its hook.
     * Without it the instance can't suspend. */
    sluice_hook resumed;
    sluice_hook reserved[7];
} sluice_http_hooks;

#endif
