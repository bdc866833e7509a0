#define _GNU_SOURCE 1
#include "crash.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES 65536
#define GUARD_BYTES 4096
#define CODES_MAX 1024
#define LINE_BYTES 3072

_Static_assert(sizeof(struct clinux_crash_record) <= CLINUX_CRASH_BYTES, "one page");

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

static const char *const calls[CLINUX_CALLS] = {
    "request_headers", "cache_lookup", "request_body", "upstream_select", "upstream_request",
    "upstream_result", "upstream_response", "upstream_body", "response_headers", "response_body",
    "local_reply", "request_end", "hello", "check_config", "create", "destroy", "worker_start",
    "worker_stop", "task", "timer", "offload", "callout", "build", "pick", "export", "import",
    "warm", "get_extension", "free", "write", "load", "probe", "worker_drain",
    "reopen", "purge",
};

static struct clinux_crash_record *record;
/* The file behind `record`, by which memory is copied that may not be there; -1 without one. */
static int record_file = -1;
static struct clinux_crash_layout layout;
static struct code {
    uintptr_t begin, end;
    const struct clinux_label *label;
} codes[CODES_MAX];
static uint32_t code_count;
static _Thread_local struct clinux_crumb own_crumb = {.worker = -1};
static _Thread_local struct clinux_crumb *crumb_here;
static _Thread_local void *stack_here;

const char *clinux_call_name(uint32_t call) {
    return call < CLINUX_CALLS && calls[call] ? calls[call] : "";
}

struct clinux_crumb *clinux_crumb_here(void) {
    return crumb_here ? crumb_here : &own_crumb;
}

void clinux_set_crumb(struct clinux_crumb *crumb) {
    crumb_here = crumb;
    if (crumb) crumb->thread = (int32_t)syscall(SYS_gettid);
}

/* Words that another thread writes: each is read whole, and what they say together is a hint. */
__attribute__((no_sanitize("thread"))) uint64_t clinux_crumb_sample(
    const struct clinux_crumb *crumb, uint64_t *turns) {
    *turns = *(const volatile uint64_t *)&crumb->turns;
    uint64_t label = *(const volatile uint64_t *)&crumb->label;
    if (label || !crumb->hook_request) return label;
    uint64_t request = *(const volatile uint64_t *)crumb->hook_request;
    uint64_t entry = *(const volatile uint64_t *)crumb->hook_entry;
    return request ? (request ^ (entry << 1)) | 1 : 0;
}

/* -- before a crash ---------------------------------------------------------------------------- */

long clinux_crash_open(int file) {
    int own = file < 0 ? memfd_create("crash-record", MFD_CLOEXEC) : file;
    if (own >= 0 && file < 0 && ftruncate(own, CLINUX_CRASH_BYTES) < 0) return -errno;
    void *page = mmap(0, CLINUX_CRASH_BYTES, PROT_READ | PROT_WRITE,
        own >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, own, 0);
    if (page == MAP_FAILED) return -errno;
    record = page;
    record_file = own;
    record->magic = CLINUX_CRASH_MAGIC;
    record->version = CLINUX_CRASH_VERSION;
    record->state = CLINUX_CRASH_EMPTY;
    return 0;
}

static int is_code_of(
    struct dl_phdr_info *info, uintptr_t inside, uintptr_t *begin, uintptr_t *end) {
    *begin = UINTPTR_MAX;
    *end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        uintptr_t first = info->dlpi_addr + part->p_vaddr, last = first + part->p_memsz;
        if (first < *begin) *begin = first;
        if (last > *end) *end = last;
    }
    return inside >= *begin && inside < *end;
}

struct search {
    uintptr_t inside;
    struct code code;
};

static int look(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct search *search = context;
    return is_code_of(info, search->inside, &search->code.begin, &search->code.end);
}

void clinux_crash_add_code(const void *inside, const struct clinux_label *label) {
    struct search own = {.inside = (uintptr_t)clinux_crash_add_code}, other = {0};
    other.inside = (uintptr_t)inside;
    other.code.label = label;
    /* A plugin that is linked into the host has no code of its own. */
    if (!dl_iterate_phdr(look, &other) || !dl_iterate_phdr(look, &own)) return;
    if (own.code.begin == other.code.begin || code_count == CODES_MAX) return;
    for (uint32_t i = 0; i < code_count; i++)
        if (codes[i].begin == other.code.begin) return;
    codes[code_count] = other.code;
    __atomic_store_n(&code_count, code_count + 1, __ATOMIC_RELEASE);
}

void clinux_crash_stack(void) {
    if (!record || stack_here) return;
    char *memory = mmap(0, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    mprotect(memory, GUARD_BYTES, PROT_NONE);
    stack_t stack = {.ss_sp = memory + GUARD_BYTES, .ss_size = STACK_BYTES};
    if (sigaltstack(&stack, 0) == 0) stack_here = memory;
}

void clinux_crash_free_stack(void) {
    if (!stack_here) return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, 0);
    munmap(stack_here, STACK_BYTES + GUARD_BYTES);
    stack_here = 0;
}

