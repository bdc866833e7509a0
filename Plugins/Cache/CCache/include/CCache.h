/* What the cache needs of the machine: memory that may be refused, and who this process is. */
#ifndef CCACHE_H
#define CCACHE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <unistd.h>

/* Bytes, not initialized, 16-byte aligned; NULL when there are not as many. */
static inline void *_Nullable cache_allocate(size_t count) { return malloc(count); }

/* Bytes that are all 0. */
static inline void *_Nullable cache_zeroed(size_t count) { return calloc(1, count); }

static inline void cache_free(void *_Nullable memory) { free(memory); }

static inline int cache_equal(
    const void *_Nonnull left, const void *_Nonnull right, size_t count) {
    return memcmp(left, right, count) == 0;
}

/* 64 random bits that nobody can guess; 0 when the kernel has none. */
static inline uint64_t cache_random(void) {
    uint64_t word = 0;
    if (getrandom(&word, sizeof word, 0) != sizeof word) return 0;
    return word;
}

/*
 * What is different in each process, and the same in all libraries of one: its number, and bytes
 * that the kernel gives to each program that it starts.
 */
static inline uint64_t cache_process(void) {
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    uint64_t word = 0;
    if (bytes) memcpy(&word, bytes, 8);
    return word ^ (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
}

/* A word of what the kernel gave to this program alone; `offset` is 0 or 8. */
static inline uint64_t cache_secret(size_t offset) {
    const char *bytes = (const char *)getauxval(AT_RANDOM);
    uint64_t word = 0;
    if (bytes) memcpy(&word, bytes + offset, 8);
    return word;
}

#endif
