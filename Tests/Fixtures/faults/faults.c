/*
 * A plugin that fails on purpose: {"at": "request_body", "how": "null"} makes it fail so when a
 * request with the field "x-fault" comes to that hook; "create" and "worker_start" need no request.
 * `fault` is in faultC.c, fault.swift or fault.rs, so that each language fails in its own ways.
 */
#include <sluice/ext/balancer.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fails; returns only when it knows no such way. */
void fault(const uint8_t *how, uint64_t length);

static const sluice_core *core;

typedef struct state {
    const sluice_host *host;
    sluice_slice at, how;
    /* A request has asked for a failure where there is no request. */
    int is_armed;
    sluice_http_hooks hooks;
} state;

static int is(sluice_slice slice, const char *text) {
    return slice.len == strlen(text) && memcmp(slice.ptr, text, slice.len) == 0;
}

static void fail(state *self) { fault(self->how.ptr, self->how.len); }

static void on_task(void *instance, void *slot, void *context) {
    (void)slot, (void)context;
    fail(instance);
}

static void work(void *instance, void *context) {
    (void)context;
    fail(instance);
}

static uint32_t verdict(state *self) {
    if (is(self->how, "error")) return SLUICE_ERROR;
    if (is(self->how, "verdict")) return 99;
    if (is(self->how, "slow")) usleep(30000);
    return SLUICE_CONTINUE;
}

static uint32_t on_hook(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    (void)slot, (void)request, (void)context;
    static const char *const names[] = {"request_headers", "", "request_body", "",
        "upstream_request", "upstream_result", "upstream_response", "upstream_body",
        "response_headers", "response_body", "local_reply", "request_end"};
    state *self = instance;
    int asked = 0;
    for (uint32_t i = 0; i < args->request_headers->count; i++) {
        const sluice_field *field = &args->request_headers->fields[i];
        asked |= field->name_len == 7 && memcmp(field->name, "x-fault", 7) == 0;
    }
    if (!asked) return SLUICE_CONTINUE;
    if (is(self->at, names[args->phase])) {
        fail(self);
        return verdict(self);
    }
    if (args->phase != SLUICE_PHASE_REQUEST_HEADERS) return SLUICE_CONTINUE;
    sluice_token timer;
    self->is_armed = 1;
    if (is(self->at, "timer")) core->timer_set(self->host, 1, 0, on_task, 0, &timer);
    if (is(self->at, "task")) core->post(self->host, UINT32_MAX, on_task, 0);
    if (is(self->at, "offload")) core->offload(self->host, work, 0, 0);
    /* No worker of this number: a call that the host refuses. */
    if (is(self->at, "misuse")) core->post(self->host, 1000000, on_task, 0);
    if (is(self->at, "leak")) core->buf_new(self->host, 100);
    if (is(self->at, "edit")) {
        args->edits->ops[0] = (sluice_edit){.op = SLUICE_EDIT_SET,
            .name = {(const uint8_t *)"a b", 3}, .value = {(const uint8_t *)"x", 1}};
        args->edits->count = 1;
    }
    return SLUICE_CONTINUE;
}

static void *worker_start(void *instance, uint32_t worker) {
    (void)worker;
    state *self = instance;
    if (is(self->at, "worker_start")) fail(self);
    return 0;
}

static void *build(void *instance, const sluice_peer_set *set, sluice_errbuf *error) {
    (void)set, (void)error;
    return instance;
}

static uint32_t pick(void *instance, void *slot, void *table, sluice_pick *pick) {
    (void)slot, (void)table;
    state *self = instance;
    if (self->is_armed && is(self->at, "pick")) fail(self);
    pick->count = 1;
    pick->candidates[0] = 0;
    return SLUICE_PICK_OK;
}

static const sluice_lb balancer = {.size = sizeof balancer, .build = build, .pick = pick};

static const void *get_extension(void *instance, const char *id) {
    (void)instance;
    return strcmp(id, SLUICE_LB_ID) == 0 ? &balancer : 0;
}

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    for (uint32_t i = 0; i < args->config->count; i++) {
        const sluice_value *member = &args->config->children[i];
        if (is(member->key, "at")) self->at = member->string;
        if (is(member->key, "how")) self->how = member->string;
    }
    if (is(self->at, "create")) fail(self);
    self->hooks = (sluice_http_hooks){.size = sizeof self->hooks, .request_headers = on_hook,
        .request_body = on_hook, .upstream_request = on_hook, .upstream_result = on_hook,
        .upstream_response = on_hook, .upstream_body = on_hook, .response_headers = on_hook,
        .response_body = on_hook, .local_reply = on_hook, .request_end = on_hook};
    out->state = self;
    out->hooks = &self->hooks;
    out->worker_start = worker_start;
    out->get_extension = get_extension;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const roles[] = {SLUICE_LB_ID, 0};
    core = host->get_extension(SLUICE_CORE_ID);
    if (!core) return SLUICE_ENOTSUP;
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice){(const uint8_t *)"test.faults", 11};
    out->version = (sluice_slice){(const uint8_t *)"1.2.3", 5};
    out->description = (sluice_slice){(const uint8_t *)"fails", 5};
    out->factory = &factory;
    out->roles = roles;
    out->hooks_mask = 0xfff & ~(1 << 1 | 1 << 3);
    return SLUICE_OK;
}
