/*
 * Counts visits and answers with their number. Its count moves to the instance that takes its
 * place: exported and imported while requests run, the rest after the last of them.
 */
#include <sluice/sluice.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the compiler's command line; a version that ends with "broken" fails every other request. */
#ifndef VERSION
#define VERSION "1.0.0"
#endif

static const sluice_core *core;

struct visits {
    _Atomic uint64_t seen;
    _Atomic uint64_t told; /* of `seen`, what the instance that comes after knows already */
};

/* Twice, so that VERSION is replaced before it becomes text. */
#define DESCRIPTOR(...) SLUICE_DESCRIPTOR(__VA_ARGS__)

DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.visits",
    "version": VERSION,
    "description": "Counts visits.",
    "hooks": ["request_headers"],
    "roles": ["sluice.handover/1"]
});

/* -- the hook ---------------------------------------------------------------------------------- */

enum { TEXT_MAX = 64 };

static uint32_t request_headers(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    struct visits *visits = instance;
    uint64_t seen = atomic_fetch_add(&visits->seen, 1) + 1;
    (void)slot, (void)context;
    char *text = core->request_alloc(request, TEXT_MAX);
    if (text == NULL || (strstr(VERSION, "broken") && seen % 2)) return SLUICE_ERROR;
    int length = snprintf(
        text, TEXT_MAX, "visit %llu, by version %s\n", (unsigned long long)seen, VERSION);
    args->reply->status = 200;
    args->reply->body = (sluice_slice){(const uint8_t *)text, (uint64_t)length};
    return SLUICE_RESPOND;
}

static const sluice_http_hooks hooks = {
    .size = sizeof(sluice_http_hooks),
    .request_headers = request_headers,
};

/* -- the count, handed on ---------------------------------------------------------------------- */

static int32_t write_count(const sluice_sink *sink, uint64_t count) {
    return sink->write(sink->context, (sluice_slice){(const uint8_t *)&count, sizeof count});
}

/* It may come from anywhere: only what is surely a count is taken. */
static int32_t read_count(sluice_slice bytes, uint64_t *count) {
    if (bytes.len != sizeof *count) return SLUICE_EINVAL;
    memcpy(count, bytes.ptr, sizeof *count);
    return SLUICE_OK;
}

static int32_t export_state(void *instance, const sluice_sink *sink, sluice_errbuf *error) {
    struct visits *visits = instance;
    uint64_t seen = atomic_load(&visits->seen);
    (void)error;
    atomic_store(&visits->told, seen);
    return write_count(sink, seen);
}

static int32_t import_state(void *instance, sluice_slice state, sluice_errbuf *error) {
    struct visits *visits = instance;
    uint64_t seen;
    (void)error;
    if (read_count(state, &seen) != SLUICE_OK) return SLUICE_EINVAL;
    atomic_store(&visits->seen, seen);
    atomic_store(&visits->told, seen);
    return SLUICE_OK;
}

/* What requests that began before the switch have counted after `export_state`. */
static int32_t export_rest(void *instance, const sluice_sink *sink, sluice_errbuf *error) {
    struct visits *visits = instance;
    (void)error;
    return write_count(sink, atomic_load(&visits->seen) - atomic_load(&visits->told));
}

static int32_t import_rest(void *instance, sluice_slice rest, sluice_errbuf *error) {
    uint64_t more;
    (void)error;
    if (read_count(rest, &more) != SLUICE_OK) return SLUICE_EINVAL;
    atomic_fetch_add(&((struct visits *)instance)->seen, more);
    return SLUICE_OK;
}

static const sluice_handover handover = {
    .size = sizeof(sluice_handover),
    .export_rest = export_rest,
    .import_rest = import_rest,
};

static const void *get_extension(void *instance, const char *id) {
    (void)instance;
    return strcmp(id, SLUICE_HANDOVER_ID) == 0 ? &handover : NULL;
}

/* -- instances and the library's one symbol ---------------------------------------------------- */

static void destroy(void *instance) { free(instance); }

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)args, (void)error;
    out->state = calloc(1, sizeof(struct visits));
    out->hooks = &hooks;
    out->get_extension = get_extension;
    out->export_state = export_state;
    out->import_state = import_state;
    out->destroy = destroy;
    return out->state ? SLUICE_OK : SLUICE_ENOMEM;
}

static const sluice_factory factory = {.size = sizeof(sluice_factory), .create = create};

static const char *const roles[] = {SLUICE_HANDOVER_ID, NULL};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    if (host->size != sizeof *host || out->size != sizeof *out) return SLUICE_EINVAL;
    core = host->get_extension(SLUICE_CORE_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice){(const uint8_t *)"org.example.visits", 18};
    out->version = (sluice_slice){(const uint8_t *)VERSION, sizeof(VERSION) - 1};
    out->description = (sluice_slice){(const uint8_t *)"Counts visits.", 14};
    out->factory = &factory;
    out->roles = roles;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return core ? SLUICE_OK : SLUICE_ENOTSUP;
}
