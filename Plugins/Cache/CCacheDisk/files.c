#define _GNU_SOURCE 1

#include "CCacheDisk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* "ff/0123456789abcdef" or "new/0123456789abcdef" with its end. */
enum { NAME_SIZE = 24 };

static void name_object(char *name, uint64_t id) {
    snprintf(name, NAME_SIZE, "%02x/%016llx", (unsigned)(id & 0xff), (unsigned long long)id);
}

static void name_new(char *name, uint64_t id) {
    snprintf(name, NAME_SIZE, "new/%016llx", (unsigned long long)id);
}

const char *cachedisk_error(int result) {
    const char *text = strerrordesc_np(-result);
    return text ? text : "unknown error";
}

static int result_of(int result) { return result < 0 ? -errno : result; }

/* ------------------------------------------------------------------ folder */

int cachedisk_folder(const char *path) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return -errno;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return errno == ENOTDIR ? CACHEDISK_NOT_A_FOLDER : -errno;
    struct stat status;
    int result = folder;
    if (fstat(folder, &status) != 0) result = -errno;
    else if (status.st_uid != geteuid()) result = CACHEDISK_OWNER;
    else if (status.st_mode & 077) result = CACHEDISK_MODE;
    if (result < 0) close(folder);
    return result;
}

int cachedisk_subfolders(int folder) {
    char name[NAME_SIZE];
    if (mkdirat(folder, "new", 0700) != 0 && errno != EEXIST) return -errno;
    for (unsigned number = 0; number < CACHEDISK_FOLDERS; number++) {
        snprintf(name, sizeof name, "%02x", number);
        if (mkdirat(folder, name, 0700) != 0 && errno != EEXIST) return -errno;
    }
    return 0;
}

int cachedisk_is_at(int folder, const char *path) {
    struct stat known, found;
    return fstat(folder, &known) == 0 && stat(path, &found) == 0 && known.st_dev == found.st_dev
        && known.st_ino == found.st_ino;
}

int cachedisk_replace(int known, int fresh) {
    int result = result_of(dup3(fresh, known, O_CLOEXEC));
    close(fresh);
    return result;
}

void cachedisk_close(int descriptor) { close(descriptor); }

/* --------------------------------------------------------------- ownership */

/*
 * The file has one record. Its first byte is locked, shared by who makes a change and exclusively
 * by who claims; a byte behind it, another one for each owner, is locked as long as the owner
 * lives. The locks belong to the open file, so the kernel frees them whatever becomes of the
 * process.
 */
typedef struct owner_record {
    uint64_t magic;
    uint32_t version;
    uint32_t crc; /* of all, with 0 here */
    int64_t number;
} owner_record;

/* "SLUICEDO" */
static const uint64_t owner_magic = 0x4f44454349554c53;
enum { OWNER_VERSION = 1, OWNER_NUMBER_MAX = (1 << 24) - 1, LIFE_OFFSET = 4096 };

static int lock_byte(int lock, int command, short type, int64_t offset) {
    struct flock range = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = 1};
    for (;;) {
        if (fcntl(lock, command, &range) == 0) return command == F_OFD_GETLK ? range.l_type : 0;
        if (errno != EINTR) return -errno;
    }
}

/* The number of the last owner, 0 for none. */
static int64_t read_owner(int lock) {
    owner_record record;
    ssize_t count = pread(lock, &record, sizeof record, 0);
    if (count < 0) return -errno;
    if (count == 0) return 0;
    if (count < (ssize_t)sizeof record || record.magic != owner_magic)
        return CACHEDISK_FOREIGN;
    if (record.version != OWNER_VERSION) return CACHEDISK_VERSION;
    uint32_t crc = record.crc;
    record.crc = 0;
    if (crc != cachedisk_crc(0, &record, sizeof record) || record.number < 1
        || record.number > OWNER_NUMBER_MAX)
        return CACHEDISK_FOREIGN;
    return record.number;
}

static int write_owner(int lock, int64_t number) {
    owner_record record;
    memset(&record, 0, sizeof record);
    record.magic = owner_magic;
    record.version = OWNER_VERSION;
    record.number = number;
    record.crc = cachedisk_crc(0, &record, sizeof record);
    int result = cachedisk_write(lock, &record, sizeof record, 0);
    return result < 0 ? result : result_of(fdatasync(lock));
}

