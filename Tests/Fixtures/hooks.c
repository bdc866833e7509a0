/*
 * A plugin whose configuration is its behaviour: each member is a number, which is the address of a
 * function of the test, or a size. So a test writes its hooks where it reads their effects.
 */
#include <sluice/sluice.h>
#include <sluice/ext/balancer.h>
#include <stdlib.h>
#include <string.h>

static const sluice_value *member(const sluice_value *config, const char *key) {
    for (uint32_t i = 0; i < config->count; i++) {
        const sluice_value *child = &config->children[i];
        if (child->key.len == strlen(key) && memcmp(child->key.ptr, key, child->key.len) == 0)
            return child;
    }
    return 0;
}

static int64_t number(const sluice_value *config, const char *key, int64_t otherwise) {
    const sluice_value *value = member(config, key);
    return value ? value->integer : otherwise;
}

static sluice_hook hook(const sluice_value *config, const char *key) {
    return (sluice_hook)(intptr_t)number(config, key, 0);
}

static void explain(const sluice_value *config, const char *key, sluice_errbuf *error) {
    const sluice_value *text = member(config, key);
    if (!text) return;
    error->len = text->string.len < error->cap ? (uint32_t)text->string.len : error->cap;
    memcpy(error->ptr, text->string.ptr, error->len);
}

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    explain(config, "check_error", error);
    return (int32_t)number(config, "check", SLUICE_OK);
}

typedef struct state {
    int64_t user;
    int64_t slot;
} state;

static void *worker_start(void *instance, uint32_t worker) {
    return (void *)(intptr_t)(((state *)instance)->slot + worker);
}

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    const sluice_value *config = args->config;
    explain(config, "create_error", error);
    int32_t result = (int32_t)number(config, "create", SLUICE_OK);
    if (result != SLUICE_OK) return result;
    sluice_http_hooks *hooks = calloc(1, sizeof *hooks);
    hooks->size = (uint32_t)number(config, "hooks_size", sizeof *hooks);
    hooks->request_headers = hook(config, "request_headers");
    hooks->request_body = hook(config, "request_body");
    hooks->upstream_request = hook(config, "upstream_request");
    hooks->upstream_result = hook(config, "upstream_result");
    hooks->upstream_response = hook(config, "upstream_response");
    hooks->upstream_body = hook(config, "upstream_body");
    hooks->response_headers = hook(config, "response_headers");
    hooks->response_body = hook(config, "response_body");
    hooks->resumed = hook(config, "resumed");
    hooks->local_reply = hook(config, "local_reply");
    hooks->request_end = hook(config, "request_end");
    out->size = (uint32_t)number(config, "instance_size", sizeof *out);
    out->context_size = (uint32_t)number(config, "context_size", 0);
    out->state = (void *)(intptr_t)number(config, "state", 0);
    out->hooks = number(config, "no_hooks", 0) ? 0 : hooks;
    if (member(config, "slot")) {
        state *own = calloc(1, sizeof *own);
        own->slot = number(config, "slot", 0);
        out->state = own;
        out->worker_start = worker_start;
    }
    return SLUICE_OK;
}

static const sluice_factory factory = {
    .size = sizeof factory, .check_config = check_config, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const roles[] = {SLUICE_LB_ID, 0};
    static const char *const required[] = {SLUICE_CORE_ID, 0};
    if (host->size != sizeof *host || !host->get_extension(SLUICE_CORE_ID)) return SLUICE_ENOTSUP;
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("org.example.hooks");
    out->version = (sluice_slice)TEXT("1.2.3");
    out->description = (sluice_slice)TEXT("hooks of a test");
    out->factory = &factory;
    out->roles = roles;
    out->required = required;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS | 1u << SLUICE_PHASE_REQUEST_END;
    return SLUICE_OK;
}
