/* What the cache's core needs of the machine: memory that may be refused, and waiting on a word. */
#ifndef CTINYUFO_H
#define CTINYUFO_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bytes, not initialized, 16-byte aligned; NULL when there are not as many. */
static inline void *_Nullable tinyufo_allocate(size_t count) { return malloc(count); }

/* Bytes that are all 0. A large block costs nothing until it is touched. */
static inline void *_Nullable tinyufo_zeroed(size_t count) { return calloc(1, count); }

/* Bytes that begin on a line of the processor's cache. */
static inline void *_Nullable tinyufo_lines(size_t count) {
    void *memory = NULL;
    return posix_memalign(&memory, 64, count) == 0 ? memory : NULL;
}

static inline void tinyufo_free(void *_Nullable memory) { free(memory); }

/* Sleeps while the word is `expected`; may return early. */
static inline void tinyufo_wait(void *_Nonnull word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/* Wakes one thread that sleeps on the word. */
static inline void tinyufo_wake(void *_Nonnull word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Tells the processor that this is a loop that waits. */
static inline void tinyufo_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
