/*
 * What limits need of the machine: memory that may be refused, clocks, who this process is, and a
 * socket with deadlines. Results below 0 are a negative errno.
 */
#ifndef CRATELIMIT_H
#define CRATELIMIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Bytes that are all 0; NULL when there are not as many. A large block costs nothing until it is
 * touched. */
static inline void *_Nullable ratelimit_zeroed(size_t count) { return calloc(1, count); }

static inline void ratelimit_free(void *_Nullable memory) { free(memory); }

/* Overwrites a secret; not left out by the compiler. */
static inline void ratelimit_wipe(void *_Nonnull memory, size_t count) {
    explicit_bzero(memory, count);
}

/*
 * What is different in each process, and the same in all libraries of one: its number, and bytes
 * that the kernel gives to each program that it starts.
 */
static inline void ratelimit_process(uint64_t *_Nonnull low, uint64_t *_Nonnull high) {
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    *low = *high = 0;
    if (bytes) {
        memcpy(low, bytes, 8);
        memcpy(high, (const char *)bytes + 8, 8);
    }
    *low += (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
}

static inline uint64_t ratelimit_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Nanoseconds of the clock that only goes on. */
static inline uint64_t ratelimit_monotonic(void) { return ratelimit_clock(CLOCK_MONOTONIC); }

/* Nanoseconds since 1970. */
static inline uint64_t ratelimit_wall(void) { return ratelimit_clock(CLOCK_REALTIME); }

/* The permission bits of a file. */
static inline int ratelimit_mode(const char *_Nonnull path) {
    struct stat status;
    if (stat(path, &status) != 0) return -errno;
    return (int)(status.st_mode & 07777);
}

/* The message of a negative errno. */
static inline const char *_Nonnull ratelimit_error(int64_t result) {
    return strerror((int)-result);
}

/* Waits for a socket until a time of the monotonic clock. */
static inline int ratelimit_wait(int socket, short events, uint64_t deadline) {
    for (;;) {
        uint64_t now = ratelimit_monotonic();
        if (now >= deadline) return -ETIMEDOUT;
        struct pollfd entry = {socket, events, 0};
        int count = poll(&entry, 1, (int)((deadline - now + 999999) / 1000000));
        if (count > 0) return 0;
        if (count < 0 && errno != EINTR) return -errno;
    }
}

static inline int ratelimit_connect_to(
    const struct sockaddr *_Nonnull address, socklen_t length, uint64_t deadline) {
    int made = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) return -errno;
    int result = connect(made, address, length) == 0 ? 0 : -errno;
    if (result == -EINPROGRESS) {
        result = ratelimit_wait(made, POLLOUT, deadline);
        socklen_t size = sizeof result;
        if (result == 0) getsockopt(made, SOL_SOCKET, SO_ERROR, &result, &size);
        if (result > 0) result = -result;
    }
    if (result < 0) {
        close(made);
        return result;
    }
    int on = 1;
    if (address->sa_family != AF_UNIX)
        setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
}

/* A descriptor; -EINVAL when `host` is no address. */
static inline int ratelimit_connect_tcp(
    const char *_Nonnull host, uint16_t port, uint64_t deadline) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return ratelimit_connect_to((const struct sockaddr *)&v4, sizeof v4, deadline);
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        return ratelimit_connect_to((const struct sockaddr *)&v6, sizeof v6, deadline);
    return -EINVAL;
}

static inline int ratelimit_connect_unix(const char *_Nonnull path, uint64_t deadline) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    return ratelimit_connect_to((const struct sockaddr *)&address, sizeof address, deadline);
}

/* Sends all bytes, or fails. */
static inline int ratelimit_send(
    int socket, const void *_Nonnull bytes, size_t count, uint64_t deadline) {
    const char *next = (const char *)bytes;
    while (count > 0) {
        ssize_t sent = send(socket, next, count, MSG_NOSIGNAL);
        if (sent >= 0) {
            next += sent;
            count -= (size_t)sent;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return -errno;
        int result = ratelimit_wait(socket, POLLOUT, deadline);
        if (result < 0) return result;
    }
    return 0;
}

/* Bytes that came, at least one; 0 at the end of the stream. */
static inline int64_t ratelimit_receive(
    int socket, void *_Nonnull bytes, size_t capacity, uint64_t deadline) {
    for (;;) {
        ssize_t count = recv(socket, bytes, capacity, 0);
        if (count >= 0) return count;
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return -errno;
        int result = ratelimit_wait(socket, POLLIN, deadline);
        if (result < 0) return result;
    }
}

static inline void ratelimit_close(int socket) { close(socket); }

#endif
