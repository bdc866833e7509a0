/*
 * What the cache's disk tier needs of the machine: files below one folder, locks between processes,
 * memory that may be refused, clocks, and a checksum. Embedded Swift has no module of the C
 * library.
 *
 * Nothing here is for a worker's thread but memory, clocks and what is in memory already: the rest
 * may wait for a disk.
 * Results below 0 are a negative errno, or one of CACHEDISK_*.
 */
#ifndef CCACHEDISK_H
#define CCACHEDISK_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is no errno. */
enum {
    CACHEDISK_NOT_A_FOLDER = -4097,
    CACHEDISK_OWNER = -4098,   /* the folder belongs to another user */
    CACHEDISK_MODE = -4099,    /* others may enter the folder */
    CACHEDISK_FOREIGN = -4100, /* the folder is in use for something else */
    CACHEDISK_VERSION = -4101, /* files of another version of the layout */
    CACHEDISK_LOST = -4102,    /* another process has taken the folder over */
    CACHEDISK_SHORT = -4103,   /* a file ends too early */
    CACHEDISK_ENOENT = -ENOENT,
    CACHEDISK_EEXIST = -EEXIST,
    CACHEDISK_EMFILE = -EMFILE,
    CACHEDISK_ENFILE = -ENFILE,
    CACHEDISK_ENOMEM = -ENOMEM,
};

/* The text of a negative errno, from a table that does not change. */
const char *_Nonnull cachedisk_error(int result);

/* ------------------------------------------------------------------ memory */

/* Bytes that are all 0; NULL when there are not as many. A large block costs nothing until it is
 * touched. */
static inline void *_Nullable cachedisk_zeroed(size_t count, size_t size) {
    return calloc(count, size);
}

/* Bytes, not initialized. */
static inline void *_Nullable cachedisk_allocate(size_t count) { return malloc(count); }

static inline void cachedisk_free(void *_Nullable memory) { free(memory); }

/* The address in a place that is set once, by whichever thread is first. */
static inline void *_Nullable cachedisk_address(void *_Nullable *_Nonnull place) {
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

/* Whether the address was set; not if there was one before. */
static inline int cachedisk_set_address(void *_Nullable *_Nonnull place, void *_Nonnull address) {
    void *none = NULL;
    return __atomic_compare_exchange_n(
        place, &none, address, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------ clocks */

/* Nanoseconds of the clock that only goes on. */
static inline uint64_t cachedisk_monotonic(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Nanoseconds since 1970. */
static inline uint64_t cachedisk_wall_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Seconds since 1970. */
static inline uint64_t cachedisk_wall(void) {
    return cachedisk_wall_nanoseconds() / 1000000000u;
}

/* ---------------------------------------------------------------- checksum */

/* CRC-32C (RFC 3720 §12.1) of what `crc` is of, 0 for nothing, and of these bytes behind it. */
uint32_t cachedisk_crc(uint32_t crc, const void *_Nullable bytes, size_t count);

/* The same without the processor's instruction; for tests. */
uint32_t cachedisk_crc_plain(uint32_t crc, const void *_Nullable bytes, size_t count);

/* ------------------------------------------------------------------ folder */

/* Folders of objects: an object is in the one that the lowest byte of its id names. */
enum { CACHEDISK_FOLDERS = 256 };

/* Opens the folder; makes it, with mode 0700, if its parent is there. It must be this user's alone:
 * CACHEDISK_NOT_A_FOLDER, CACHEDISK_OWNER, CACHEDISK_MODE. */
int cachedisk_folder(const char *_Nonnull path);

/* Makes the folders of objects and of new files, where they are missing. */
int cachedisk_subfolders(int folder);

/* 1 if the folder is still at this path, 0 if not. */
int cachedisk_is_at(int folder, const char *_Nonnull path);

/* Has the number of one descriptor mean what another one does, which is closed. */
int cachedisk_replace(int known, int fresh);

void cachedisk_close(int descriptor);

/* --------------------------------------------------------------- ownership */

/* Opens the file that owners of the folder agree by. Makes it if the folder is empty, or has only
 * `lost+found`; CACHEDISK_FOREIGN if something else is in it. */
int cachedisk_open_lock(int folder);

/*
 * Takes the folder over: from now on `cachedisk_enter` fails for the owner before. With
 * `if_abandoned` only if the process of that one is there no more, else CACHEDISK_LOST.
 *
 * The result is the owner's number, above all before and above `least`. It waits a second at most
 * for a change that another process makes just now: -EAGAIN. CACHEDISK_FOREIGN or
 * CACHEDISK_VERSION for a file that is not as we write it; -EOVERFLOW after 2^24 owners.
 */
int64_t cachedisk_claim(int lock, int64_t least, int if_abandoned);

/* Begins a change of the folder by the owner `number`, which no claim comes between.
 * CACHEDISK_LOST if it is the owner no more; -ENOENT if the file was removed. One thread at a time;
 * `cachedisk_leave` ends it if the result is 0. */
int cachedisk_enter(int lock, int64_t number);

void cachedisk_leave(int lock);

/* ----------------------------------------------------------------- objects */

/* A new file, to be written; not to be found under the object's name yet. */
int cachedisk_create(int folder, uint64_t id);

/* Lets a new file be the object. */
int cachedisk_publish(int folder, uint64_t id);

int cachedisk_remove_new(int folder, uint64_t id);

/* Opens an object; a link or anything but a regular file is -ELOOP or CACHEDISK_FOREIGN. */
int cachedisk_open(int folder, uint64_t id);

/* The same, to write its head as well. */
int cachedisk_open_to_rewrite(int folder, uint64_t id);

int cachedisk_remove(int folder, uint64_t id);

/* Bytes of a file. */
int64_t cachedisk_length(int file);

/* Reads all of the bytes; CACHEDISK_SHORT if the file ends before. */
int cachedisk_read(int file, void *_Nonnull to, size_t count, uint64_t offset);

/* Reads what is in memory already, without waiting for the disk: how many bytes, 0 when the first
 * of them is not there, or nobody can tell. */
int64_t cachedisk_read_cached(int file, void *_Nonnull to, size_t count, uint64_t offset);

/* Another descriptor of the same open file. */
int cachedisk_duplicate(int file);

/* Writes all of the bytes. */
int cachedisk_write(int file, const void *_Nonnull from, size_t count, uint64_t offset);

/* Copies bytes between files within the kernel, and shares their blocks where the file system
 * can. */
int cachedisk_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t count);

/* Waits until the file's bytes are on the disk. */
int cachedisk_sync(int file);

/* ----------------------------------------------------------------- listing */

/* A folder that is being read. */
typedef struct cachedisk_listing cachedisk_listing;

/* The folder of objects with this number, or of new files: CACHEDISK_FOLDERS. NULL with `result`
 * when it can't be read. */
cachedisk_listing *_Nullable cachedisk_list(int folder, uint32_t number, int *_Nonnull result);

/* What an entry's name says. */
enum {
    CACHEDISK_ENTRY_END = 0,
    CACHEDISK_ENTRY_OBJECT = 1, /* `id` */
    CACHEDISK_ENTRY_OTHER = 2,  /* no name of ours, or in the wrong folder */
};

/* The next entry, or a negative errno. */
int cachedisk_next(cachedisk_listing *_Nonnull listing, uint64_t *_Nonnull id);

/* Removes the file that `cachedisk_next` gave last; -EISDIR for a folder. */
int cachedisk_remove_listed(cachedisk_listing *_Nonnull listing);

void cachedisk_end_list(cachedisk_listing *_Nonnull listing);

#endif
