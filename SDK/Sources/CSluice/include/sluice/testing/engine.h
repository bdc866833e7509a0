/*
 * The host's engine as a library, `libSluiceEngine.so`: one worker of the real proxy on the calling
 * thread, with a clock that is moved by hand and clients and origins that are scripted.
 *
 * For tests only. Not part of the plugin ABI: it changes with the release that it comes with, and
 * `size` of the table says whether a test was compiled for it.
 *
 * One engine at a time is open in a process; `open` waits for the other to be closed. All functions
 * are called on the thread that opened it. While it is open the process's SIGPIPE is ignored.
 */
#ifndef SLUICE_TESTING_ENGINE_H
#define SLUICE_TESTING_ENGINE_H

#include "../sluice.h"

#define SLUICE_ENGINE_SYMBOL "sluice_engine_v1"

/* What becomes of the views that a hook was given. */
enum {
    SLUICE_ENGINE_VIEWS_KEPT = 0,      /* nothing */
    SLUICE_ENGINE_VIEWS_POISONED = 1,  /* filled with 0xdd when the next hook begins */
    SLUICE_ENGINE_VIEWS_FORBIDDEN = 2, /* reading them from then on ends the process */
};

/* What the text that a test sends and receives is to the proxy. */
enum {
    SLUICE_ENGINE_HTTP1 = 0, /* the same bytes; the manifest says what the proxy makes of them */
    SLUICE_ENGINE_HTTP2 = 1, /* HTTP/2 in the clear: the manifest must have "h2c" */
};

typedef struct sluice_engine sluice_engine;

/* A plugin that is linked into the test: the manifest names it as the library `path`. */
typedef struct sluice_engine_linked {
    sluice_slice path;
    sluice_plugin_hello_fn hello;
} sluice_engine_linked;

/* Lifetime: call. */
typedef struct sluice_engine_options {
    uint32_t size;
    uint32_t views; /* SLUICE_ENGINE_VIEWS_* */
    /* A whole manifest, JSON5. Addresses of listeners and peers are names only: nothing is bound,
     * and connections to a peer arrive at `accept`. */
    sluice_slice manifest;
    sluice_slice folder; /* of the manifest, for relative paths; empty is "." */
    const sluice_engine_linked *linked;
    uint64_t linked_count;
    uint32_t client_version; /* SLUICE_ENGINE_HTTP* */
    uint32_t origin_version; /* the same, of all peers */
} sluice_engine_options;

/* What was counted of one instance. */
typedef struct sluice_engine_counts {
    uint32_t size;
    uint32_t waits_now;          /* of all instances */
    uint32_t connections_now;    /* of clients */
    uint32_t reserved0;
    uint64_t calls[12];          /* by SLUICE_PHASE_* */
    uint64_t resumptions;        /* calls of `resumed` */
    uint64_t verdicts[9];        /* by verdict; the last: any other */
    uint64_t waits_begun;
} sluice_engine_counts;

typedef struct sluice_engine_table {
    uint32_t size;
    uint32_t reserved0;

    /* NULL: `error` says why, in one or more lines. */
    sluice_engine *(*open)(const sluice_engine_options *options, sluice_errbuf *error);

    /* Closes all connections, lets requests end, stops and destroys the instances. The number of
     * lines in `report`: one for everything that should be gone and is not. */
    uint32_t (*close)(sluice_engine *engine, sluice_errbuf *report);

    /* -- Connections: an end is 0 or more ----------------------------------------------------
     *
     * Ends of HTTP/2 take and give text of HTTP/1.1 too. A client's is one connection, on which a
     * request is sent when the one before it is over; a peer's is one stream. Text is translated
     * as it comes, a head when it is whole; windows open as text is received. A client that closes
     * its end in the middle resets the stream and closes the connection; a peer closes the
     * connection, or resets the stream if others are open on it. An end that the proxy resets is
     * closed. What HTTP/2 has no form for is refused. */

    /* A client's. `address`: "192.0.2.1:4711" as plugins see it; empty is a Unix socket.
     * `listener`: place in the manifest. SLUICE_EINVAL, SLUICE_ENOMEM. */
    int32_t (*connect)(sluice_engine *engine, sluice_slice address, uint32_t listener);

    /* One that the proxy made to a peer, counted over all upstreams; SLUICE_EAGAIN for none. */
    int32_t (*accept)(sluice_engine *engine, uint32_t peer);

    /* Lets a peer take connections (1, as it begins) or refuse them (0). */
    int32_t (*listen)(sluice_engine *engine, uint32_t peer, uint32_t takes);

    /* Bytes that were taken, SLUICE_EAGAIN for no room, SLUICE_ESTALE when the other side has
     * closed, SLUICE_EINVAL when `problem` has the reason. */
    int64_t (*send)(sluice_engine *engine, int32_t end, sluice_slice bytes);

    /* Bytes that came, SLUICE_EAGAIN for none now, SLUICE_ESTALE when there are no more,
     * SLUICE_EINVAL when `problem` has the reason. */
    int64_t (*receive)(sluice_engine *engine, int32_t end, uint8_t *to, uint64_t capacity);

    void (*shutdown)(sluice_engine *engine, int32_t end); /* no more will be sent */
    void (*close_end)(sluice_engine *engine, int32_t end);

    /* -- The loop ---------------------------------------------------------------------------- */

    /* Turns the loop until there is nothing to do at this time; 0 when it does not end. */
    uint32_t (*settle)(sluice_engine *engine);

    /* Waits for another thread: up to so many real milliseconds, until there is something to do;
     * then settles. 0 when there was nothing. */
    uint32_t (*wait)(sluice_engine *engine, uint32_t milliseconds);

    /* Moves the clock on, and stops at each timer on the way. */
    void (*advance)(sluice_engine *engine, uint64_t nanoseconds);

    uint64_t (*now)(sluice_engine *engine); /* nanoseconds */

    /* -- Looking ----------------------------------------------------------------------------- */

    /* Bytes of the log since the last call; `to` may be filled again when they are `capacity`. */
    uint64_t (*take_log)(sluice_engine *engine, uint8_t *to, uint64_t capacity);

    /* SLUICE_EINVAL for no such instance. */
    int32_t (*counts)(sluice_engine *engine, sluice_slice instance, sluice_engine_counts *out);

    /* Ends all waits that still wait, as the plugins themselves would; how many. */
    uint32_t (*resume_all)(sluice_engine *engine, uint64_t payload);

    /* Why an end of HTTP/2 is of no more use, in one line: text that HTTP/2 has no form for, or a
     * proxy that breaks its rules. SLUICE_OK, or SLUICE_EAGAIN when there is no problem. */
    int32_t (*problem)(sluice_engine *engine, int32_t end, sluice_errbuf *text);
} sluice_engine_table;

/* The library's only symbol. Lifetime: process. */
typedef const sluice_engine_table *(*sluice_engine_fn)(void);

#if defined(__cplusplus)
extern "C"
#endif
__attribute__((visibility("default"))) const sluice_engine_table *sluice_engine_v1(void);

#endif