/* -- in the handler ---------------------------------------------------------------------------- */

/* Copies into the record what may not be there; false when it is not. The kernel tells, where a
 * read of our own would be a second fault. */
static int copy(void *to, const void *from, size_t count) {
    if (!from) return 0;
    if (record_file < 0) {
        memcpy(to, from, count);
        return 1;
    }
    off_t at = (char *)to - (char *)record;
    return pwrite(record_file, from, count, at) == (ssize_t)count;
}

static const void *word_at(const void *from) {
    return copy(&record->word, from, sizeof record->word) ? (const void *)record->word : 0;
}

static void copy_text(char *to, size_t room, const uint8_t *from, uint64_t length) {
    if (length > room - 1) length = room - 1;
    if (!copy(to, from, length)) length = 0;
    to[length] = 0;
}

static void fill_request(const char *request) {
    if (!request) return;
    record->request = (uint64_t)word_at(request + layout.request_number);
    const uint8_t *text = word_at(request + layout.request_method);
    uint64_t length = (uint64_t)word_at(request + layout.request_method + 8);
    copy_text(record->method, sizeof record->method, text, length);
    text = word_at(request + layout.request_path);
    length = (uint64_t)word_at(request + layout.request_path + 8);
    copy_text(record->path, CLINUX_CRASH_PATH_MAX + 1, text, length);
    /* What follows may be a secret. */
    for (size_t i = 0, past = 0; i < sizeof record->path; i++) {
        past |= record->path[i] == '?';
        if (past) record->path[i] = 0;
    }
}

static void fill_plugin(const struct clinux_label *label, uint32_t found) {
    if (!copy(&record->label, label, sizeof record->label)) return;
    struct clinux_label known = record->label;
    record->found = found;
    record->policy = known.policy;
    copy_text(record->plugin, sizeof record->plugin, known.name, known.name_length);
    copy_text(record->library, sizeof record->library, known.library, known.library_length);
    copy_text(record->sha256, sizeof record->sha256, known.sha256, known.sha256_length);
    copy_text(record->plugin_version, sizeof record->plugin_version, known.version,
        known.version_length);
}

static void fill_call(const struct clinux_crumb *crumb) {
    const struct clinux_label *label = crumb->label;
    const void *request = crumb->request;
    uint32_t call = crumb->call;
    if (!label && crumb->hook_request && (request = word_at(crumb->hook_request))) {
        const char *entry = word_at(crumb->hook_entry);
        label = entry ? word_at(entry + layout.entry_label) : 0;
        call = (uint32_t)(uint64_t)word_at(crumb->hook_phase);
    }
    record->worker = crumb->worker;
    if (!label) return;
    fill_plugin(label, CLINUX_FOUND_CALL);
    strncpy(record->hook, clinux_call_name(call), sizeof record->hook - 1);
    fill_request(request);
}

