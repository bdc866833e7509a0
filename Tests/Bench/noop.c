/*
 * Hooks that do nothing, for what calling them costs.
 * Configuration: {"hooks": [phases], "waits": [phases whose hook waits]}.
 */
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>

static const sluice_http *http;

static uint32_t nothing(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)context, (void)args;
    return SLUICE_CONTINUE;
}

/* Waits, and ends the wait itself: the way through the worker's mailbox and back. */
static uint32_t wait(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)context, (void)args;
    sluice_token token;
    if (http->suspend(req, 0, &token) != SLUICE_OK) return SLUICE_ERROR;
    http->resume(&token, 0);
    return SLUICE_SUSPEND;
}

static const char *const names[] = {
    "request_headers", "cache_lookup", "request_body", "upstream_select", "upstream_request",
    "upstream_result", "upstream_response", "upstream_body", "response_headers", "response_body",
    "local_reply", "request_end"};

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    sluice_http_hooks *hooks = calloc(1, sizeof *hooks);
    hooks->size = sizeof *hooks;
    hooks->resumed = nothing;
    for (uint32_t i = 0; i < args->config->count; i++) {
        const sluice_value *member = &args->config->children[i];
        sluice_hook hook = member->key.ptr[0] == 'w' ? wait : nothing;
        for (uint32_t n = 0; n < member->count; n++)
            for (int phase = 0; phase < SLUICE_PHASE_COUNT; phase++)
                if (strlen(names[phase]) == member->children[n].string.len
                    && memcmp(names[phase], member->children[n].string.ptr,
                           strlen(names[phase])) == 0)
                    (&hooks->request_headers)[phase] = hook;
    }
    out->hooks = hooks;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    http = host->get_extension(SLUICE_HTTP_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("bench.noop");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Nothing.");
    out->factory = &factory;
    return http ? SLUICE_OK : SLUICE_ENOTSUP;
}
