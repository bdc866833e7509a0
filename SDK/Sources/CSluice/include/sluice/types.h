/* Slices, error text and configuration values: the small types that all other headers use. */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the Sluice ABI is defined for 64-bit little-endian targets"
#endif

/* Bytes that somebody else owns. `ptr` may be NULL only when `len` is 0. Not NUL-terminated. */
typedef struct sluice_slice {
    const uint8_t *ptr;
    uint64_t len;
} sluice_slice;

/* Results of functions that can fail: 0, or one of these. */
enum {
    SLUICE_OK = 0,
    SLUICE_EINVAL = -1,  /* an argument is out of its range */
    SLUICE_ENOMEM = -2,  /* a limit on memory is reached */
    SLUICE_ESTALE = -3,  /* the object is gone */
    SLUICE_ENOTSUP = -4, /* the host or the phase does not offer this */
    SLUICE_EAGAIN = -5,  /* no room now; again later */
    SLUICE_ECONFIG = -6, /* the configuration was refused; the error buffer says why */
};

/* Room for one line of text that explains a failure. The caller owns `ptr`; the callee writes up
 * to `cap` bytes of UTF-8 and sets `len`. Truncation is silent. */
typedef struct sluice_errbuf {
    uint32_t size;
    uint32_t len;
    uint32_t cap;
    uint32_t reserved;
    char *ptr;
} sluice_errbuf;

/* A name and a value: the fields of a log line, of a metric, of a callout. Lifetime: call. */
typedef struct sluice_pair {
    sluice_slice name;
    sluice_slice value;
} sluice_pair;

/*
 * Bytes that are counted by reference. They come from `buf_new` or `buf_wrap` with one reference;
 * whoever keeps them beyond the call retains them. From the moment that a second party has a
 * reference they must not be changed.
 */
typedef struct sluice_buf {
    uint8_t *data;
    uint64_t len;      /* may be lowered or raised up to `capacity` by the only owner */
    uint64_t capacity; /* 0 for a slice of another buffer, or for wrapped bytes */
    uint64_t reserved[5]; /* the host's own; a plugin neither reads nor writes them */
} sluice_buf;

/* Names a wait (see `request.h`). A copy is as good as the original. All zeroes name none. */
typedef struct sluice_token {
    uint32_t slot;
    uint32_t generation;
    uint64_t sequence;
} sluice_token;

/* Takes bytes, a run at a time. Returns SLUICE_OK, or what the writer passes on. */
typedef struct sluice_sink {
    uint32_t size;
    uint32_t reserved0;
    void *context;
    int32_t (*write)(void *context, sluice_slice bytes);
    uint64_t reserved[2];
} sluice_sink;

/* Types of a configuration value. */
enum {
    SLUICE_VALUE_NULL = 0,
    SLUICE_VALUE_BOOL = 1,   /* `integer` is 0 or 1 */
    SLUICE_VALUE_INT = 2,    /* `integer`, and `number` as its nearest double */
    SLUICE_VALUE_NUMBER = 3, /* `number` */
    SLUICE_VALUE_STRING = 4, /* `string`, valid UTF-8; `integer` is what its "format" means, or 0:
                                nanoseconds of a "duration", bytes of a "size" */
    SLUICE_VALUE_ARRAY = 5,  /* `children[0 ..< count]` */
    SLUICE_VALUE_OBJECT = 6, /* the same, each with a `key`; keys are unique, sorted by bytes */
};

/* One value of an instance's configuration: a tree that the host parsed and owns. It lives for the
 * instance, so a plugin may keep pointers into it. */
typedef struct sluice_value {
    uint32_t type;
    uint32_t count;
    int64_t integer;
    double number;
    sluice_slice string;
    sluice_slice key;
    const struct sluice_value *children;
    uint64_t reserved[2];
} sluice_value;

#endif
