/*
 * What a process leaves behind when it dies in the code of a plugin: a record in a shared page, and
 * a line on the error output. Filled by a signal handler, so nothing here allocates or locks, and
 * what it needs stands in plain memory that is never freed.
 */
#ifndef CLINUX_CRASH_H
#define CLINUX_CRASH_H

#include <stdint.h>

/* What a record says of a plugin's instance. The texts are never freed and need not end in NUL. */
struct clinux_label {
    const uint8_t *name;
    const uint8_t *library;
    const uint8_t *sha256;
    const uint8_t *version;
    uint32_t name_length;
    uint32_t library_length;
    uint32_t sha256_length;
    uint32_t version_length;
    /* What the manifest wants done after a crash: 0 restart, 1 quarantine, 2 halt. */
    uint32_t policy;
    uint32_t reserved;
};

/* Where a thread is in the code of plugins; written by that thread alone. */
struct clinux_crumb {
    /* NULL outside of a call that is marked here. */
    const struct clinux_label *label;
    /* The request that the call is about, or NULL. */
    const void *request;
    /* What is called: an index of `clinux_call_name`. */
    uint32_t call;
    /* Index of the worker; negative on other threads. */
    int32_t worker;
    /* Of the kernel; set by `clinux_set_crumb`. */
    int32_t thread;
    uint32_t reserved;
    /* Turns of the worker's loop so far: it moves while the worker does. */
    uint64_t turns;
    /* A worker's hooks are not marked but found: words that hold the request and the hook's entry
     * while one runs, and the number of its phase. NULL on other threads. */
    const void *const *hook_request;
    const void *const *hook_entry;
    const uint32_t *hook_phase;
};

/* Where the handler finds what it reads in the memory of the host. */
struct clinux_crash_layout {
    /* In a hook's entry: the address of the label. */
    uint32_t entry_label;
    /* In a request: its number, and method and path as an address and a count of 64 bits each. */
    uint32_t request_number;
    uint32_t request_method;
    uint32_t request_path;
};

#define CLINUX_CRASH_MAGIC 0x3148534152434c53 /* "SLCRASH1" */
#define CLINUX_CRASH_VERSION 1
#define CLINUX_CRASH_BYTES 4096
#define CLINUX_CRASH_PATH_MAX 256

enum clinux_crash_state { CLINUX_CRASH_EMPTY, CLINUX_CRASH_WRITING, CLINUX_CRASH_WHOLE };
enum clinux_crash_kind { CLINUX_CRASH_SIGNAL = 1, CLINUX_CRASH_HANG = 2 };
/* How the plugin is known: not at all, by the call that was running, by the code that ran. */
enum clinux_crash_found { CLINUX_FOUND_NOT, CLINUX_FOUND_CALL, CLINUX_FOUND_CODE };

/* The page; texts end in NUL. The process that reads it must take nothing in it on trust. */
struct clinux_crash_record {
    uint64_t magic;
    uint32_t version;
    uint32_t state;
    uint32_t kind;
    int32_t signal;
    int32_t code;
    int32_t process;
    int32_t thread;
    int32_t worker;
    uint64_t address;
    uint64_t instruction;
    uint64_t wall_nanoseconds;
    uint64_t hang_nanoseconds;
    uint64_t request;
    uint32_t found;
    uint32_t policy;
    char thread_name[16];
    char hook[32];
    char plugin[128];
    char plugin_version[64];
    char sha256[72];
    char library[1024];
    char method[32];
    char path[CLINUX_CRASH_PATH_MAX + 8];
    /* Where the handler puts what it reads through pointers it can't trust. */
    uint64_t word;
    struct clinux_label label;
};

/* The name of a call: a phase's for 0 to 11. */
const char *clinux_call_name(uint32_t call);
#define CLINUX_CALLS 35

/* The crumb of this thread. */
struct clinux_crumb *clinux_crumb_here(void);
/* Makes a crumb this thread's own; NULL for one that it has anyway. */
void clinux_set_crumb(struct clinux_crumb *crumb);
/* What the thread of a crumb does now, read from another thread: the address of the request or the
 * label that is in a call, 0 outside of one. */
uint64_t clinux_crumb_sample(const struct clinux_crumb *crumb, uint64_t *turns);

/* Uses a file of `CLINUX_CRASH_BYTES` for the record, or a new one when negative. */
long clinux_crash_open(int file);
/* Takes the signals of crashes; again after a library was loaded, which may have taken them. */
void clinux_crash_take_signals(const struct clinux_crash_layout *layout);
/* Gives this thread a stack for the handler, as the one it overflowed can't be used. */
void clinux_crash_stack(void);
void clinux_crash_free_stack(void);
/* Remembers that the code around an address is a plugin's. */
void clinux_crash_add_code(const void *inside, const struct clinux_label *label);
/* Fills the record for a worker that is stuck, and ends the process by SIGABRT. */
void clinux_crash_hang(const struct clinux_crumb *crumb, uint64_t nanoseconds)
    __attribute__((noreturn));

#endif
