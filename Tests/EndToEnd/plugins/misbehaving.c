/*
 * A plugin that does one thing wrong: -DFAULT=NAME says which, nothing is a good one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NOTHING, LEAKS_MEMORY, LEAKS_DESCRIPTOR, LEAKS_THREAD, CRASHES, HANGS, RESUMES_TWICE,
    KEEPS_VIEW, CHANGES_BY_CHUNK, TRUSTS_STATE, HAS_ANY_TABLE, HIDES_HOOK, STOPS_IN_ORDER,
    TRUSTS_CONFIG, MISSES_CLIENT, MISSES_NEIGHBOUR, EXITS, TRUSTS_REST, TAKES_ANY_REST,
    REFUSES_REST_LATE, REST_OF_NOTHING, WARMS_ONCE, HIDES_HANDOVER
};

#ifndef FAULT
#define FAULT NOTHING
#endif

static const sluice_core *core;
static const sluice_http *http;

typedef struct state {
    const sluice_host *host;
    int started;
    int warmed;
    uint8_t total;
} state;

typedef struct request {
    const sluice_headers *kept;
    uint64_t calls;
} request;

typedef struct wait {
    sluice_token token;
} wait;

/* Ends a wait and forgets it. Whoever does not look whether it was the first forgets it twice. */
static void forget(void *instance, void *slot, void *context) {
    (void)instance, (void)slot;
    wait *own = context;
    int32_t result = http->resume(&own->token, 0);
    if (FAULT == RESUMES_TWICE && result != SLUICE_OK) abort();
    free(own);
}

static uint32_t request_headers(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot;
    state *self = instance;
    request *own = context;
    own->kept = args->request_headers;
    if (FAULT == CRASHES) *(volatile int *)8 = 1;
    if (FAULT == EXITS) _exit(7);
    if (FAULT == HANGS)
        for (;;) pause();
    if (FAULT == RESUMES_TWICE || FAULT == NOTHING) {
        wait *waits = malloc(sizeof *waits);
        if (http->suspend(req, 0, &waits->token) != SLUICE_OK) return SLUICE_ERROR;
        sluice_token timer;
        if (core->timer_set(self->host, 1000000, 0, forget, waits, &timer) != SLUICE_OK)
            return SLUICE_ERROR;
        return SLUICE_SUSPEND;
    }
    return SLUICE_CONTINUE;
}

static uint32_t resumed(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)context, (void)args;
    return SLUICE_CONTINUE;
}

static uint32_t response_headers(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)args;
    request *own = context;
    if (FAULT == KEEPS_VIEW && own->kept && own->kept->count > 1000) return SLUICE_ERROR;
    return SLUICE_CONTINUE;
}

static uint32_t response_body(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req;
    request *own = context;
    sluice_body_out *out = args->body_out;
    sluice_slice in = args->body_in->data;
    uint8_t *to;
    uint64_t capacity;
    out->replaces = 1;
    out->reserve(out, &to, &capacity);
    uint64_t count = in.len < capacity ? in.len : capacity;
    for (uint64_t i = 0; i < count; i++) to[i] = in.ptr[i] ^ 1;
    if (FAULT == CHANGES_BY_CHUNK && count && own->calls++) to[0] ^= 1;
    out->commit(out, count);
    out->consumed = count;
    return count < in.len ? SLUICE_MORE : SLUICE_CONTINUE;
}

static uint32_t local_reply(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)context;
    if (FAULT == MISSES_NEIGHBOUR && args->facts->status == 500) abort();
    return SLUICE_CONTINUE;
}

static uint32_t request_end(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)context;
    if (FAULT == MISSES_CLIENT && args->facts->outcome == SLUICE_OUTCOME_CLIENT_GONE) abort();
    return SLUICE_CONTINUE;
}

static const sluice_http_hooks hooks = {
    .size = sizeof hooks,
    .request_headers = request_headers,
    .resumed = resumed,
    .response_headers = response_headers,
    .response_body = response_body,
    .local_reply = local_reply,
    .request_end = request_end,
};

static const sluice_handover handover;

static const void *get_extension(void *instance, const char *id) {
    if (strcmp(id, SLUICE_HANDOVER_ID) == 0) return &handover;
    /* With tables of roles that are none it would not be made at all. */
    int is_role = strcmp(id, SLUICE_LB_ID) == 0 || strcmp(id, SLUICE_CACHE_ID) == 0;
    return FAULT == HAS_ANY_TABLE && !is_role ? instance : 0;
}

