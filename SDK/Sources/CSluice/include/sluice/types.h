/* Slices, error text and configuration values: the small types that all other headers use. */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
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

/* Types of a configuration value. */
enum {
    SLUICE_VALUE_NULL = 0,
    SLUICE_VALUE_BOOL = 1,   /* `integer` is 0 or 1 */
    SLUICE_VALUE_INT = 2,    /* `integer`, and `number` as its nearest double */
    SLUICE_VALUE_NUMBER = 3, /* `number` */
    SLUICE_VALUE_STRING = 4, /* `string`, valid UTF-8 */
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
