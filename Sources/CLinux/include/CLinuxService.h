/*
 * What a service does once, at its start: who it runs as, where its lines go, what it inherits.
 * Results are those of CLinux.h: 0 or more, or the negated errno.
 */
#ifndef CLINUX_SERVICE_H
#define CLINUX_SERVICE_H

#include <stdint.h>

/* -- users and capabilities -------------------------------------------------------------------- */

/* Finds a user by name: 0, 1 when there is none, or the negated errno. */
long clinux_find_user(const char *name, uint32_t *user, uint32_t *group);

/* Finds a group by name: 0, 1 when there is none, or the negated errno. */
long clinux_find_group(const char *name, uint32_t *group);

/* The effective user and group of the process. */
uint32_t clinux_effective_user(void);

uint32_t clinux_effective_group(void);

/* Sets the supplementary groups: those of the user of this name and `group`; with no name, `group`
 * alone. */
long clinux_set_groups(const char *name, uint32_t group);

/* Sets the real, effective and saved ids of the whole process. */
long clinux_set_group(uint32_t group);

long clinux_set_user(uint32_t user);

/* Whether this thread may bind ports below 1,024. */
int clinux_may_bind_low_ports(void);

/* Lets the next clinux_set_user keep the permitted capabilities of this thread. */
long clinux_keep_capabilities(int keeps);

/* Leaves this thread the right to bind ports below 1,024 and no other, also over an execve. */
long clinux_keep_low_ports_only(void);

/* Takes every capability from this thread and those that it will start. */
long clinux_drop_capabilities(void);

/* No execve of this thread, or of those that it will start, gives it more rights. */
long clinux_no_new_privileges(void);

/* -- descriptors ------------------------------------------------------------------------------- */

long clinux_set_nonblocking(int fd);

/* An integer option of a socket, or the negated errno. */
long clinux_get_option(int fd, int level, int option);

/* Puts `fd` in the place of descriptor `number`, which is closed. */
long clinux_replace(int fd, int number);

/* Sends one datagram to a Unix socket: a path, or an abstract name behind a NUL. */
long clinux_send_datagram(const char *path, uint32_t path_bytes, const void *from, uint32_t count);

/* -- daemons ----------------------------------------------------------------------------------- */

/* Goes on in a process of its own session that no terminal controls, with /dev/null for its input
 * and output: 1 there, with the writing end of a pipe in `report`; 0 in the process that called,
 * with the reading end. Only for a process
 * with one thread. */
long clinux_detach(int32_t *report);

/* Takes the lock of a file for its open descriptor; -EWOULDBLOCK when another has it. */
long clinux_lock(int fd);

/* Opens a file to read and write. A link is refused. */
long clinux_open_update(const char *path);

/* Whether the path leads to the file of the descriptor: 1 or 0. */
int clinux_is_same_file(const char *path, int fd);

#endif