static void *worker_start(void *instance, uint32_t worker) {
    state *self = instance;
    self->started++;
    uint32_t *slot = malloc(sizeof *slot);
    *slot = worker;
    return slot;
}

static void worker_stop(void *instance, void *slot) {
    state *self = instance;
    self->started--;
    if (FAULT == STOPS_IN_ORDER && *(uint32_t *)slot != (uint32_t)self->started) abort();
    free(slot);
}

static void *idle(void *argument) {
    for (;;) pause();
    return argument;
}

static void destroy(void *instance) {
    pthread_t thread;
    if (FAULT == LEAKS_MEMORY) return;
    if (FAULT == LEAKS_DESCRIPTOR) (void)!open("/dev/null", O_RDONLY);
    if (FAULT == LEAKS_THREAD) pthread_create(&thread, 0, idle, 0);
    free(instance);
}

static int32_t export_state(void *instance, const sluice_sink *sink, sluice_errbuf *error) {
    (void)error;
    uint8_t text[4] = {3, 'a', 'b', ((state *)instance)->total};
    return sink->write(sink->context, (sluice_slice){text, sizeof text});
}

static int32_t import_state(void *instance, sluice_slice text, sluice_errbuf *error) {
    (void)error;
    if (FAULT == TRUSTS_STATE && (text.len == 0 || text.ptr[0] != text.len - 1)) abort();
    if (text.len != 4 || memcmp(text.ptr, "\3ab", 3) != 0) return SLUICE_EINVAL;
    ((state *)instance)->total = text.ptr[3];
    return SLUICE_OK;
}

static int32_t warm(void *instance, sluice_errbuf *error) {
    (void)error;
    return FAULT == WARMS_ONCE && ((state *)instance)->warmed++ ? SLUICE_EAGAIN : SLUICE_OK;
}

static int32_t export_rest(void *instance, const sluice_sink *sink, sluice_errbuf *error) {
    (void)instance, (void)error;
    uint8_t text[2] = {1, FAULT == REST_OF_NOTHING};
    return sink->write(sink->context, (sluice_slice){text, sizeof text});
}

static int32_t import_rest(void *instance, sluice_slice rest, sluice_errbuf *error) {
    state *self = instance;
    (void)error;
    if (FAULT == TRUSTS_REST && rest.ptr[0] != rest.len - 1) abort();
    if (FAULT == TAKES_ANY_REST) return SLUICE_OK;
    if (rest.len != 2 || rest.ptr[0] != 1) {
        if (FAULT == REFUSES_REST_LATE) self->total++;
        return SLUICE_EINVAL;
    }
    self->total += rest.ptr[1];
    return SLUICE_OK;
}

static const sluice_handover handover = {
    .size = sizeof handover, .warm = warm, .export_rest = export_rest, .import_rest = import_rest};

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    for (uint32_t i = 0; i < config->count; i++) {
        if (FAULT == TRUSTS_CONFIG && config->children[i].string.ptr[0] == 'x') return SLUICE_OK;
        if (error->cap >= 3) {
            memcpy(error->ptr, "bad", 3);
            error->len = 3;
        }
        return SLUICE_ECONFIG;
    }
    return SLUICE_OK;
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    out->state = self;
    out->hooks = &hooks;
    out->context_size = sizeof(request);
    out->get_extension = get_extension;
    out->worker_start = worker_start;
    out->worker_stop = worker_stop;
    out->destroy = destroy;
    out->export_state = export_state;
    out->import_state = import_state;
    return SLUICE_OK;
}

static const sluice_factory factory = {
    .size = sizeof factory, .check_config = check_config, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

static const char *const roles[] = {SLUICE_HANDOVER_ID, 0};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.misbehaving");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Does one thing wrong.");
    out->factory = &factory;
    out->roles = FAULT == HIDES_HANDOVER ? 0 : roles;
    out->hooks_mask = (1u << SLUICE_PHASE_COUNT) - 1;
    if (FAULT == HIDES_HOOK) out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_END;
    return core && http ? SLUICE_OK : SLUICE_ENOTSUP;
}
