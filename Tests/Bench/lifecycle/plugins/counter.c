/*
 * A plugin that counts requests for /checked twice: in a table of the host, which outlives an
 * instance, and in memory of its own, which moves by export and import. GET /count tells both.
 *
 * It is built in several ways:
 *   -DBUILD=N            what every response says in x-build
 *   -DSTEP=NAME -DDOES=NAME   what goes wrong, and in which step of its life
 * A step that pauses adds its process's id to the file that LIFECYCLE_MARKER names, and goes on 3
 * seconds later.
 */
#include <sluice/sluice.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NONE, HELLO, CHECK, CREATE, IMPORT, WARM, WORKER_START, EXPORT, EXPORT_REST, DESTROY };
enum { FAILS, CRASHES, HANGS, PAUSES };

#ifndef BUILD
#define BUILD 1
#endif
#ifndef STEP
#define STEP NONE
#define DOES FAILS
#endif

#define STRING(number) #number
#define TEXT_OF(number) STRING(number)
/* How long a request for /suspended waits. */
#define SUSPENDED_NS 300000000ull

static const sluice_core *core;
static const sluice_http *http;
static const sluice_shared *shared;
static const sluice_key COUNT = {1, 1};

typedef struct instance {
    const sluice_host *host;
    sluice_table *table;
    _Atomic uint64_t own; /* requests that this instance and those before it counted */
    uint64_t known;       /* of these, what another instance counted or was told */
} instance;

/* What is handed over: bytes of a layout of its own version. */
typedef struct state {
    char version[8];
    uint64_t count;
} state;

static const char version[8] = "count/1";

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.counter",
    "version": "1.0.0",
    "description": "Counts requests, and hands the count over.",
    "required": ["sluice.core/1", "sluice.http/1", "sluice.shared/1"],
    "hooks": ["request_headers", "response_headers"],
    "config": { "type": "object", "additionalProperties": false,
                "properties": { "strict": { "type": "boolean", "default": false } } }
});

/* -- steps that go wrong ----------------------------------------------------------------------- */

static int32_t step(int which, sluice_errbuf *error) {
    if (STEP != which) return SLUICE_OK;
    if (DOES == CRASHES) *(volatile int *)0 = 0;
    if (DOES == HANGS) for (;;) sleep(1);
    if (DOES == PAUSES) {
        const char *name = getenv("LIFECYCLE_MARKER");
        FILE *marker = name ? fopen(name, "ae") : NULL;
        if (marker) {
            fprintf(marker, "%d\n", getpid());
            fclose(marker);
        }
        sleep(3);
        return SLUICE_OK;
    }
    if (error) {
        static const char line[] = "says no, as it was built to";
        error->len = error->cap < sizeof line - 1 ? error->cap : (uint32_t)sizeof line - 1;
        memcpy(error->ptr, line, error->len);
    }
    return which == CHECK ? SLUICE_ECONFIG : SLUICE_EINVAL;
}

/* -- hooks ------------------------------------------------------------------------------------- */

static void wake(void *self, void *slot, void *context) {
    (void)self, (void)slot;
    http->resume(context, 0);
    free(context);
}

static uint32_t wait(instance *self, sluice_req *request, int is_stuck) {
    sluice_token *token = malloc(sizeof *token), ignored;
    if (token == NULL || http->suspend(request, 0, token) != SLUICE_OK) return SLUICE_ERROR;
    if (is_stuck)
        free(token);
    else if (core->timer_set(self->host, SUSPENDED_NS, 0, wake, token, &ignored) != SLUICE_OK)
        return SLUICE_ERROR;
    return SLUICE_SUSPEND;
}

static uint32_t request_headers(
    void *at, void *slot, sluice_req *request, void *context, sluice_args *args) {
    instance *self = at;
    const sluice_headers *h = args->request_headers;
    const sluice_field *path = &h->fields[h->known_index[SLUICE_FIELD_PSEUDO_PATH]];
    sluice_slice target = {path->value, path->value_len};
    (void)slot, (void)context;
#define IS(literal) (target.len == sizeof(literal) - 1 && !memcmp(target.ptr, literal, target.len))
    if (IS("/checked")) {
        atomic_fetch_add(&self->own, 1);
        shared->counter_add(self->table, COUNT, 1, 0);
    } else if (IS("/count")) {
        char *text = core->request_alloc(request, 96);
        if (text == NULL) return SLUICE_ERROR;
        snprintf(text, 96, "%d %lld %llu\n", BUILD,
            (long long)shared->counter_get(self->table, COUNT), (unsigned long long)self->own);
        args->reply->status = 200;
        args->reply->body = slice(text);
        return SLUICE_RESPOND;
    } else if (IS("/suspended") || IS("/stuck")) {
        return wait(self, request, IS("/stuck"));
    }
    return SLUICE_CONTINUE;
}