/* 1 if nothing is in the folder, as far as we are concerned. */
static int is_empty(int folder) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return -errno;
    DIR *list = fdopendir(copy);
    if (!list) {
        int result = -errno;
        close(copy);
        return result;
    }
    int result = 1;
    struct dirent *entry;
    while (result == 1 && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0
            && strcmp(entry->d_name, "lost+found") != 0)
            result = 0;
    closedir(list);
    return result;
}

int cachedisk_open_lock(int folder) {
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int lock = openat(folder, "lock", flags);
    if (lock < 0 && errno == ENOENT) {
        int empty = is_empty(folder);
        if (empty < 0) return empty;
        /* If another process has made it meanwhile, it is there although the folder isn't empty. */
        lock = openat(folder, "lock", empty ? flags | O_CREAT : flags, 0600);
        if (lock < 0 && errno == ENOENT) return CACHEDISK_FOREIGN;
    }
    if (lock < 0) return errno == ELOOP ? CACHEDISK_FOREIGN : -errno;
    struct stat status;
    int result = fstat(lock, &status) != 0 ? -errno
        : S_ISREG(status.st_mode)          ? lock
                                           : CACHEDISK_FOREIGN;
    if (result < 0) close(lock);
    return result;
}

int64_t cachedisk_claim(int lock, int64_t least, int if_abandoned) {
    const struct timespec pause = {0, 10000000};
    int result = -EAGAIN;
    for (int tries = 0; tries < 100 && result == -EAGAIN; tries++) {
        if (tries > 0) nanosleep(&pause, NULL);
        result = lock_byte(lock, F_OFD_SETLK, F_WRLCK, 0);
        if (result == -EACCES) result = -EAGAIN;
    }
    if (result < 0) return result;
    int64_t number = read_owner(lock);
    if (number > 0 && if_abandoned
        && lock_byte(lock, F_OFD_GETLK, F_WRLCK, LIFE_OFFSET + number) != F_UNLCK)
        number = CACHEDISK_LOST;
    if (number >= 0) {
        number = (number > least ? number : least) + 1;
        result = number > OWNER_NUMBER_MAX ? -EOVERFLOW : write_owner(lock, number);
        if (result == 0) result = lock_byte(lock, F_OFD_SETLK, F_WRLCK, LIFE_OFFSET + number);
        if (result < 0) number = result;
    }
    lock_byte(lock, F_OFD_SETLK, F_UNLCK, 0);
    return number;
}

int cachedisk_enter(int lock, int64_t number) {
    int result = lock_byte(lock, F_OFD_SETLKW, F_RDLCK, 0);
    if (result < 0) return result;
    struct stat status;
    int64_t owner = read_owner(lock);
    if (fstat(lock, &status) != 0) result = -errno;
    else if (status.st_nlink == 0) result = -ENOENT;
    else if (owner == number) return 0;
    else result = owner < 0 ? (int)owner : CACHEDISK_LOST;
    cachedisk_leave(lock);
    return result;
}

void cachedisk_leave(int lock) { lock_byte(lock, F_OFD_SETLK, F_UNLCK, 0); }

/* ----------------------------------------------------------------- objects */

int cachedisk_create(int folder, uint64_t id) {
    char name[NAME_SIZE];
    name_new(name, id);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    return result_of(openat(folder, name, flags, 0600));
}

int cachedisk_publish(int folder, uint64_t id) {
    char from[NAME_SIZE], to[NAME_SIZE];
    name_new(from, id);
    name_object(to, id);
    return result_of(renameat(folder, from, folder, to));
}

int cachedisk_remove_new(int folder, uint64_t id) {
    char name[NAME_SIZE];
    name_new(name, id);
    return result_of(unlinkat(folder, name, 0));
}

