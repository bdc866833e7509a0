#define _GNU_SOURCE 1
#include "CLinux.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <termios.h>
#include <sys/ioctl.h>

long clinux_accept(int fd, struct sockaddr_storage *address, uint32_t *length) {
    socklen_t size = sizeof *address;
    long result;
    do {
        result = accept4(fd, (struct sockaddr *)address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (result < 0 && errno == EINTR);
    *length = size;
    return result < 0 ? -errno : result;
}

long clinux_peer_credentials(int fd, int32_t *process, uint32_t *user, uint32_t *group) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
    *process = peer.pid;
    *user = peer.uid;
    *group = peer.gid;
    return 0;
}

uint64_t clinux_manual_nanoseconds;

long clinux_spawn(
    const char *path, char *const arguments[], int input, int report, int output) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t process = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    /* The caller may have blocked or ignored signals for itself. */
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (input >= 0) {
        posix_spawn_file_actions_adddup2(&actions, input, 0);
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    }
    /* `output` first: it may be 3 itself. `report` is never 1 or 2, which are open. */
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawn_file_actions_adddup2(&actions, report, 3);
    int result = posix_spawn(&process, path, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result != 0 ? -result : process;
}

void clinux_become_expendable(void) {
    struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    /* More cannot be done where that is not allowed. */
    ssize_t written = write(fd, "1000", 4);
    (void)written;
    close(fd);
}

const void *clinux_library_address(void *library) {
    /* A handle of dlopen is the linker's map of the library; its dynamic table lies in it. */
    return ((struct link_map *)library)->l_ld;
}

int clinux_is_in_library(const void *address, const char *path) {
    Dl_info info;
    return dladdr(address, &info) != 0 && info.dli_fname && strcmp(info.dli_fname, path) == 0;
}

long clinux_wait_process(int process) {
    int status = 0;
    CLINUX_RETRY(waitpid(process, &status, 0) < 0 ? -1 : status);
}

long clinux_poll(int fd, int ms) {
    struct pollfd one = {fd, POLLIN, 0};
    CLINUX_RETRY(poll(&one, 1, ms));
}

/* The settings before `clinux_terminal_take`. */
static struct termios clinux_terminal_before;

long clinux_terminal_take(int fd) {
    if (tcgetattr(fd, &clinux_terminal_before) < 0) return -errno;
    struct termios keys = clinux_terminal_before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    CLINUX_RESULT(tcsetattr(fd, TCSADRAIN, &keys));
}

void clinux_terminal_give_back(int fd) {
    tcsetattr(fd, TCSADRAIN, &clinux_terminal_before);
}

uint32_t clinux_terminal_size(int fd) {
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col) return 0;
    return (uint32_t)size.ws_row << 16 | size.ws_col;
}

uint64_t clinux_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

long clinux_memory_file(const char *name) {
    CLINUX_RESULT(memfd_create(name, MFD_CLOEXEC));
}

long clinux_pipe(int32_t ends[2]) {
    CLINUX_RESULT(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
}

long clinux_pipe_size(int fd, int bytes) {
    CLINUX_RESULT(fcntl(fd, F_SETPIPE_SZ, bytes));
}

long clinux_splice(int from, int to, size_t count) {
    CLINUX_RETRY(splice(from, 0, to, 0, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

long clinux_sendfile(int to, int file, uint64_t offset, size_t count) {
    off_t from = (off_t)offset;
    CLINUX_RETRY(sendfile(to, file, &from, count));
}

long clinux_affinity_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    long count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

void clinux_name_thread(pthread_t thread, const char *name) {
    pthread_setname_np(thread, name);
}

static _Thread_local uint64_t state[4];

/* Out of the way of the short function below. */
static __attribute__((noinline, cold)) void seed(void) {
    while ((state[0] | state[1] | state[2] | state[3]) == 0) {
        if (getrandom(state, sizeof state, 0) != (long)sizeof state) state[0] = 0;
    }
}

/* xoshiro256** (Blackman and Vigna, public domain), one state per thread. */
uint64_t clinux_random_word(void) {
    if ((state[0] | state[1]) == 0) seed();
    uint64_t product = state[1] * 5;
    uint64_t result = ((product << 7) | (product >> 57)) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 45) | (state[3] >> 19);
    return result;
}

static _Thread_local uint64_t thread_word;

uint64_t clinux_thread_word(void) {
    return thread_word;
}

void clinux_set_thread_word(uint64_t word) {
    thread_word = word;
}
