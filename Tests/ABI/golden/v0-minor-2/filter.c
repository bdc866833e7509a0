/*
 * A plugin that is compiled when a version of the ABI is released, and then kept: later hosts must
 * run it as it is. It uses what a filter and a balancer use.
 *
 *   request_headers    answers /answer itself; else keeps the length of the path for the response
 *   upstream_request   tells the origin which attempt this is
 *   response_headers   sets x-golden to the greeting and x-path-length to what was kept
 *   response_body      replaces the letter a by A
 *   sluice.lb/1        takes turns
 */
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

/* -- state: of an instance, a worker, a request ----------------------------------------------- */

struct instance {
    const sluice_core *core;
    const sluice_host *host;
    sluice_slice greeting;
};

struct slot {
    uint32_t turn;
};

struct context {
    uint64_t path_length;
};

/* -- hooks ------------------------------------------------------------------------------------ */

static int add(sluice_edits *edits, sluice_slice name, sluice_slice value) {
    if (edits->count == edits->capacity) return 0;
    edits->ops[edits->count++] =
        (sluice_edit){.op = SLUICE_EDIT_SET, .name = name, .value = value};
    return 1;
}

/* A number as text, in the request's memory. */
static sluice_slice number(const struct instance *self, sluice_req *request, uint64_t value) {
    char *to = self->core->request_alloc(request, 24);
    if (to == NULL) return (sluice_slice){NULL, 0};
    int length = snprintf(to, 24, "%llu", (unsigned long long)value);
    return (sluice_slice){(const uint8_t *)to, (uint64_t)length};
}

static const sluice_field *find(const sluice_headers *headers, uint32_t id) {
    if (!(headers->known_bits[id / 64] >> (id % 64) & 1)) return NULL;
    return &headers->fields[headers->known_index[id]];
}

static uint32_t request_headers(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    const sluice_field *path = find(args->headers, SLUICE_FIELD_PSEUDO_PATH);
    (void)instance, (void)slot, (void)request;
    if (path == NULL) return SLUICE_ERROR;
    ((struct context *)context)->path_length = path->value_len;
    if (path->value_len != 7 || memcmp(path->value, "/answer", 7) != 0) return SLUICE_CONTINUE;
    args->reply->status = 203;
    args->reply->body = (sluice_slice)TEXT("answered\n");
    return SLUICE_RESPOND;
}

static uint32_t upstream_request(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    (void)slot, (void)context;
    sluice_slice attempt = number(instance, request, args->facts->attempt);
    return add(args->edits, (sluice_slice)TEXT("x-attempt"), attempt) ? SLUICE_CONTINUE
                                                                      : SLUICE_ERROR;
}

static uint32_t response_headers(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    const struct instance *self = instance;
    (void)slot;
    sluice_slice length = number(self, request, ((struct context *)context)->path_length);
    if (!add(args->edits, (sluice_slice)TEXT("x-golden"), self->greeting)) return SLUICE_ERROR;
    if (!add(args->edits, (sluice_slice)TEXT("x-path-length"), length)) return SLUICE_ERROR;
    return SLUICE_CONTINUE;
}

static uint32_t response_body(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    sluice_slice data = args->body_in->data;
    uint64_t length = data.len < args->body_out->credit ? data.len : args->body_out->credit;
    (void)instance, (void)slot, (void)request, (void)context;
    if (data.len == 0) return SLUICE_CONTINUE;
    uint8_t *to;
    uint64_t room;
    if (args->body_out->reserve(args->body_out, &to, &room) != SLUICE_OK || room < length)
        return SLUICE_ERROR;
    for (uint64_t i = 0; i < length; i++) to[i] = data.ptr[i] == 'a' ? 'A' : data.ptr[i];
    if (args->body_out->commit(args->body_out, length) != SLUICE_OK) return SLUICE_ERROR;
    args->body_out->consumed = length;
    return length == data.len ? SLUICE_CONTINUE : SLUICE_MORE;
}

static const sluice_http_hooks hooks = {
    .size = sizeof(sluice_http_hooks),
    .request_headers = request_headers,
    .upstream_request = upstream_request,
    .response_headers = response_headers,
    .response_body = response_body,
};

/* -- the balancer's role ---------------------------------------------------------------------- */

static void *build(void *instance, const sluice_peer_set *set, sluice_errbuf *error) {
    uint32_t *count = malloc(sizeof *count);
    (void)instance, (void)error;
    if (count) *count = set->count;
    return count;
}

static void drop(void *instance, void *table) {
    (void)instance;
    free(table);
}

static uint32_t pick(void *instance, void *slot, void *table, sluice_pick *pick) {
    uint32_t count = *(uint32_t *)table;
    (void)instance;
    uint32_t first = ((struct slot *)slot)->turn++ % count;
    for (uint32_t i = 0; i < count && pick->count < SLUICE_PICK_MAX; i++)
        pick->candidates[pick->count++] = (first + i) % count;
    return SLUICE_PICK_OK;
}

static const sluice_lb balancer = {
    .size = sizeof(sluice_lb),
    .build = build,
    .drop = drop,
    .pick = pick,
};

/* -- instances -------------------------------------------------------------------------------- */

static const void *get_extension(void *instance, const char *id) {
    (void)instance;
    return strcmp(id, SLUICE_LB_ID) == 0 ? &balancer : NULL;
}

static void *worker_start(void *instance, uint32_t worker_index) {
    (void)instance, (void)worker_index;
    return calloc(1, sizeof(struct slot));
}

static void worker_stop(void *instance, void *slot) {
    (void)instance;
    free(slot);
}

static void destroy(void *instance) { free(instance); }

static const sluice_core *core;

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    struct instance *self = calloc(1, sizeof *self);
    (void)error;
    if (self == NULL) return SLUICE_ENOMEM;
    self->core = core;
    self->host = args->host;
    self->greeting = (sluice_slice)TEXT("C");
    for (uint32_t i = 0; i < args->config->count; i++) {
        const sluice_value *member = &args->config->children[i];
        if (member->key.len == 8 && memcmp(member->key.ptr, "greeting", 8) == 0)
            self->greeting = member->string;
    }
    core->log(args->host, SLUICE_LOG_INFO, (sluice_slice)TEXT("a golden plugin is made"));
    out->state = self;
    out->context_size = sizeof(struct context);
    out->hooks = &hooks;
    out->get_extension = get_extension;
    out->worker_start = worker_start;
    out->worker_stop = worker_stop;
    out->destroy = destroy;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof(sluice_factory), .create = create};

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.golden-c",
    "version": "1.0.0",
    "hooks": ["request_headers", "upstream_request", "response_headers", "response_body"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": { "greeting": { "type": "string" } }
    }
});

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const required[] = {SLUICE_CORE_ID, NULL};
    static const char *const roles[] = {SLUICE_LB_ID, NULL};
    if (host->size != sizeof *host || out->size != sizeof *out) return SLUICE_EINVAL;
    core = host->get_extension(SLUICE_CORE_ID);
    if (core == NULL || core->size != sizeof *core) return SLUICE_ENOTSUP;
    out->abi_minor = 2;
    out->id = (sluice_slice)TEXT("org.sluice.golden-c");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("A golden plugin in C.");
    out->factory = &factory;
    out->required = required;
    out->roles = roles;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS | 1u << SLUICE_PHASE_UPSTREAM_REQUEST
        | 1u << SLUICE_PHASE_RESPONSE_HEADERS | 1u << SLUICE_PHASE_RESPONSE_BODY;
    return SLUICE_OK;
}
