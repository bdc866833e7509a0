/*
 * What asking name servers and watching files need of the C library: Embedded Swift has no module
 * of it. Nothing here blocks but `discovery_poll`, and reads of regular files. Results below 0 are
 * a negative errno.
 */
#ifndef SLUICE_DISCOVERY_H
#define SLUICE_DISCOVERY_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* No file: a folder, a device, a pipe. Not an errno of Linux. */
#define DISCOVERY_IRREGULAR (-4096)

/* ------------------------------------------------------------------ sockets */

/* A socket that is connected to one server, or is about to be (TCP). The kernel chooses the source
 * port, and drops what other addresses send. An IPv4 address is in the lowest 32 bits of `low`. */
static inline int discovery_connect(
    int is_v4, int is_stream, uint64_t high, uint64_t low, uint16_t port) {
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    int type = (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = socket(is_v4 ? AF_INET : AF_INET6, type, 0);
    if (descriptor < 0) return -errno;
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl((uint32_t)low);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    for (int index = 0; index < 8; index++) {
        v6.sin6_addr.s6_addr[index] = (uint8_t)(high >> (56 - 8 * index));
        v6.sin6_addr.s6_addr[8 + index] = (uint8_t)(low >> (56 - 8 * index));
    }
    int result = is_v4 ? connect(descriptor, (struct sockaddr *)&v4, sizeof v4)
                       : connect(descriptor, (struct sockaddr *)&v6, sizeof v6);
    if (result != 0 && errno != EINPROGRESS) {
        result = -errno;
        close(descriptor);
        return result;
    }
    return descriptor;
}

/* Bytes that were taken; -EAGAIN when there is no room, or no connection yet. */
static inline int64_t discovery_send(int descriptor, const uint8_t *from, uint64_t count) {
    for (;;) {
        ssize_t sent = send(descriptor, from, count, MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        if (errno != EINTR) return errno == ENOTCONN ? -EAGAIN : -errno;
    }
}

/* Bytes that were there; 0 at the end of a stream, -EAGAIN when there is nothing yet. */
static inline int64_t discovery_receive(int descriptor, uint8_t *to, uint64_t capacity) {
    for (;;) {
        ssize_t count = recv(descriptor, to, capacity, 0);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

/* How many are ready; 0 after `milliseconds`, or when a signal came. */
static inline int discovery_poll(struct pollfd *places, uint64_t count, int milliseconds) {
    int ready = poll(places, count, milliseconds);
    return ready < 0 ? 0 : ready;
}

static inline void discovery_close(int descriptor) { close(descriptor); }

static inline int discovery_would_block(int64_t result) {
    return result == -EAGAIN || result == -EWOULDBLOCK;
}

/* The monotonic clock in nanoseconds. */
static inline uint64_t discovery_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* 64 bits that nobody can guess: the id of a question is all that keeps forged answers out. */
static inline uint64_t discovery_random(void) {
    uint64_t bits = 0;
    while (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {}
    return bits;
}

/* -------------------------------------------------------------------- files */

/* By what a file that was replaced or written to is known. */
typedef struct discovery_stamp {
    uint64_t device, inode, size, modified_ns, changed_ns;
    uint32_t mode, owner;
} discovery_stamp;

static inline int discovery_stamp_of(const struct stat *status, discovery_stamp *stamp) {
    if (!S_ISREG(status->st_mode)) return DISCOVERY_IRREGULAR;
    stamp->device = status->st_dev;
    stamp->inode = status->st_ino;
    stamp->size = (uint64_t)status->st_size;
    stamp->modified_ns =
        (uint64_t)status->st_mtim.tv_sec * 1000000000u + (uint64_t)status->st_mtim.tv_nsec;
    stamp->changed_ns =
        (uint64_t)status->st_ctim.tv_sec * 1000000000u + (uint64_t)status->st_ctim.tv_nsec;
    stamp->mode = status->st_mode & 07777;
    stamp->owner = status->st_uid;
    return 0;
}

static inline int discovery_look(const char *path, discovery_stamp *stamp) {
    struct stat status;
    return stat(path, &status) != 0 ? -errno : discovery_stamp_of(&status, stamp);
}

/* A descriptor of a regular file. Does not wait for the other end of a pipe. */
static inline int discovery_open(const char *path) {
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return -errno;
    int result = descriptor;
    if (fstat(descriptor, &status) != 0) result = -errno;
    else if (!S_ISREG(status.st_mode)) result = DISCOVERY_IRREGULAR;
    if (result < 0) close(descriptor);
    return result;
}

static inline int discovery_stamp_open(int descriptor, discovery_stamp *stamp) {
    struct stat status;
    return fstat(descriptor, &status) != 0 ? -errno : discovery_stamp_of(&status, stamp);
}

/* Bytes that were read, 0 at the end. */
static inline int64_t discovery_read(int descriptor, uint8_t *to, uint64_t capacity) {
    for (;;) {
        ssize_t count = read(descriptor, to, capacity);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

/* The message of a negative errno; never NULL. */
static inline const char *discovery_error(int64_t result) {
    return result == DISCOVERY_IRREGULAR ? "not a regular file" : strerror((int)-result);
}

/* ------------------------------------------------------------------ threads */

/* A lock and a word, for what the control thread and a worker both see. */
typedef struct discovery_lock {
    pthread_mutex_t mutex;
    int is_stopping;
} discovery_lock;

static inline discovery_lock *discovery_lock_make(void) {
    discovery_lock *lock = calloc(1, sizeof *lock);
    if (lock) pthread_mutex_init(&lock->mutex, NULL);
    return lock;
}

static inline void discovery_lock_free(discovery_lock *lock) {
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

static inline void discovery_lock_take(discovery_lock *lock) { pthread_mutex_lock(&lock->mutex); }

static inline void discovery_lock_give(discovery_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

static inline void discovery_stop(discovery_lock *lock) {
    __atomic_store_n(&lock->is_stopping, 1, __ATOMIC_RELEASE);
}

static inline int discovery_is_stopping(discovery_lock *lock) {
    return __atomic_load_n(&lock->is_stopping, __ATOMIC_ACQUIRE);
}

#endif
