/*
 * Reading a file, for the Swift layer: Embedded Swift has no module of the C library. Results below
 * 0 are a negative errno.
 */
#ifndef SLUICE_SDK_FILE_H
#define SLUICE_SDK_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No file: a folder, a device, a pipe. Not an errno of Linux. */
#define SLUICE_FILE_IRREGULAR (-4096)

/* A descriptor of a regular file, and its length. Does not wait for the other end of a pipe. */
static inline int sluice_file_open(const char *path, uint64_t *length) {
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return -errno;
    int result = descriptor;
    if (fstat(descriptor, &status) != 0) result = -errno;
    else if (!S_ISREG(status.st_mode)) result = SLUICE_FILE_IRREGULAR;
    else *length = (uint64_t)status.st_size;
    if (result < 0) close(descriptor);
    return result;
}

/* The permissions of an open file, or a negative errno. */
static inline int sluice_file_mode(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) != 0 ? -errno : (int)(status.st_mode & 07777);
}

/* Bytes that were read, 0 at the end. */
static inline int64_t sluice_file_read(int descriptor, uint8_t *to, uint64_t capacity) {
    for (;;) {
        ssize_t count = read(descriptor, to, capacity);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

static inline void sluice_file_close(int descriptor) { close(descriptor); }

/* The message of a negative errno. */
static inline const char *sluice_file_error(int64_t result) { return strerror((int)-result); }

#endif