static uint32_t response_headers(
    void *self, void *slot, sluice_req *request, void *context, sluice_args *args) {
    sluice_edits *edits = args->edits;
    (void)self, (void)slot, (void)request, (void)context;
    if (edits->count == edits->capacity) return SLUICE_ERROR;
    edits->ops[edits->count++] = (sluice_edit){
        .op = SLUICE_EDIT_SET, .name = slice("x-build"), .value = slice(TEXT_OF(BUILD))};
    return SLUICE_CONTINUE;
}

static uint32_t resumed(
    void *self, void *slot, sluice_req *request, void *context, sluice_args *args) {
    (void)self, (void)slot, (void)request, (void)context;
    return args->resume_reason == SLUICE_RESUMED ? SLUICE_CONTINUE : SLUICE_ERROR;
}

static const sluice_http_hooks hooks = {
    .size = sizeof hooks,
    .request_headers = request_headers,
    .response_headers = response_headers,
    .resumed = resumed,
};

/* -- state ------------------------------------------------------------------------------------- */

static int32_t give(const sluice_sink *sink, uint64_t count) {
    state out = {.count = count};
    memcpy(out.version, version, sizeof version);
    return sink->write(sink->context, (sluice_slice){(const uint8_t *)&out, sizeof out});
}

static int32_t take(instance *self, sluice_slice bytes, uint64_t *count) {
    state in;
    if (bytes.len != sizeof in) return SLUICE_EINVAL;
    memcpy(&in, bytes.ptr, sizeof in);
    if (memcmp(in.version, version, sizeof version) != 0) return SLUICE_EINVAL;
    atomic_fetch_add(&self->own, in.count);
    *count = in.count;
    return SLUICE_OK;
}

static int32_t export_state(void *at, const sluice_sink *sink, sluice_errbuf *error) {
    instance *self = at;
    int32_t result = step(EXPORT, error);
    if (result != SLUICE_OK) return result;
    uint64_t count = self->own;
    result = give(sink, count);
    if (result == SLUICE_OK) self->known = count;
    return result;
}

static int32_t import_state(void *at, sluice_slice bytes, sluice_errbuf *error) {
    instance *self = at;
    int32_t result = step(IMPORT, error);
    return result == SLUICE_OK ? take(self, bytes, &self->known) : result;
}

static int32_t warm(void *self, sluice_errbuf *error) {
    (void)self;
    return step(WARM, error);
}

static int32_t export_rest(void *at, const sluice_sink *sink, sluice_errbuf *error) {
    instance *self = at;
    int32_t result = step(EXPORT_REST, error);
    return result == SLUICE_OK ? give(sink, self->own - self->known) : result;
}

static int32_t import_rest(void *self, sluice_slice bytes, sluice_errbuf *error) {
    uint64_t ignored;
    (void)error;
    return take(self, bytes, &ignored);
}

static const void *get_extension(void *self, const char *id) {
    static const sluice_handover handover = {.size = sizeof handover, .warm = warm,
        .export_rest = export_rest, .import_rest = import_rest};
    (void)self;
    return strcmp(id, SLUICE_HANDOVER_ID) == 0 ? &handover : NULL;
}

/* -- life -------------------------------------------------------------------------------------- */

static void *worker_start(void *self, uint32_t index) {
    (void)self, (void)index;
    step(WORKER_START, NULL);
    return NULL;
}

static void destroy(void *self) {
    step(DESTROY, NULL);
    free(self);
}

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    (void)config;
    return step(CHECK, error);
}

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    int32_t result = step(CREATE, error);
    if (result != SLUICE_OK) return result;
    instance *self = calloc(1, sizeof *self);
    if (self == NULL) return SLUICE_ENOMEM;
    self->host = args->host;
    result = shared->open(args->host, slice("counts"), 64, &self->table);
    if (result != SLUICE_OK) {
        free(self);
        return result;
    }
    out->state = self;
    out->hooks = &hooks;
    out->worker_start = worker_start;
    out->destroy = destroy;
    out->export_state = export_state;
    out->import_state = import_state;
    out->get_extension = get_extension;
    return SLUICE_OK;
}

static const sluice_factory factory = {
    .size = sizeof factory, .check_config = check_config, .create = create};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const required[] = {
        SLUICE_CORE_ID, SLUICE_HTTP_ID, SLUICE_SHARED_ID, NULL};
    int32_t result = step(HELLO, NULL);
    if (result != SLUICE_OK) return result;
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    shared = host->get_extension(SLUICE_SHARED_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = slice("org.example.counter");
    out->version = slice("1.0.0");
    out->description = slice("Counts requests, and hands the count over.");
    out->factory = &factory;
    out->required = required;
    out->hooks_mask =
        1u << SLUICE_PHASE_REQUEST_HEADERS | 1u << SLUICE_PHASE_RESPONSE_HEADERS;
    return SLUICE_OK;
}
