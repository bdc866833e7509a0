/*
 * What a log needs of the C library: Embedded Swift has no module of it. Results below 0 are a
 * negative errno. Only `accesslog_wait` and writes to regular files may block.
 */
#ifndef SLUICE_ACCESSLOG_H
#define SLUICE_ACCESSLOG_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* No file that lines can be added to: a folder, a pipe, a link. Not an errno of Linux. */
#define ACCESSLOG_IRREGULAR (-4096)

/* ------------------------------------------------------------------- memory */

/* Zeroes that begin at a page; pages that are never touched take no memory. */
static inline void *_Nullable accesslog_zeroed(uint64_t count) { return calloc(1, count); }

static inline void accesslog_free(void *_Nullable memory) { free(memory); }

/* -------------------------------------------------------------------- clocks */

static inline uint64_t accesslog_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds since the epoch; no system call. */
static inline uint64_t accesslog_wall(void) { return accesslog_clock(CLOCK_REALTIME); }

static inline uint64_t accesslog_monotonic(void) { return accesslog_clock(CLOCK_MONOTONIC); }

/* A time of day where the machine is. */
typedef struct accesslog_time {
    int32_t year, month, day, hour, minute, second; /* month: 1 to 12 */
    int32_t offset_minutes;                         /* east of Greenwich */
} accesslog_time;

static inline void accesslog_local(uint64_t seconds, accesslog_time *_Nonnull out) {
    struct tm parts;
    time_t when = (time_t)seconds;
    localtime_r(&when, &parts);
    out->year = parts.tm_year + 1900;
    out->month = parts.tm_mon + 1;
    out->day = parts.tm_mday;
    out->hour = parts.tm_hour;
    out->minute = parts.tm_min;
    out->second = parts.tm_sec;
    out->offset_minutes = (int32_t)(parts.tm_gmtoff / 60);
}

/* --------------------------------------------------------------- the machine */

static inline int32_t accesslog_pid(void) { return (int32_t)getpid(); }

/* The machine's name; bytes of it, or 0. */
static inline uint64_t accesslog_hostname(char *_Nonnull to, uint64_t room) {
    if (gethostname(to, room) != 0) return 0;
    to[room - 1] = 0;
    return strlen(to);
}

/* The message of a negative errno. */
static inline const char *_Nonnull accesslog_error(int64_t result) {
    return strerror((int)-result);
}

/* --------------------------------------------------------------------- files */

typedef struct accesslog_identity {
    uint64_t device, inode;
} accesslog_identity;

static inline int accesslog_identity_of(
    const struct stat *_Nonnull status, accesslog_identity *_Nonnull out) {
    out->device = status->st_dev;
    out->inode = status->st_ino;
    return 0;
}

/* Opens a file to add to, and makes it when there is none: with no more than its owner's rights
 * until it has the wanted ones, whatever the umask is. A link, a folder or a pipe is refused; a
 * device, as /dev/null, is not. */
static inline int accesslog_open(
    const char *_Nonnull path, uint32_t mode, accesslog_identity *_Nonnull identity) {
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
    struct stat status;
    for (int turn = 0; turn < 3; turn++) {
        int file = open(path, flags | O_CREAT | O_EXCL, 0600);
        if (file >= 0) {
            if (fchmod(file, mode) != 0 || fstat(file, &status) != 0) {
                int result = -errno;
                close(file);
                return result;
            }
            accesslog_identity_of(&status, identity);
            return file;
        }
        if (errno != EEXIST) return -errno;
        file = open(path, flags);
        if (file >= 0) {
            if (fstat(file, &status) != 0) {
                int result = -errno;
                close(file);
                return result;
            }
            if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) {
                close(file);
                return ACCESSLOG_IRREGULAR;
            }
            accesslog_identity_of(&status, identity);
            return file;
        }
        if (errno == ELOOP || errno == ENXIO || errno == EISDIR) return ACCESSLOG_IRREGULAR;
        /* It was moved away between the two: the next turn makes one. */
        if (errno != ENOENT) return -errno;
    }
    return -ENOENT;
}

/* The file that has this name now; -ENOENT when there is none. */
static inline int accesslog_look(
    const char *_Nonnull path, accesslog_identity *_Nonnull identity) {
    struct stat status;
    if (lstat(path, &status) != 0) return -errno;
    return accesslog_identity_of(&status, identity);
}

static inline void accesslog_close(int file) { close(file); }

/* A descriptor of one's own for the standard output. */
static inline int accesslog_standard_output(void) {
    int file = fcntl(1, F_DUPFD_CLOEXEC, 3);
    return file < 0 ? -errno : file;
}

/* Bytes that were taken. */
static inline int64_t accesslog_write(int file, const uint8_t *_Nonnull from, uint64_t count) {
    for (;;) {
        ssize_t written = write(file, from, count);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

/* Whether there is room; 0 when there was none for so long. */
static inline int accesslog_wait(int file, int milliseconds) {
    struct pollfd entry = {file, POLLOUT, 0};
    int count = poll(&entry, 1, milliseconds);
    return count < 0 ? (errno == EINTR ? 0 : -errno) : count;
}

/* ------------------------------------------------------------------- sockets */

/* Bytes that were taken. */
static inline int64_t accesslog_send(int file, const uint8_t *_Nonnull from, uint64_t count) {
    for (;;) {
        ssize_t sent = send(file, from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) return sent;
        if (errno != EINTR) return -errno;
    }
}

/* Whether the other side has closed: nothing is ever read from it. */
static inline int accesslog_is_closed(int file) {
    uint8_t byte;
    ssize_t count = recv(file, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

static inline int accesslog_connect_to(
    const struct sockaddr *_Nonnull address, socklen_t length, int type, int milliseconds) {
    int file = socket(address->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0) return -errno;
    int result = connect(file, address, length) == 0 ? 0 : -errno;
    if (result == -EINPROGRESS) {
        socklen_t size = sizeof result;
        int ready = accesslog_wait(file, milliseconds);
        result = ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : ready;
        if (result == 0) getsockopt(file, SOL_SOCKET, SO_ERROR, &result, &size);
        if (result > 0) result = -result;
    }
    if (result < 0) {
        close(file);
        return result;
    }
    return file;
}

/* A descriptor; -EINVAL when `host` is no address. */
static inline int accesslog_connect_ip(
    const char *_Nonnull host, uint16_t port, int is_stream, int milliseconds) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int type = is_stream ? SOCK_STREAM : SOCK_DGRAM;
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return accesslog_connect_to((struct sockaddr *)&v4, sizeof v4, type, milliseconds);
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        return accesslog_connect_to((struct sockaddr *)&v6, sizeof v6, type, milliseconds);
    return -EINVAL;
}

/* Whether a text is an IP address. */
static inline int accesslog_is_address(const char *_Nonnull text) {
    uint8_t room[16];
    return inet_pton(AF_INET, text, room) == 1 || inet_pton(AF_INET6, text, room) == 1;
}

static inline int accesslog_connect_unix(
    const char *_Nonnull path, int is_stream, int milliseconds) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    return accesslog_connect_to(
        (struct sockaddr *)&address, sizeof address, is_stream ? SOCK_STREAM : SOCK_DGRAM,
        milliseconds);
}

#endif
