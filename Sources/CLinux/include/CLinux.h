/*
 * System calls as Swift can call them: every function returns a result of 0 or more, or the negated
 * errno, so that the global errno is never read across a call.
 *
 * Calls that need _GNU_SOURCE are in shims.c: Swift reads this header beside glibc's own module,
 * which is built without it, and refuses two views of one type.
 */
#ifndef CLINUX_H
#define CLINUX_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLINUX_RESULT(call)                    \
    do {                                       \
        long clinux_result = (long)(call);     \
        return clinux_result < 0 ? -errno : clinux_result; \
    } while (0)

/* The same for calls that a signal may interrupt before they did anything. */
#define CLINUX_RETRY(call)                                       \
    do {                                                         \
        long clinux_result;                                      \
        do {                                                     \
            clinux_result = (long)(call);                        \
        } while (clinux_result < 0 && errno == EINTR);           \
        return clinux_result < 0 ? -errno : clinux_result;       \
    } while (0)

/* The calls of the request path go by syscall(2): glibc's own are cancellation points, which costs
 * some 50 instructions each in a process with threads, and no thread here is ever cancelled. */
extern long syscall(long number, ...);

/* -- sockets ----------------------------------------------------------------------------------- */

long clinux_accept(int fd, struct sockaddr_storage *address, uint32_t *length);

/* Who connected a Unix socket. */
long clinux_peer_credentials(int fd, int32_t *process, uint32_t *user, uint32_t *group);

static inline long clinux_recv(int fd, void *to, size_t count) {
    CLINUX_RETRY(syscall(SYS_recvfrom, (long)fd, to, count, 0L, 0L, 0L));
}

/* The same, and leaves the bytes where they are. */
static inline long clinux_peek(int fd, void *to, size_t count) {
    CLINUX_RETRY(syscall(SYS_recvfrom, (long)fd, to, count, (long)MSG_PEEK, 0L, 0L));
}

static inline long clinux_send(int fd, const void *from, size_t count) {
    CLINUX_RETRY(syscall(SYS_sendto, (long)fd, from, count, (long)MSG_NOSIGNAL, 0L, 0L));
}

/* The same, and says that more follows at once. */
static inline long clinux_send_more(int fd, const void *from, size_t count) {
    CLINUX_RETRY(
        syscall(SYS_sendto, (long)fd, from, count, (long)(MSG_NOSIGNAL | MSG_MORE), 0L, 0L));
}

/* Sends up to four pieces. A piece of no bytes is allowed. */
typedef struct clinux_pieces {
    struct iovec piece[4];
    int count;
} clinux_pieces;

static inline long clinux_send_pieces(int fd, const clinux_pieces *pieces) {
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)pieces->piece;
    message.msg_iovlen = (size_t)pieces->count;
    CLINUX_RETRY(syscall(SYS_sendmsg, (long)fd, &message, (long)MSG_NOSIGNAL));
}

