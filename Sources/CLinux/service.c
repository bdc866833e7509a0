#define _GNU_SOURCE 1
#include "CLinuxService.h"

#include "CLinux.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* -- users and capabilities -------------------------------------------------------------------- */

enum { ENTRY_BYTES = 65536 };

long clinux_find_user(const char *name, uint32_t *user, uint32_t *group) {
    char *space = malloc(ENTRY_BYTES);
    if (!space) return -ENOMEM;
    struct passwd entry, *found = 0;
    int error = getpwnam_r(name, &entry, space, ENTRY_BYTES, &found);
    if (found) {
        *user = entry.pw_uid;
        *group = entry.pw_gid;
    }
    free(space);
    if (found) return 0;
    /* Some modules of NSS say "there is none" by an error (getpwnam(3)). */
    return error == 0 || error == ENOENT || error == ESRCH ? 1 : -error;
}

long clinux_find_group(const char *name, uint32_t *group) {
    char *space = malloc(ENTRY_BYTES);
    if (!space) return -ENOMEM;
    struct group entry, *found = 0;
    int error = getgrnam_r(name, &entry, space, ENTRY_BYTES, &found);
    if (found) *group = entry.gr_gid;
    free(space);
    if (found) return 0;
    return error == 0 || error == ENOENT || error == ESRCH ? 1 : -error;
}

uint32_t clinux_effective_user(void) {
    return geteuid();
}

uint32_t clinux_effective_group(void) {
    return getegid();
}

long clinux_set_groups(const char *name, uint32_t group) {
    gid_t one = group;
    CLINUX_RESULT(name ? initgroups(name, one) : setgroups(1, &one));
}

/* glibc's functions change the ids of all threads; the bare system calls only those of one. */
long clinux_set_group(uint32_t group) {
    CLINUX_RESULT(setresgid(group, group, group));
}

long clinux_set_user(uint32_t user) {
    CLINUX_RESULT(setresuid(user, user, user));
}

/* Two words each: the sets have 64 bits since version 3. */
static long get_capabilities(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    CLINUX_RESULT(syscall(SYS_capget, (long)&header, (long)data));
}

static long set_capabilities(const struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    CLINUX_RESULT(syscall(SYS_capset, (long)&header, (long)data));
}

enum { LOW_PORTS = 1u << CAP_NET_BIND_SERVICE };

int clinux_may_bind_low_ports(void) {
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    return get_capabilities(data) == 0 && (data[0].permitted & LOW_PORTS) != 0;
}

long clinux_keep_capabilities(int keeps) {
    CLINUX_RESULT(prctl(PR_SET_KEEPCAPS, (long)keeps, 0L, 0L, 0L));
}

long clinux_keep_low_ports_only(void) {
    struct __user_cap_data_struct data[2] = {{LOW_PORTS, LOW_PORTS, LOW_PORTS}, {0, 0, 0}};
    long result = set_capabilities(data);
    if (result < 0) return result;
    CLINUX_RESULT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (long)CAP_NET_BIND_SERVICE, 0L, 0L));
}

long clinux_drop_capabilities(void) {
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    /* A kernel before 4.3 has no ambient set. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) < 0 && errno != EINVAL) {
        return -errno;
    }
    return set_capabilities(none);
}

long clinux_no_new_privileges(void) {
    CLINUX_RESULT(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L));
}

/* -- descriptors ------------------------------------------------------------------------------- */

long clinux_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    CLINUX_RESULT(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

long clinux_get_option(int fd, int level, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd, level, option, &value, &size) < 0) return -errno;
    return value;
}

long clinux_replace(int fd, int number) {
    CLINUX_RETRY(dup3(fd, number, 0));
}

long clinux_send_datagram(const char *path, uint32_t path_bytes, const void *from, uint32_t count) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    if (path_bytes == 0 || path_bytes >= sizeof address.sun_path) return -EINVAL;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, path_bytes);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_bytes);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    long result;
    do {
        result = sendto(
            fd, from, count, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, length);
    } while (result < 0 && errno == EINTR);
    if (result < 0) result = -errno;
    close(fd);
    return result;
}

/* -- daemons ----------------------------------------------------------------------------------- */

long clinux_detach(int32_t *report) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    pid_t first = fork();
    if (first < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (first > 0) {
        close(ends[1]);
        while (waitpid(first, 0, 0) < 0 && errno == EINTR) {
        }
        *report = ends[0];
        return 0;
    }
    /* The leader of a session can get a terminal by opening one; its child cannot (daemon(7)). */
    close(ends[0]);
    if (setsid() < 0) _exit(1);
    pid_t second = fork();
    if (second != 0) _exit(second < 0 ? 1 : 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) _exit(1);
    close(null);
    *report = ends[1];
    return 1;
}

long clinux_lock(int fd) {
    CLINUX_RETRY(flock(fd, LOCK_EX | LOCK_NB));
}

long clinux_open_update(const char *path) {
    CLINUX_RETRY(open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
}

int clinux_is_same_file(const char *path, int fd) {
    struct stat named, opened;
    if (lstat(path, &named) < 0 || fstat(fd, &opened) < 0) return 0;
    return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}
