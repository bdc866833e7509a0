/*
 * Writes all that a plugin sees of an exchange into a file, one line each: PHASE WHAT. The log
 * would bound the lines of a second; it gets one, when an exchange has ended.
 *
 * A body is written at its end as its length and a sum, because how it comes in pieces is no part
 * of the picture. {"respond": 403} in place of {"file": "..."} makes it answer in request_headers.
 */
#include <sluice/sluice.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const sluice_core *core;

static const char *const names[] = {
    "request_headers", "cache_lookup", "request_body", "upstream_select", "upstream_request",
    "upstream_result", "upstream_response", "upstream_body", "response_headers", "response_body",
    "local_reply", "request_end"};

typedef struct state {
    const sluice_host *host;
    sluice_http_hooks hooks;
    FILE *file;
    uint32_t respond;
} state;

typedef struct request {
    uint64_t count[SLUICE_PHASE_COUNT];
    uint64_t sum[SLUICE_PHASE_COUNT];
} request;

static void say(const state *self, const sluice_args *args, const char *format, ...) {
    va_list more;
    va_start(more, format);
    fprintf(self->file, "%s ", names[args->phase]);
    vfprintf(self->file, format, more);
    fputc('\n', self->file);
    va_end(more);
}

static void say_fields(const state *self, const sluice_args *args, const char *what,
    const sluice_headers *headers) {
    if (!headers) return;
    say(self, args, "%s status=%u count=%u", what, headers->status, headers->count);
    for (uint32_t i = 0; i < headers->count; i++) {
        const sluice_field *field = &headers->fields[i];
        say(self, args, "%s id=%u flags=%u %.*s=%.*s", what, field->id, field->flags,
            (int)field->name_len, (const char *)field->name, (int)field->value_len,
            (const char *)field->value);
    }
}

static void say_facts(const state *self, const sluice_args *args) {
    const sluice_facts *facts = args->facts;
    say(self, args, "fact http_version=%u", facts->http_version);
    say(self, args, "fact secure=%u tls=%d", facts->secure, facts->tls != 0);
    say(self, args, "fact family=%u route=%.*s upstream=%.*s", facts->client_family,
        (int)facts->route.len, (const char *)facts->route.ptr, (int)facts->upstream.len,
        (const char *)facts->upstream.ptr);
    say(self, args, "fact peer=%d attempt=%u result=%u", facts->peer.len > 0, facts->attempt,
        facts->attempt_result);
    say(self, args, "fact status=%u outcome=%u connected=%d first_byte=%d", facts->status,
        facts->outcome, facts->time_connected > 0, facts->time_first_byte > 0);
    if (args->phase == SLUICE_PHASE_REQUEST_END)
        say(self, args, "fact bytes_in=%llu bytes_out=%llu",
            (unsigned long long)facts->bytes_in, (unsigned long long)facts->bytes_out);
}

static uint32_t hook(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot, (void)req;
    const state *self = instance;
    request *own = context;
    if (!self->file) {
        if (args->phase != SLUICE_PHASE_REQUEST_HEADERS) return SLUICE_CONTINUE;
        args->reply->status = self->respond;
        args->reply->body = (sluice_slice){(const uint8_t *)"no\n", 3};
        return SLUICE_RESPOND;
    }
    if (args->body_in) {
        const sluice_body_in *in = args->body_in;
        uint64_t *sum = &own->sum[args->phase];
        for (uint64_t i = 0; i < in->data.len; i++) *sum = *sum * 31 + in->data.ptr[i];
        own->count[args->phase] += in->data.len;
        if (!(in->flags & SLUICE_BODY_EOS)) return SLUICE_CONTINUE;
        say(self, args, "body count=%llu sum=%llx editable=%d",
            (unsigned long long)own->count[args->phase], (unsigned long long)*sum,
            args->edits != 0);
        say_fields(self, args, "trailer", in->trailers);
        return SLUICE_CONTINUE;
    }
    say(self, args, "flags=%u editable=%d", args->flags, args->edits != 0);
    say_facts(self, args);
    say_fields(self, args, "field", args->headers);
    if (args->headers != args->request_headers)
        say_fields(self, args, "request", args->request_headers);
    if (args->phase == SLUICE_PHASE_REQUEST_END) {
        fflush(self->file);
        static const char done[] = "the picture is whole";
        core->log(
            self->host, SLUICE_LOG_INFO, (sluice_slice){(const uint8_t *)done, sizeof done - 1});
    }
    return SLUICE_CONTINUE;
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->hooks.size = sizeof self->hooks;
    sluice_hook *slots = &self->hooks.request_headers;
    for (int phase = 0; phase < SLUICE_PHASE_COUNT; phase++)
        if (phase != SLUICE_PHASE_CACHE_LOOKUP && phase != SLUICE_PHASE_UPSTREAM_SELECT)
            slots[phase] = hook;
    const sluice_value *value = &args->config->children[0];
    if (value->string.len) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s", (int)value->string.len,
            (const char *)value->string.ptr);
        self->file = fopen(path, "w");
        if (!self->file) return SLUICE_EINVAL;
    } else {
        self->respond = (uint32_t)value->integer;
    }
    out->context_size = sizeof(request);
    out->state = self;
    out->hooks = &self->hooks;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.picture");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Tells what it sees.");
    out->factory = &factory;
    out->hooks_mask = ((1u << SLUICE_PHASE_COUNT) - 1) & ~(1u << SLUICE_PHASE_CACHE_LOOKUP)
        & ~(1u << SLUICE_PHASE_UPSTREAM_SELECT);
    return core ? SLUICE_OK : SLUICE_ENOTSUP;
}