static inline long clinux_socket(int family, int type) {
    CLINUX_RESULT(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static inline long clinux_bind(int fd, const struct sockaddr_storage *address, uint32_t length) {
    CLINUX_RESULT(bind(fd, (const struct sockaddr *)address, length));
}

static inline long clinux_listen(int fd, int backlog) {
    CLINUX_RESULT(listen(fd, backlog));
}

static inline long clinux_connect(int fd, const struct sockaddr_storage *address, uint32_t length) {
    CLINUX_RESULT(connect(fd, (const struct sockaddr *)address, length));
}

static inline long clinux_shutdown_write(int fd) {
    CLINUX_RESULT(shutdown(fd, SHUT_WR));
}

static inline long clinux_set_option(int fd, int level, int option, int value) {
    CLINUX_RESULT(setsockopt(fd, level, option, &value, sizeof value));
}

/* Makes close() send a reset instead of waiting for unsent bytes. */
static inline long clinux_set_reset_on_close(int fd) {
    struct linger value = {1, 0};
    CLINUX_RESULT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

/* The pending error of a socket, as a positive errno; 0 when there is none. */
static inline long clinux_socket_error(int fd) {
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) < 0) return errno;
    return value;
}

static inline long clinux_local_address(
    int fd, struct sockaddr_storage *address, uint32_t *length) {
    socklen_t size = sizeof *address;
    long result = getsockname(fd, (struct sockaddr *)address, &size);
    *length = size;
    return result < 0 ? -errno : result;
}

static inline long clinux_close(int fd) {
    /* On Linux the descriptor is gone even after EINTR. */
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static inline long clinux_duplicate(int fd) {
    CLINUX_RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/* Two ends of a connection within the process, without a name. */
static inline long clinux_socket_pair(int32_t ends[2]) {
    CLINUX_RESULT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
}

/* -- pipes and splice -------------------------------------------------------------------------- */

long clinux_pipe(int32_t ends[2]);

long clinux_pipe_size(int fd, int bytes);

long clinux_splice(int from, int to, size_t count);

/* Bytes of a file to a socket; the file's own position stays. */
long clinux_sendfile(int to, int file, uint64_t offset, size_t count);

/* -- readiness --------------------------------------------------------------------------------- */

static inline long clinux_epoll_create(void) {
    CLINUX_RESULT(epoll_create1(EPOLL_CLOEXEC));
}

/* Watches a connection once and for all: both directions, edge-triggered. */
static inline long clinux_epoll_add_connection(int epoll, int fd, uint64_t token) {
    struct epoll_event event;
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = token;
    CLINUX_RESULT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Watches for input, level-triggered; `exclusive` wakes one of the workers that share `fd`. */
static inline long clinux_epoll_add_input(int epoll, int fd, uint64_t token, int exclusive) {
    struct epoll_event event;
    event.events = EPOLLIN | (exclusive ? (uint32_t)EPOLLEXCLUSIVE : 0u);
    event.data.u64 = token;
    CLINUX_RESULT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static inline long clinux_epoll_remove(int epoll, int fd) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    CLINUX_RESULT(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event));
}

static inline long clinux_epoll_wait(int epoll, struct epoll_event *events, int count, int ms) {
    long result = syscall(SYS_epoll_pwait, (long)epoll, events, (long)count, (long)ms, 0L, 8L);
    if (result < 0) return errno == EINTR ? 0 : -errno;
    return result;
}

static inline uint64_t clinux_event_token(const struct epoll_event *events, long index) {
    return events[index].data.u64;
}

static inline uint32_t clinux_event_flags(const struct epoll_event *events, long index) {
    return events[index].events;
}

static inline long clinux_eventfd(void) {
    CLINUX_RESULT(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

static inline long clinux_eventfd_add(int fd) {
    uint64_t one = 1;
    CLINUX_RETRY(write(fd, &one, sizeof one));
}

static inline long clinux_eventfd_take(int fd) {
    uint64_t value = 0;
    CLINUX_RETRY(read(fd, &value, sizeof value));
}

/* -- files, process, time ---------------------------------------------------------------------- */

static inline long clinux_write(int fd, const void *from, size_t count) {
    CLINUX_RETRY(write(fd, from, count));
}

/* Bytes that malloc has given out. */
uint64_t clinux_heap_bytes(void);

/* A file without a name, in memory. */
long clinux_memory_file(const char *name);

static inline long clinux_read_at(int fd, void *to, size_t count, int64_t offset) {
    CLINUX_RETRY(pread(fd, to, count, offset));
}

static inline long clinux_read(int fd, void *to, size_t count) {
    CLINUX_RETRY(read(fd, to, count));
}

static inline long clinux_open_read(const char *path) {
    CLINUX_RETRY(open(path, O_RDONLY | O_CLOEXEC));
}

/* Makes a file that must not exist yet. */
static inline long clinux_open_new(const char *path, uint32_t mode) {
    CLINUX_RETRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode));
}

/* Opens a file to add to, and makes it when it is not there; a link is refused. */
static inline long clinux_open_append(const char *path, uint32_t mode) {
    CLINUX_RETRY(open(
        path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, (mode_t)mode));
}

/* What the monotonic clock says while a test moves it by hand; 0 while it runs by itself. Of the
 * process, and hidden, so that reading it costs one instruction. */
__attribute__((visibility("hidden"))) extern uint64_t clinux_manual_nanoseconds;

static inline void clinux_set_manual_nanoseconds(uint64_t now) {
    __atomic_store_n(&clinux_manual_nanoseconds, now, __ATOMIC_RELAXED);
}

static inline uint64_t clinux_nanoseconds(clockid_t clock) {
    if (clock == CLOCK_MONOTONIC) {
        uint64_t manual = __atomic_load_n(&clinux_manual_nanoseconds, __ATOMIC_RELAXED);
        if (__builtin_expect(manual != 0, 0)) return manual;
    }
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds of CPU that a thread of this process has used, by its number in the kernel; 0 of one
 * that is gone. The number of the clock is what clock_getcpuclockid makes of a process. */
static inline uint64_t clinux_thread_cpu_nanoseconds(int32_t thread) {
    struct timespec used;
    clockid_t clock = (clockid_t)(~(uint32_t)thread << 3 | 6);
    if (thread <= 0 || clock_gettime(clock, &used) < 0) return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* The kernel's number of this thread. */
static inline int32_t clinux_thread_number(void) { return (int32_t)syscall(SYS_gettid); }

/* The monotonic clock as the kernel has it, also while a test moves its own. */
static inline uint64_t clinux_kernel_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Cores that this process may run on, at least 1. */
long clinux_affinity_count(void);

static inline long clinux_random(void *to, size_t count) {
    CLINUX_RETRY(getrandom(to, count, 0));
}

/* Names this thread for tools; up to 15 bytes. */
void clinux_name_thread(pthread_t thread, const char *name);

/* 64 random bits of this thread's generator: fast, seeded by the kernel, not for secrets. */
uint64_t clinux_random_word(void);

/* A word of this thread's own, 0 until it is set. */
uint64_t clinux_thread_word(void);

void clinux_set_thread_word(uint64_t word);

/* Mode of a file, or the negated errno. */
static inline long clinux_file_mode(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0) return -errno;
    return (long)status.st_mode;
}

/* What tells one version of a file from another, its mode, and whose it is. */
typedef struct clinux_file_version {
    uint64_t device, inode, size, changed_nanoseconds;
    uint32_t mode, owner, group;
} clinux_file_version;

static inline long clinux_get_status_version(
    const struct stat *status, clinux_file_version *version) {
    version->device = (uint64_t)status->st_dev;
    version->inode = (uint64_t)status->st_ino;
    version->size = (uint64_t)status->st_size;
    version->changed_nanoseconds =
        (uint64_t)status->st_mtim.tv_sec * 1000000000u + (uint64_t)status->st_mtim.tv_nsec;
    version->mode = (uint32_t)status->st_mode;
    version->owner = (uint32_t)status->st_uid;
    version->group = (uint32_t)status->st_gid;
    return 0;
}

/* Of what a path leads to, or, without `follow`, of a symbolic link itself. */
static inline long clinux_get_file_version(
    const char *path, int follow, clinux_file_version *version) {
    struct stat status;
    if ((follow ? stat(path, &status) : lstat(path, &status)) < 0) return -errno;
    return clinux_get_status_version(&status, version);
}

/* The same of a file that is open. */
static inline long clinux_get_open_file_version(int fd, clinux_file_version *version) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    return clinux_get_status_version(&status, version);
}

/* Raises the soft limit of descriptors to the hard one; the limit that now holds. */
static inline uint64_t clinux_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return (uint64_t)limit.rlim_cur;
}

/* Starts a program; descriptor 3 is `report`, 1 and 2 are `output`, 0 is `input` or nothing when
 * that is negative. No signal is blocked or ignored there. */
long clinux_spawn(
    const char *path, char *const arguments[], int input, int report, int output);

/* Waits for the end of a process: its status as wait(2) has it. */
long clinux_wait_process(int process);

static inline long clinux_kill(int process) {
    CLINUX_RESULT(kill(process, SIGKILL));
}

/* Waits until there is something to read, or the other end is closed: 1, or 0 after `ms`. */
long clinux_poll(int fd, int ms);

static inline int clinux_is_terminal(int fd) {
    return isatty(fd);
}

/* Keys as they are pressed, without echo or signals; one terminal at a time. */
long clinux_terminal_take(int fd);
void clinux_terminal_give_back(int fd);

/* Lines << 16 | columns; 0 where it does not say. */
uint32_t clinux_terminal_size(int fd);

/* -- libraries --------------------------------------------------------------------------------- */

/* Loads a library; without `stays` it can be closed. */
static inline void *clinux_dlopen(const char *path, int stays) {
    return dlopen(path, RTLD_NOW | RTLD_LOCAL | (stays ? RTLD_NODELETE : 0));
}

static inline int clinux_dlclose(void *library) {
    return dlclose(library);
}

/* An address in the library. */
const void *clinux_library_address(void *library);

/* Whether the address is in a library that was loaded by this path. */
int clinux_is_in_library(const void *address, const char *path);

/* Makes this process one that nobody is to miss: it ends with the thread that started it, leaves no
 * core file, and is the first to go when memory is short. */
void clinux_become_expendable(void);

static inline void *clinux_dlsym(void *library, const char *symbol) {
    return dlsym(library, symbol);
}

/* -- signals ----------------------------------------------------------------------------------- */

/* Blocks the signals that the main thread waits for, in this thread and all that it starts, and
 * ignores SIGPIPE: a closed peer is an error of the write. */
static inline void clinux_block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    signal(SIGPIPE, SIG_IGN);
}

static inline void clinux_ignore_pipe(void) {
    signal(SIGPIPE, SIG_IGN);
}

/* Waits for one of them; its number. */
static inline int clinux_wait_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    int number = 0;
    while (sigwait(&set, &number) != 0) {
    }
    return number;
}

#endif
