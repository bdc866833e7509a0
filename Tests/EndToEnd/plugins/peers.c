/*
 * Gives an upstream the peers that a request names: "/peers/ADDRESS,ADDRESS" answers 200, or 400
 * with the reason in the log. A leading "~" makes a peer draining, "+" a backup. "/peers/" gives
 * none. Other requests go on. Configuration: {"upstream": "app"}.
 */
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEERS_MAX = 64 };

static const sluice_core *core;
static const sluice_peers *peers;

typedef struct state {
    const sluice_host *host;
    sluice_slice upstream;
    sluice_http_hooks hooks;
} state;

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static uint32_t set(state *self, const uint8_t *at, const uint8_t *end) {
    sluice_new_peer list[PEERS_MAX] = {0};
    uint64_t count = 0;
    while (at < end && count < PEERS_MAX) {
        const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
        if (!comma) comma = end;
        sluice_new_peer *peer = &list[count++];
        for (; at < comma && (*at == '~' || *at == '+'); at++)
            peer->flags |= *at == '~' ? SLUICE_PEER_DRAINING : SLUICE_PEER_BACKUP;
        peer->address = (sluice_slice){at, (uint64_t)(comma - at)};
        peer->zone = slice("west");
        at = comma < end ? comma + 1 : end;
    }
    char text[256];
    sluice_errbuf error = {.size = sizeof error, .cap = sizeof text, .ptr = text};
    int32_t result = peers->set_peers(self->host, self->upstream, list, count, &error);
    if (result == SLUICE_OK) return 200;
    core->log(self->host, SLUICE_LOG_WARN,
        (sluice_slice){(const uint8_t *)text, error.len});
    return 400;
}

static uint32_t on_request(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot, (void)req, (void)context;
    for (uint32_t i = 0; i < args->headers->count; i++) {
        const sluice_field *field = &args->headers->fields[i];
        if (field->id != SLUICE_FIELD_PSEUDO_PATH || field->value_len < 7
            || memcmp(field->value, "/peers/", 7) != 0)
            continue;
        args->reply->status = set(instance, field->value + 7, field->value + field->value_len);
        return SLUICE_RESPOND;
    }
    return SLUICE_CONTINUE;
}

static void changed(void *instance, void *slot, void *context, sluice_slice upstream) {
    (void)slot, (void)context;
    state *self = instance;
    sluice_peer_info infos[PEERS_MAX];
    uint64_t count = 0, version = 0;
    peers->peers(self->host, upstream, infos, PEERS_MAX, &count, &version);
    char line[120];
    snprintf(line, sizeof line, "changed %.*s count=%llu", (int)upstream.len,
        (const char *)upstream.ptr, (unsigned long long)count);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->upstream = slice("app");
    self->hooks =
        (sluice_http_hooks){.size = sizeof self->hooks, .request_headers = on_request};
    peers->watch(args->host, self->upstream, changed, 0);
    out->state = self;
    out->hooks = &self->hooks;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const required[] = {SLUICE_CORE_ID, SLUICE_PEERS_ID, 0};
    core = host->get_extension(SLUICE_CORE_ID);
    peers = host->get_extension(SLUICE_PEERS_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.peers");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Gives an upstream its peers.");
    out->factory = &factory;
    out->required = required;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return SLUICE_OK;
}
