/* Writes what is known of the client's connection into the response. */
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static void set(sluice_args *args, const char *name, sluice_slice value) {
    sluice_edits *edits = args->edits;
    edits->ops[edits->count++] = (sluice_edit){SLUICE_EDIT_SET, 0, slice(name), value};
}

static uint32_t show(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req, (void)context;
    static char numbers[4][16];
    const sluice_tls_facts *tls = args->facts->tls;
    snprintf(numbers[0], sizeof numbers[0], "%u", args->facts->secure);
    snprintf(numbers[1], sizeof numbers[1], "%u", args->facts->http_version);
    set(args, "x-secure", slice(numbers[0]));
    set(args, "x-http-version", slice(numbers[1]));
    set(args, "x-client", args->facts->client_address);
    if (!tls) return SLUICE_CONTINUE;
    snprintf(numbers[2], sizeof numbers[2], "%u", tls->version);
    snprintf(numbers[3], sizeof numbers[3], "%u", tls->is_resumed);
    set(args, "x-version", slice(numbers[2]));
    set(args, "x-resumed", slice(numbers[3]));
    set(args, "x-cipher", tls->cipher);
    set(args, "x-server-name", tls->server_name);
    set(args, "x-alpn", tls->alpn);
    set(args, "x-subject", tls->client_subject);
    set(args, "x-fingerprint", tls->client_fingerprint);
    return SLUICE_CONTINUE;
}

static const sluice_http_hooks hooks = {.size = sizeof hooks, .response_headers = show};

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)args, (void)error;
    out->hooks = &hooks;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    (void)host;
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.facts");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Shows facts.");
    out->factory = &factory;
    out->hooks_mask = 1u << SLUICE_PHASE_RESPONSE_HEADERS;
    return SLUICE_OK;
}