static int open_object(int folder, uint64_t id, int access) {
    char name[NAME_SIZE];
    name_object(name, id);
    int file = openat(folder, name, access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return -errno;
    struct stat status;
    int result = fstat(file, &status) != 0 ? -errno
        : S_ISREG(status.st_mode)          ? file
                                           : CACHEDISK_FOREIGN;
    if (result < 0) close(file);
    return result;
}

int cachedisk_open(int folder, uint64_t id) { return open_object(folder, id, O_RDONLY); }

int cachedisk_open_to_rewrite(int folder, uint64_t id) {
    return open_object(folder, id, O_RDWR);
}

int cachedisk_remove(int folder, uint64_t id) {
    char name[NAME_SIZE];
    name_object(name, id);
    return result_of(unlinkat(folder, name, 0));
}

int64_t cachedisk_length(int file) {
    struct stat status;
    return fstat(file, &status) != 0 ? -errno : (int64_t)status.st_size;
}

int cachedisk_read(int file, void *to, size_t count, uint64_t offset) {
    char *next = to;
    while (count > 0) {
        ssize_t got = pread(file, next, count, (off_t)offset);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        if (got == 0) return CACHEDISK_SHORT;
        next += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return 0;
}

int64_t cachedisk_read_cached(int file, void *to, size_t count, uint64_t offset) {
    struct iovec piece = {.iov_base = to, .iov_len = count};
    ssize_t got = preadv2(file, &piece, 1, (off_t)offset, RWF_NOWAIT);
    return got < 0 ? 0 : got;
}

int cachedisk_duplicate(int file) { return result_of(fcntl(file, F_DUPFD_CLOEXEC, 0)); }

int cachedisk_write(int file, const void *from, size_t count, uint64_t offset) {
    const char *next = from;
    while (count > 0) {
        ssize_t written = pwrite(file, next, count, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        next += written;
        offset += (uint64_t)written;
        count -= (size_t)written;
    }
    return 0;
}

static int copy_plainly(
    int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t count) {
    enum { PIECE = 65536 };
    char *piece = malloc(PIECE);
    if (!piece) return -ENOMEM;
    int result = 0;
    while (count > 0 && result == 0) {
        size_t part = count < PIECE ? (size_t)count : PIECE;
        result = cachedisk_read(from, piece, part, from_offset);
        if (result == 0) result = cachedisk_write(to, piece, part, to_offset);
        from_offset += part;
        to_offset += part;
        count -= part;
    }
    free(piece);
    return result;
}

int cachedisk_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t count) {
    loff_t source = (loff_t)from_offset, target = (loff_t)to_offset;
    while (count > 0) {
        ssize_t copied = copy_file_range(from, &source, to, &target, (size_t)count, 0);
        if (copied > 0) {
            count -= (uint64_t)copied;
            continue;
        }
        if (copied == 0) return CACHEDISK_SHORT;
        if (errno == EINTR) continue;
        /* Some file systems can't. */
        if (errno == EINVAL || errno == EOPNOTSUPP || errno == EXDEV || errno == ENOSYS)
            return copy_plainly(from, (uint64_t)source, to, (uint64_t)target, count);
        return -errno;
    }
    return 0;
}

int cachedisk_sync(int file) { return result_of(fdatasync(file)); }

/* ----------------------------------------------------------------- listing */

struct cachedisk_listing {
    DIR *list;
    struct dirent *last;
    uint32_t number;
};

cachedisk_listing *cachedisk_list(int folder, uint32_t number, int *result) {
    char name[NAME_SIZE] = "new";
    if (number < CACHEDISK_FOLDERS) snprintf(name, sizeof name, "%02x", number);
    cachedisk_listing *listing = calloc(1, sizeof *listing);
    if (!listing) {
        *result = -ENOMEM;
        return NULL;
    }
    int copy = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    listing->list = copy < 0 ? NULL : fdopendir(copy);
    listing->number = number;
    if (listing->list) return listing;
    *result = -errno;
    if (copy >= 0) close(copy);
    free(listing);
    return NULL;
}

/* The id that a name of 16 lower-case digits says; 0 for any other name. */
static uint64_t id_of(const char *name) {
    uint64_t id = 0;
    for (int index = 0; index < 16; index++) {
        char digit = name[index];
        if (digit >= '0' && digit <= '9') id = id << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f') id = id << 4 | (uint64_t)(digit - 'a' + 10);
        else return 0;
    }
    return name[16] == 0 ? id : 0;
}

int cachedisk_next(cachedisk_listing *listing, uint64_t *id) {
    do {
        errno = 0;
        listing->last = readdir(listing->list);
        if (!listing->last) return errno != 0 ? -errno : CACHEDISK_ENTRY_END;
    } while (strcmp(listing->last->d_name, ".") == 0 || strcmp(listing->last->d_name, "..") == 0);
    *id = id_of(listing->last->d_name);
    if (*id == 0) return CACHEDISK_ENTRY_OTHER;
    if (listing->number < CACHEDISK_FOLDERS && (*id & 0xff) != listing->number)
        return CACHEDISK_ENTRY_OTHER;
    return CACHEDISK_ENTRY_OBJECT;
}

int cachedisk_remove_listed(cachedisk_listing *listing) {
    return result_of(unlinkat(dirfd(listing->list), listing->last->d_name, 0));
}

void cachedisk_end_list(cachedisk_listing *listing) {
    closedir(listing->list);
    free(listing);
}
