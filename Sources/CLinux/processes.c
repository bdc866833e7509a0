#define _GNU_SOURCE 1
#include "CLinuxProcesses.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static long result_of(long result) {
    return result < 0 ? -errno : result;
}

long clinux_message_pair(int32_t ends[2]) {
    return result_of(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
}

/* Room for the descriptors of one message, aligned as the kernel wants it. */
typedef union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int32_t) * CLINUX_MESSAGE_DESCRIPTORS_MAX)];
} control;

long clinux_send_message(
    int fd, const void *bytes, size_t count, const int32_t *descriptors, size_t descriptor_count,
    int wait) {
    if (descriptor_count > CLINUX_MESSAGE_DESCRIPTORS_MAX || count == 0) return -EINVAL;
    control room;
    memset(&room, 0, sizeof room);
    struct iovec piece = {(void *)bytes, count};
    struct msghdr message = {0};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (descriptor_count > 0) {
        message.msg_control = &room;
        message.msg_controllen = CMSG_SPACE(sizeof(int32_t) * descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int32_t) * descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int32_t) * descriptor_count);
    }
    long result;
    do {
        result = sendmsg(fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    } while (result < 0 && errno == EINTR);
    return result_of(result);
}

long clinux_receive_message(
    int fd, void *bytes, size_t capacity, int32_t *descriptors, size_t *descriptor_count,
    int wait) {
    control room;
    struct iovec piece = {bytes, capacity};
    struct msghdr message = {0};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = &room;
    message.msg_controllen = sizeof room;
    *descriptor_count = 0;
    long result;
    do {
        result = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    size_t taken = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int32_t);
        /* `room` has space for no more. */
        memcpy(descriptors + taken, CMSG_DATA(header), here * sizeof(int32_t));
        taken += here;
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        while (taken > 0) close(descriptors[--taken]);
        return -EMSGSIZE;
    }
    *descriptor_count = taken;
    return result;
}

long clinux_file_size(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    return (long)status.st_size;
}

long clinux_set_file_size(int fd, int64_t count) {
    return result_of(ftruncate(fd, count));
}

long clinux_start_process(
    const char *path, char *const arguments[], const int32_t *descriptors, size_t count) {
    extern char **environ;
    if (count > CLINUX_MESSAGE_DESCRIPTORS_MAX) return -EINVAL;
    /* Copies above all targets, so that none is overwritten before it was used. */
    int32_t copies[CLINUX_MESSAGE_DESCRIPTORS_MAX];
    long problem = 0;
    size_t made = 0;
    while (made < count && problem == 0) {
        int copy = fcntl(descriptors[made], F_DUPFD_CLOEXEC, (int)(3 + count));
        if (copy < 0) problem = -errno;
        else copies[made++] = copy;
    }
    pid_t process = 0;
    if (problem == 0) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        for (size_t index = 0; index < count; index++)
            posix_spawn_file_actions_adddup2(&actions, copies[index], (int)(3 + index));
        posix_spawn_file_actions_addclosefrom_np(&actions, (int)(3 + count));
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        problem = -posix_spawn(&process, path, &actions, &attributes, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    while (made > 0) close(copies[--made]);
    return problem != 0 ? problem : process;
}

long clinux_become(const char *path, char *const arguments[]) {
    extern char **environ;
    execve(path, arguments, environ);
    return -errno;
}

long clinux_set_inherited(int fd, int is_inherited) {
    return result_of(fcntl(fd, F_SETFD, is_inherited ? 0 : FD_CLOEXEC));
}

long clinux_reap(int32_t *status) {
    int word = 0;
    long process;
    do {
        process = waitpid(-1, &word, WNOHANG);
    } while (process < 0 && errno == EINTR);
    *status = word;
    if (process < 0) return errno == ECHILD ? 0 : -errno;
    return process;
}

long clinux_send_signal(int process, int number) {
    return result_of(kill(process, number));
}

static void watched_signals(sigset_t *set) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2, SIGCHLD};
    sigemptyset(set);
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
        sigaddset(set, numbers[index]);
}

long clinux_signal_descriptor(void) {
    sigset_t set;
    watched_signals(&set);
    if (sigprocmask(SIG_BLOCK, &set, 0) < 0) return -errno;
    return result_of(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

long clinux_take_signal(int fd) {
    struct signalfd_siginfo info;
    long result;
    do {
        result = read(fd, &info, sizeof info);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : (long)info.ssi_signo;
}

long clinux_poll_all(struct pollfd *entries, size_t count, int ms) {
    long result = poll(entries, (nfds_t)count, ms);
    if (result < 0) return errno == EINTR ? 0 : -errno;
    return result;
}
