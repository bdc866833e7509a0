/*
 * Asks an upstream of the manifest before a request goes on: 200 lets it pass with what the answer
 * says in x-user, anything else answers 403. Configuration: {"upstream": "auth"}.
 *
 * {"crowd": N}: each request begins N callouts that belong to none, and answers 204; a line of the
 * log says what `start` said, and one how many there were of each outcome when all have ended.
 */
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const sluice_core *core;
static const sluice_http *http;
static const sluice_http_client *client;

typedef struct state {
    const sluice_host *host;
    sluice_slice upstream, method, path;
    uint64_t timeout, body_max, count;
    int cancels;
    uint64_t crowd, left, outcomes[4];
    sluice_http_hooks hooks;
} state;

typedef struct request {
    sluice_token wait;
    char user[64];
    uint32_t outcome, status;
    uint32_t left;
} request;

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static const sluice_value *member(const sluice_value *config, const char *key) {
    for (uint32_t i = 0; i < config->count; i++) {
        const sluice_value *child = &config->children[i];
        if (child->key.len == strlen(key) && memcmp(child->key.ptr, key, child->key.len) == 0)
            return child;
    }
    return 0;
}

static void done(void *instance, void *slot, void *context, const sluice_call_result *result) {
    (void)slot;
    state *self = instance;
    request *own = context;
    char line[120];
    snprintf(line, sizeof line, "done outcome=%u status=%u body=%llu", result->outcome,
        result->status, (unsigned long long)result->body.len);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
    own->outcome = result->outcome;
    own->status = result->status;
    if (result->outcome == SLUICE_CALL_OK)
        for (uint32_t i = 0; i < result->headers->count; i++) {
            const sluice_field *field = &result->headers->fields[i];
            if (field->name_len == 6 && memcmp(field->name, "x-user", 6) == 0)
                snprintf(own->user, sizeof own->user, "%.*s", (int)field->value_len,
                    (const char *)field->value);
        }
    if (--own->left == 0) http->resume(&own->wait, result->body.len);
}

static void one_done(void *instance, void *slot, void *context, const sluice_call_result *result) {
    (void)slot, (void)context;
    state *self = instance;
    self->outcomes[result->outcome]++;
    if (--self->left) return;
    char line[120];
    snprintf(line, sizeof line, "crowd done ok=%llu failed=%llu timeout=%llu",
        (unsigned long long)self->outcomes[SLUICE_CALL_OK],
        (unsigned long long)self->outcomes[SLUICE_CALL_FAILED],
        (unsigned long long)self->outcomes[SLUICE_CALL_TIMEOUT]);
    memset(self->outcomes, 0, sizeof self->outcomes);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
}

static uint32_t begin_crowd(state *self, sluice_call *call, sluice_args *args) {
    uint64_t refused = 0;
    int32_t last = SLUICE_OK;
    call->done = one_done;
    call->context = 0;
    for (uint64_t i = 0; i < self->crowd; i++) {
        sluice_token token;
        int32_t result = client->start(self->host, 0, call, &token);
        if (result == SLUICE_OK) {
            self->left++;
        } else {
            last = result;
            refused++;
        }
    }
    char line[120];
    snprintf(line, sizeof line, "crowd begun=%llu refused=%llu by %d",
        (unsigned long long)self->left, (unsigned long long)refused, last);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
    args->reply->status = 204;
    return SLUICE_RESPOND;
}

static uint32_t on_request(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot;
    state *self = instance;
    request *own = context;
    sluice_pair fields[] = {{slice("X-Original"), {0, 0}}};
    for (uint32_t i = 0; i < args->headers->count; i++)
        if (args->headers->fields[i].id == SLUICE_FIELD_PSEUDO_PATH)
            fields[0].value = (sluice_slice){
                args->headers->fields[i].value, args->headers->fields[i].value_len};
    sluice_call call = {.size = sizeof call, .upstream = self->upstream, .method = self->method,
        .path = self->path, .fields = fields, .field_count = 1, .done = done, .context = own,
        .timeout_ns = self->timeout, .body_max = self->body_max};
    if (self->method.len) call.body = slice("question");
    if (self->crowd) return begin_crowd(self, &call, args);
    uint64_t count = self->count ? self->count : 1;
    for (uint64_t i = 0; i < count; i++) {
        sluice_token token;
        int32_t result = client->start(self->host, req, &call, &token);
        if (result != SLUICE_OK) {
            args->reply->status = 500 + (uint32_t)-result;
            return SLUICE_RESPOND;
        }
        own->left++;
        if (self->cancels) {
            client->cancel(self->host, &token);
            return client->cancel(self->host, &token) == SLUICE_ESTALE ? SLUICE_CONTINUE
                                                                       : SLUICE_ERROR;
        }
    }
    if (http->suspend(req, 0, &own->wait) != SLUICE_OK) return SLUICE_ERROR;
    return SLUICE_SUSPEND;
}

static uint32_t resumed(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)instance, (void)slot, (void)req;
    request *own = context;
    if (own->outcome != SLUICE_CALL_OK || own->status != 200) {
        args->reply->status = own->outcome == SLUICE_CALL_OK ? 403 : 503;
        return SLUICE_RESPOND;
    }
    args->edits->ops[args->edits->count++] =
        (sluice_edit){SLUICE_EDIT_SET, 0, slice("x-user"), slice(own->user)};
    return SLUICE_CONTINUE;
}

static sluice_slice text(const sluice_value *config, const char *key, const char *otherwise) {
    const sluice_value *value = member(config, key);
    return value ? value->string : slice(otherwise);
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->upstream = text(args->config, "upstream", "auth");
    self->method = text(args->config, "method", "");
    self->path = text(args->config, "path", "/check");
    const sluice_value *value = member(args->config, "timeout_ms");
    self->timeout = value ? (uint64_t)value->integer * 1000000 : 0;
    value = member(args->config, "body_max");
    self->body_max = value ? (uint64_t)value->integer : 0;
    value = member(args->config, "count");
    self->count = value ? (uint64_t)value->integer : 0;
    value = member(args->config, "crowd");
    self->crowd = value ? (uint64_t)value->integer : 0;
    self->cancels = member(args->config, "cancels") != 0;
    self->hooks = (sluice_http_hooks){
        .size = sizeof self->hooks, .request_headers = on_request, .resumed = resumed};
    out->context_size = sizeof(request);
    out->state = self;
    out->hooks = &self->hooks;
    (void)error;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const required[] = {SLUICE_HTTP_ID, SLUICE_HTTP_CLIENT_ID, 0};
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    client = host->get_extension(SLUICE_HTTP_CLIENT_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.callout");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Asks an upstream first.");
    out->factory = &factory;
    out->required = required;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return SLUICE_OK;
}
