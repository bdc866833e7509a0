/*
 * Starting other processes and talking to them. Results are those of CLinux.h: 0 or more, or the
 * negated errno.
 */
#ifndef CLINUX_PROCESSES_H
#define CLINUX_PROCESSES_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/* -- messages with descriptors ----------------------------------------------------------------- */

/* Descriptors that one message carries; the kernel itself takes 253 (SCM_MAX_FD). */
#define CLINUX_MESSAGE_DESCRIPTORS_MAX 64

/* Two ends of a channel that keeps the bounds of messages. */
long clinux_message_pair(int32_t ends[2]);

/* Sends one message of 1 byte or more; with `wait` 0 it fails with EAGAIN when the other end does
 * not read. */
long clinux_send_message(
    int fd, const void *bytes, size_t count, const int32_t *descriptors, size_t descriptor_count,
    int wait);

/* Takes one message: its bytes, 0 when the other end is closed. EMSGSIZE, and nothing kept, when it
 * was longer than `capacity` or had too many descriptors. `descriptors` has room for
 * CLINUX_MESSAGE_DESCRIPTORS_MAX; each is close-on-exec, and the caller's to close. */
long clinux_receive_message(
    int fd, void *bytes, size_t capacity, int32_t *descriptors, size_t *descriptor_count, int wait);

/* -- files in memory --------------------------------------------------------------------------- */

/* Bytes of a file. */
long clinux_file_size(int fd);

/* Makes a file exactly so long; what is added is zero. */
long clinux_set_file_size(int fd, int64_t count);

/* -- processes --------------------------------------------------------------------------------- */

/* Starts a program without input, with the output and errors of this one, no signal blocked, and
 * `descriptors` as its 3, 4 and so on; all others are closed. */
long clinux_start_process(
    const char *path, char *const arguments[], const int32_t *descriptors, size_t count);

/* Becomes another program; returns only when that failed. */
long clinux_become(const char *path, char *const arguments[]);

/* Whether a descriptor lives on in the program that this process becomes. */
long clinux_set_inherited(int fd, int is_inherited);

/* The process that has ended and was not asked for yet, 0 when there is none; its status as wait(2)
 * has it. */
long clinux_reap(int32_t *status);

long clinux_send_signal(int process, int number);

/* -- waiting ----------------------------------------------------------------------------------- */

/* Becomes readable when one of the signals of clinux_block_signals, or SIGCHLD, is there; SIGCHLD
 * is blocked from now on. */
long clinux_signal_descriptor(void);

/* The next signal's number; EAGAIN when there is none. */
long clinux_take_signal(int fd);

/* poll(2); 0 as well when a signal came first. */
long clinux_poll_all(struct pollfd *entries, size_t count, int ms);

#endif