static uint64_t instruction(const void *context) {
    const ucontext_t *at = context;
#if defined(__x86_64__)
    return (uint64_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return at->uc_mcontext.pc;
#else
    return 0;
#endif
}

static void fill_times(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    record->wall_nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    record->process = (int32_t)getpid();
}

/* -- the line ---------------------------------------------------------------------------------- */

struct line {
    char bytes[LINE_BYTES];
    size_t count;
};

static void put(struct line *line, char byte) {
    if (line->count < LINE_BYTES - 1) line->bytes[line->count++] = byte;
}

static void text(struct line *line, const char *text) {
    for (; *text; text++) put(line, *text);
}

/* What comes from outside: bytes that could be taken for the line's own are shown as `?`. */
static void outside(struct line *line, const char *text) {
    for (; *text; text++) put(line, *text > 0x20 && *text < 0x7f ? *text : '?');
}

static void number(struct line *line, uint64_t value, uint32_t base, int digits) {
    char buffer[20];
    int count = 0;
    do {
        buffer[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0 || count < digits);
    while (count > 0) put(line, buffer[--count]);
}

/* `2026-11-21T11:35:00Z`, as in every line of the log, by the civil-from-days algorithm. */
static void when(struct line *line, uint64_t seconds) {
    uint64_t days = seconds / 86400 + 719468, era = days / 146097, of_era = days % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    number(line, year + era * 400 + (month <= 2), 10, 4);
    put(line, '-');
    number(line, month, 10, 2);
    put(line, '-');
    number(line, day, 10, 2);
    put(line, 'T');
    number(line, seconds / 3600 % 24, 10, 2);
    put(line, ':');
    number(line, seconds / 60 % 60, 10, 2);
    put(line, ':');
    number(line, seconds % 60, 10, 2);
    put(line, 'Z');
}

static void what(struct line *line) {
    static const char *const names[] = {
        [SIGSEGV] = "SIGSEGV", [SIGBUS] = "SIGBUS", [SIGILL] = "SIGILL", [SIGFPE] = "SIGFPE",
        [SIGABRT] = "SIGABRT", [SIGTRAP] = "SIGTRAP", [SIGSYS] = "SIGSYS",
    };
    if (record->kind == CLINUX_CRASH_HANG) {
        text(line, "hang: no return for ");
        number(line, record->hang_nanoseconds / 1000000, 10, 1);
        text(line, " ms");
        return;
    }
    text(line, "crash: ");
    text(line, names[record->signal]);
    if (record->code > 0 && record->signal != SIGABRT) {
        text(line, " at 0x");
        number(line, record->address, 16, 1);
    }
}

static void who(struct line *line) {
    if (record->found == CLINUX_FOUND_NOT) {
        text(line, " in no call of a plugin");
        return;
    }
    text(line, " in plugin ");
    outside(line, record->plugin);
    if (record->found == CLINUX_FOUND_CALL) {
        text(line, ", hook ");
        text(line, record->hook);
    } else {
        text(line, ", in its code, but in no call of the host");
    }
    if (record->method[0]) {
        text(line, ", request ");
        number(line, record->request, 10, 1);
        put(line, ' ');
        outside(line, record->method);
        put(line, ' ');
        outside(line, record->path);
    }
    text(line, "; library ");
    outside(line, record->library);
    text(line, ", version ");
    outside(line, record->plugin_version);
    text(line, ", sha256 ");
    outside(line, record->sha256);
}

static void tell(void) {
    struct line line = {.count = 0};
    when(&line, record->wall_nanoseconds / 1000000000);
    text(&line, " error ");
    outside(&line, record->thread_name);
    put(&line, ' ');
    what(&line);
    who(&line);
    text(&line, "; process ");
    number(&line, (uint64_t)record->process, 10, 1);
    line.bytes[line.count++] = '\n';
    ssize_t written = write(2, line.bytes, line.count);
    (void)written;
}

/* -- the end ----------------------------------------------------------------------------------- */

static void forget_handler(int number) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, 0);
}

/* Makes the record this thread's to fill; false when another thread was first. */
static int take_record(void) {
    uint32_t empty = CLINUX_CRASH_EMPTY;
    if (__atomic_compare_exchange_n(&record->state, &empty, CLINUX_CRASH_WRITING, 0,
            __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return 1;
    /* That thread ends the process; this one must not do so before it has told why. */
    struct timespec pause = {.tv_sec = 1};
    if (empty == CLINUX_CRASH_WRITING) nanosleep(&pause, 0);
    return 0;
}

static void handle(int number, siginfo_t *info, void *context) {
    if (take_record()) {
        record->kind = CLINUX_CRASH_SIGNAL;
        record->signal = number;
        record->code = info->si_code;
        record->address = (uint64_t)(uintptr_t)info->si_addr;
        record->instruction = instruction(context);
        record->thread = (int32_t)syscall(SYS_gettid);
        prctl(PR_GET_NAME, record->thread_name);
        fill_times();
        fill_call(clinux_crumb_here());
        for (uint32_t i = 0; record->found == CLINUX_FOUND_NOT && i < code_count; i++)
            if (record->instruction >= codes[i].begin && record->instruction < codes[i].end)
                fill_plugin(codes[i].label, CLINUX_FOUND_CODE);
        tell();
        __atomic_store_n(&record->state, CLINUX_CRASH_WHOLE, __ATOMIC_RELEASE);
    }
    /* Blocked until the handler returns; then the process ends as it would have without it. */
    forget_handler(number);
    syscall(SYS_tgkill, (long)getpid(), syscall(SYS_gettid), (long)number);
}

void clinux_crash_take_signals(const struct clinux_crash_layout *places) {
    if (!record) return;
    layout = *places;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
}

void clinux_crash_hang(const struct clinux_crumb *crumb, uint64_t nanoseconds) {
    if (record && take_record()) {
        record->kind = CLINUX_CRASH_HANG;
        record->hang_nanoseconds = nanoseconds;
        record->thread = crumb->thread;
        fill_times();
        fill_call(crumb);
        struct line name = {.count = 0};
        text(&name, "worker-");
        number(&name, (uint64_t)record->worker, 10, 1);
        size_t room = sizeof record->thread_name - 1;
        memcpy(record->thread_name, name.bytes, name.count < room ? name.count : room);
        tell();
        __atomic_store_n(&record->state, CLINUX_CRASH_WHOLE, __ATOMIC_RELEASE);
    }
    /* At the stuck thread, so that a core dump begins with what it was doing. */
    forget_handler(SIGABRT);
    syscall(SYS_tgkill, (long)getpid(), (long)crumb->thread, (long)SIGABRT);
    abort();
}
