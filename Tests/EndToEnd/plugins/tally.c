/*
 * Counts requests over all instances that ever have its name, and marks what goes through it.
 *
 * "/count" answers with the total and is counted itself, "/hold" waits until somebody asks for
 * "/wake". Other responses get `x-greeting` (`greeting` of the configuration) and `x-version`
 * (VERSION of the compiler's command line). `fail` of the configuration names a call that fails,
 * `hang` one that does not return.
 */
#include <sluice/sluice.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "1"
#endif

static const sluice_core *core;
static const sluice_http *http;
static const sluice_waitset *waitset;

static const sluice_key HELD = {1, 1};

typedef struct instance {
    const sluice_host *host;
    _Atomic uint64_t seen, told; /* told: of `seen`, what an instance that comes after knows */
    sluice_slice greeting, fail, hang;
} instance;

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static int is(sluice_slice text, const char *other) {
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

static int32_t refuse(instance *self, const char *call, sluice_errbuf *error) {
    while (is(self->hang, call)) pause();
    if (!is(self->fail, call)) return SLUICE_OK;
    error->len = (uint32_t)snprintf(error->ptr, error->cap, "%s fails as it was told", call);
    return SLUICE_EINVAL;
}

/* -- requests ---------------------------------------------------------------------------------- */

static uint32_t answer(sluice_req *request, sluice_args *args, uint64_t number) {
    char *text = core->request_alloc(request, 24);
    if (!text) return SLUICE_ERROR;
    int count = snprintf(text, 24, "%llu", (unsigned long long)number);
    args->reply->status = 200;
    args->reply->body = (sluice_slice){(const uint8_t *)text, (uint64_t)count};
    return SLUICE_RESPOND;
}

static uint32_t hold(instance *self, sluice_req *request) {
    sluice_token token;
    uint64_t ticket = waitset->ticket(self->host, HELD);
    int32_t result = waitset->wait(self->host, request, HELD, ticket, 0, &token);
    core->log(self->host, SLUICE_LOG_INFO, slice("holds a request"));
    return result == SLUICE_OK ? SLUICE_SUSPEND : SLUICE_ERROR;
}

static uint32_t request_headers(
    void *state, void *slot, sluice_req *request, void *context, sluice_args *args) {
    instance *self = state;
    const sluice_headers *h = args->request_headers;
    const sluice_field *field = &h->fields[h->known_index[SLUICE_FIELD_PSEUDO_PATH]];
    sluice_slice path = {field->value, field->value_len};
    uint64_t seen = atomic_fetch_add(&self->seen, 1) + 1;
    (void)slot, (void)context;
    if (is(path, "/count")) return answer(request, args, seen);
    if (is(path, "/hold")) return hold(self, request);
    if (is(path, "/wake"))
        return answer(request, args, waitset->wake(self->host, HELD, UINT32_MAX, 0));
    return SLUICE_CONTINUE;
}

static uint32_t resumed(
    void *state, void *slot, sluice_req *request, void *context, sluice_args *args) {
    (void)state, (void)slot, (void)request, (void)context, (void)args;
    return SLUICE_CONTINUE;
}

static uint32_t response_headers(
    void *state, void *slot, sluice_req *request, void *context, sluice_args *args) {
    instance *self = state;
    sluice_edits *edits = args->edits;
    (void)slot, (void)request, (void)context;
    edits->ops[edits->count++] =
        (sluice_edit){SLUICE_EDIT_SET, 0, slice("x-greeting"), self->greeting};
    edits->ops[edits->count++] =
        (sluice_edit){SLUICE_EDIT_SET, 0, slice("x-version"), slice(VERSION)};
    return SLUICE_CONTINUE;
}

static const sluice_http_hooks hooks = {
    .size = sizeof hooks,
    .request_headers = request_headers,
    .resumed = resumed,
    .response_headers = response_headers,
};

/* -- state ------------------------------------------------------------------------------------- */

static int32_t write_number(const sluice_sink *sink, uint64_t number) {
    return sink->write(sink->context, (sluice_slice){(const uint8_t *)&number, sizeof number});
}

static int32_t read_number(sluice_slice text, uint64_t *number) {
    if (text.len != sizeof *number) return SLUICE_EINVAL;
    memcpy(number, text.ptr, sizeof *number);
    return SLUICE_OK;
}

static int32_t export_state(void *state, const sluice_sink *sink, sluice_errbuf *error) {
    instance *self = state;
    if (refuse(self, "export_state", error) != SLUICE_OK) return SLUICE_EINVAL;
    uint64_t seen = atomic_load(&self->seen);
    atomic_store(&self->told, seen);
    return write_number(sink, seen);
}

static int32_t import_state(void *state, sluice_slice text, sluice_errbuf *error) {
    instance *self = state;
    uint64_t seen;
    if (refuse(self, "import_state", error) != SLUICE_OK) return SLUICE_EINVAL;
    if (read_number(text, &seen) != SLUICE_OK) return SLUICE_EINVAL;
    atomic_store(&self->seen, seen);
    atomic_store(&self->told, seen);
    return SLUICE_OK;
}

static int32_t warm(void *state, sluice_errbuf *error) { return refuse(state, "warm", error); }

static int32_t export_rest(void *state, const sluice_sink *sink, sluice_errbuf *error) {
    instance *self = state;
    if (refuse(self, "export_rest", error) != SLUICE_OK) return SLUICE_EINVAL;
    uint64_t rest = atomic_load(&self->seen) - atomic_load(&self->told);
    return rest ? write_number(sink, rest) : SLUICE_OK;
}

static int32_t import_rest(void *state, sluice_slice rest, sluice_errbuf *error) {
    uint64_t more;
    (void)error;
    if (read_number(rest, &more) != SLUICE_OK) return SLUICE_EINVAL;
    atomic_fetch_add(&((instance *)state)->seen, more);
    return SLUICE_OK;
}

static const sluice_handover handover = {
    .size = sizeof handover, .warm = warm, .export_rest = export_rest, .import_rest = import_rest};

static const void *get_extension(void *state, const char *id) {
    (void)state;
    return strcmp(id, SLUICE_HANDOVER_ID) == 0 ? &handover : 0;
}

/* -- life -------------------------------------------------------------------------------------- */

static void *worker_start(void *state, uint32_t worker) { return (void)worker, state; }

static void worker_stop(void *state, void *slot) {
    (void)slot;
    core->log(((instance *)state)->host, SLUICE_LOG_INFO, slice("stopped"));
}

static void destroy(void *state) {
    refuse(state, "destroy", 0);
    core->log(((instance *)state)->host, SLUICE_LOG_INFO, slice("destroyed"));
    free(state);
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    instance *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->greeting = slice("none");
    for (uint32_t i = 0; i < args->config->count; i++) {
        const sluice_value *member = &args->config->children[i];
        *(is(member->key, "fail")   ? &self->fail
            : is(member->key, "hang") ? &self->hang
                                      : &self->greeting) = member->string;
    }
    if (refuse(self, "create", error) != SLUICE_OK) {
        free(self);
        return SLUICE_ECONFIG;
    }
    core->log(self->host, SLUICE_LOG_INFO, slice("created"));
    out->state = self;
    out->hooks = &hooks;
    out->get_extension = get_extension;
    out->worker_start = worker_start;
    out->worker_stop = worker_stop;
    out->destroy = destroy;
    out->export_state = export_state;
    out->import_state = import_state;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

static const char *const roles[] = {SLUICE_HANDOVER_ID, 0};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    waitset = host->get_extension(SLUICE_WAITSET_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.tally");
    out->version = (sluice_slice)TEXT(VERSION);
    out->description = (sluice_slice)TEXT("Counts requests.");
    out->factory = &factory;
    out->roles = roles;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS | 1u << SLUICE_PHASE_RESPONSE_HEADERS;
    return core && http && waitset ? SLUICE_OK : SLUICE_ENOTSUP;
}
