/*
 * Bodies, a chunk at a time.
 *
 * A body hook gets what has arrived and says what goes on. The host calls it only when there is
 * room, and holds what it leaves: a plugin never buffers because the other side is slow.
 *
 *   pass everything on        return CONTINUE, and touch nothing
 *   pass a part on, or drop   `pass` it, or nothing, and set `replaces`
 *   write something else      `push`, which sets `replaces`
 *   not enough room           `push` says SLUICE_EAGAIN: set `consumed` to what is dealt with and
 *                             return MORE; the hook is called again with the rest
 *
 * A body whose length changes must say so before its head goes out: `body_policy` in `http.h`. The
 * host cuts the exchange when a body turns out shorter or longer than its head said.
 */
#ifndef SLUICE_BODY_H
#define SLUICE_BODY_H

#include "headers.h"
#include "types.h"

/* Flags of a chunk. */
enum {
    /* The body ends with this chunk, which may be empty. After MORE or SUSPEND it is given again,
     * until the hook returns CONTINUE; then no more. */
    SLUICE_BODY_EOS = 1u << 0,
    /* No more is there for now, and it may be long: give out all that can be given, or an event
     * stream stalls. Keep only what has no meaning without the bytes behind it. It comes with the
     * last bytes that were there, or with no bytes; between two packets, too. */
    SLUICE_BODY_FLUSH = 1u << 1,
    /* The whole body at once, as `buffer_max` asked. Comes with EOS. */
    SLUICE_BODY_WHOLE = 1u << 2,
};

/* A chunk. Lifetime: hook. */
typedef struct sluice_body_in {
    uint32_t size;
    uint32_t flags;
    sluice_slice data;
    /* Bytes of this body that the hook has consumed before. */
    uint64_t offset;
    /* With EOS: the trailer fields, or NULL where there are none. `args->edits` then applies to
     * them; trailers are sent only where the receiver's framing has them. */
    const sluice_headers *trailers;
    uint64_t reserved[4];
} sluice_body_in;

/* What goes on. The functions only note what is wanted: it happens when the hook has returned
 * CONTINUE, MORE, SUSPEND or DETACH, and not at all when it failed. Lifetime: hook. */
typedef struct sluice_body_out {
    uint32_t size;
    /* 1: only what was pushed or passed goes on. 0: the chunk goes on as it is. */
    uint32_t replaces;
    /* Bytes of the chunk that the hook has dealt with; all of them unless it says otherwise.
     * The rest is given again, after MORE or SUSPEND. */
    uint64_t consumed;
    /* Bytes that can still be pushed or passed in this call. At least 65,536 when a hook begins. */
    uint64_t credit;
    void *context; /* the host's */

    /* Appends a copy of `bytes`. SLUICE_OK, or SLUICE_EAGAIN when they are more than `credit`: then
     * nothing of them is taken. [worker; body phases] */
    int32_t (*push)(struct sluice_body_out *out, sluice_slice bytes);

    /* Appends bytes of the chunk, without a copy where possible. SLUICE_EINVAL when the range is
     * not within it. [worker; body phases] */
    int32_t (*pass)(struct sluice_body_out *out, uint64_t offset, uint64_t length);

    /* Appends a buffer's bytes. The reference stays the caller's. [worker; body phases] */
    int32_t (*push_buf)(struct sluice_body_out *out, sluice_buf *buf);

    /* Room to write into in place of `push`: `*to` has `credit` bytes; `commit` says how many of
     * them were written. [worker; body phases] */
    int32_t (*reserve)(struct sluice_body_out *out, uint8_t **to, uint64_t *capacity);
    int32_t (*commit)(struct sluice_body_out *out, uint64_t length);

    uint64_t reserved[4];
} sluice_body_out;

#endif
