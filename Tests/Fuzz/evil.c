/*
 * A plugin that does at every call what a random number says: verdicts that a phase does not take,
 * edits that are refused, bytes in all ways, waits that end early, late, twice or never.
 *
 * Configuration: {"seed": 1, "hooks": 4095}. The same seed makes the same choices in the same order
 * of calls.
 */
#include <pthread.h>
#include <sluice/sluice.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64 };

static const sluice_core *core;
static const sluice_http *http;
static const sluice_http_client *client;
static const sluice_waitset *waitset;

typedef struct state {
    const sluice_host *host;
    atomic_uint_fast64_t random;
    atomic_int_fast64_t begun, ended, resumed, granted;
    atomic_int stops;
    uint32_t number, text, rough;
    pthread_mutex_t lock;
    sluice_token tokens[TOKENS];
    int live[TOKENS];
    pthread_t thread;
    sluice_http_hooks hooks;
} state;

typedef struct request {
    uint32_t begun, ended, waits;
} request;

static uint64_t next(state *self) {
    /* A counter through a mixer: threads may take numbers at the same time. */
    uint64_t x = atomic_fetch_add(&self->random, 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t below(state *self, uint32_t bound) { return (uint32_t)(next(self) % bound); }
static int once_in(state *self, uint32_t times) { return below(self, times) == 0; }

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static const char *const field_names[] = {"x-evil", "X-Evil", "content-length", "connection", "",
    "bad name", "transfer-encoding", "x-a", "host", "etag", "vary", "x-\n", "trailer", ":path"};
static const char *const values[] = {"1", "", "a b", "with\r\nbreak", "x", "gzip", "\x01", "0"};

static void edit(state *self, sluice_args *args) {
    if (!args->edits) return;
    uint32_t count = below(self, 4);
    for (uint32_t i = 0; i < count && args->edits->count < args->edits->capacity; i++) {
        int is_good = !once_in(self, 40);
        args->edits->ops[args->edits->count++] = (sluice_edit){
            is_good ? 1 + below(self, 4) : below(self, 12),
            is_good ? 0 : below(self, 300),
            slice(is_good ? "x-evil" : field_names[below(self, 14)]),
            slice(is_good ? "1" : values[below(self, 8)])};
    }
    if (once_in(self, 500)) args->edits->count = 1000000;
}

static void ask(state *self, sluice_args *args) {
    if (!once_in(self, 6)) return;
    args->asks = once_in(self, 30) ? next(self) : 1u << below(self, 4);
    args->body_policy = once_in(self, 30) ? below(self, 9) : below(self, 2);
    args->body_length = below(self, 100000);
    args->buffer_max = once_in(self, 3) ? 0 : below(self, 200000);
    args->buffer_overflow = below(self, 2);
    args->interest = next(self) | next(self);
}

static void keep(state *self, const sluice_token *token) {
    pthread_mutex_lock(&self->lock);
    uint32_t at = below(self, TOKENS);
    self->tokens[at] = *token;
    self->live[at] = 1;
    pthread_mutex_unlock(&self->lock);
}

/* Resumes whatever comes to hand, again and again, also what is long over. */
static void *resumer(void *argument) {
    state *self = argument;
    while (!atomic_load(&self->stops)) {
        sluice_token token;
        pthread_mutex_lock(&self->lock);
        token = self->tokens[below(self, TOKENS)];
        pthread_mutex_unlock(&self->lock);
        if (once_in(self, 50)) token.sequence += below(self, 3);
        if (once_in(self, 50)) token.slot = (uint32_t)next(self);
        if (http->resume(&token, next(self)) == SLUICE_OK) atomic_fetch_add(&self->granted, 1);
        if (once_in(self, 20)) waitset->wake(self->host, (sluice_key){1 + below(self, 4), 1}, 2, 3);
        struct timespec pause = {0, 20000};
        nanosleep(&pause, 0);
    }
    return 0;
}

static void done(void *instance, void *slot, void *context, const sluice_call_result *result) {
    state *self = instance;
    (void)slot, (void)context;
    if (result->outcome == SLUICE_CALL_OK)
        for (uint32_t i = 0; i < result->headers->count; i++)
            self->text += result->headers->fields[i].value_len;
}

static void call(state *self, sluice_req *req) {
    sluice_call call = {.size = sizeof call, .upstream = slice(once_in(self, 9) ? "none" : "app"),
        .path = slice(once_in(self, 9) ? "bad" : "/callout"), .done = done,
        .body_max = below(self, 3000), .timeout_ns = 1000000u * below(self, 50)};
    sluice_token token;
    if (client->start(self->host, once_in(self, 4) ? 0 : req, &call, &token) == SLUICE_OK
        && once_in(self, 3))
        client->cancel(self->host, &token);
}

static uint32_t suspend(state *self, sluice_req *req) {
    sluice_token token = {0, 0, 0};
    int32_t result;
    uint64_t timeout = 1000000u * (1 + below(self, 20));
    if (once_in(self, 3)) {
        sluice_key key = {1 + below(self, 4), 1};
        result = waitset->wait(
            self->host, req, key, waitset->ticket(self->host, key), timeout, &token);
    } else {
        result = http->suspend(req, timeout, &token);
    }
    if (result == SLUICE_OK) {
        keep(self, &token);
        if (once_in(self, 3)) http->resume(&token, 1);
    }
    return result == SLUICE_OK || once_in(self, 20) ? SLUICE_SUSPEND : SLUICE_CONTINUE;
}

static uint32_t verdict(state *self, sluice_req *req, sluice_args *args) {
    if (once_in(self, 10)) return suspend(self, req);
    if (once_in(self, 60)) return below(self, 12);
    if (once_in(self, 80)) {
        args->reply->status = once_in(self, 10) ? below(self, 1000) : 200 + below(self, 300);
        args->reply->body = slice("evil");
        return SLUICE_RESPOND;
    }
    if (args->phase == SLUICE_PHASE_RESPONSE_HEADERS && once_in(self, 8)) return SLUICE_HOLD;
    return SLUICE_CONTINUE;
}

static uint32_t body(state *self, sluice_req *req, sluice_args *args) {
    const sluice_body_in *in = args->body_in;
    sluice_body_out *out = args->body_out;
    uint8_t *to;
    uint64_t capacity;
    for (uint64_t i = 0; i < in->data.len; i += 1 + in->data.len / 16)
        self->text += in->data.ptr[i];
    if (in->trailers) self->text += in->trailers->count;
    uint32_t steps = once_in(self, 3) ? below(self, 5) : 0;
    for (uint32_t i = 0; i < steps; i++) {
        switch (below(self, 5)) {
        case 0: out->pass(out, below(self, 200), below(self, 400)); break;
        case 1: out->pass(out, 0, in->data.len); break;
        case 2: out->push(out, (sluice_slice){in->data.ptr, in->data.len / 2}); break;
        case 3:
            if (out->reserve(out, &to, &capacity) == SLUICE_OK && capacity > 4) {
                memset(to, 'r', 4);
                out->commit(out, 4);
            }
            break;
        default: {
            sluice_buf *buf = core->buf_new(self->host, 1 + below(self, 5000));
            if (!buf) break;
            memset(buf->data, 'b', buf->capacity);
            buf->len = buf->capacity;
            sluice_buf *part = core->buf_slice(buf, 0, buf->len / 2);
            out->push_buf(out, once_in(self, 2) ? buf : part);
            core->buf_release(part);
            core->buf_release(buf);
        }
        }
    }
    if (args->flags & SLUICE_ARGS_HELD && once_in(self, 4)) args->asks |= SLUICE_ASK_RELEASE;
    if (once_in(self, 12) && in->data.len > 1) {
        out->consumed = 1 + below(self, (uint32_t)in->data.len - 1);
        return once_in(self, 20) ? SLUICE_CONTINUE : SLUICE_MORE;
    }
    if (once_in(self, 400)) out->consumed = in->data.len + 1;
    uint32_t answer = verdict(self, req, args);
    if (answer == SLUICE_SUSPEND && once_in(self, 2)) out->consumed = 0;
    return answer;
}

static uint32_t hook(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    state *self = instance;
    request *own = context;
    (void)slot;
    if (!own->begun) {
        own->begun = 1;
        atomic_fetch_add(&self->begun, 1);
    }
    if (args->resume_reason) atomic_fetch_add(&self->resumed, 1);
    if (own->ended) abort(); /* nothing comes after request_end */
    for (uint32_t i = 0; i < args->headers->count; i++)
        self->text += args->headers->fields[i].value_len;
    if (args->phase == SLUICE_PHASE_REQUEST_END) {
        own->ended = 1;
        atomic_fetch_add(&self->ended, 1);
        return once_in(self, 10) ? below(self, 12) : SLUICE_CONTINUE;
    }
    edit(self, args);
    ask(self, args);
    if (once_in(self, 20)) call(self, req);
    if (once_in(self, 20)) core->request_alloc(req, below(self, 70000));
    return args->body_in ? body(self, req, args) : verdict(self, req, args);
}

static void destroy(void *instance) {
    state *self = instance;
    atomic_store(&self->stops, 1);
    pthread_join(self->thread, 0);
    char line[120];
    snprintf(line, sizeof line, "evil %u begun %lld ended %lld resumed %lld", self->number,
        (long long)self->begun, (long long)self->ended, (long long)self->resumed);
    core->log(self->host, SLUICE_LOG_WARN, slice(line));
    free(self);
}

static int64_t number(const sluice_value *config, const char *key, int64_t otherwise) {
    for (uint32_t i = 0; i < config->count; i++) {
        const sluice_value *child = &config->children[i];
        if (child->key.len == strlen(key) && memcmp(child->key.ptr, key, child->key.len) == 0)
            return child->integer;
    }
    return otherwise;
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->number = (uint32_t)number(args->config, "seed", 1);
    self->random = self->number * 7919u;
    int64_t mask = number(args->config, "hooks", 4095) | 1 << SLUICE_PHASE_REQUEST_END;
    sluice_hook *slots = &self->hooks.request_headers;
    for (int phase = 0; phase < SLUICE_PHASE_COUNT; phase++)
        if (mask >> phase & 1) slots[phase] = hook;
    self->hooks.size = sizeof self->hooks;
    self->hooks.resumed = hook;
    pthread_mutex_init(&self->lock, 0);
    pthread_create(&self->thread, 0, resumer, self);
    out->context_size = sizeof(request);
    out->state = self;
    out->hooks = &self->hooks;
    out->destroy = destroy;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    client = host->get_extension(SLUICE_HTTP_CLIENT_ID);
    waitset = host->get_extension(SLUICE_WAITSET_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.evil");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Does what a random number says.");
    out->factory = &factory;
    out->hooks_mask = (1u << SLUICE_PHASE_COUNT) - 1;
    return core && http && client && waitset ? SLUICE_OK : SLUICE_ENOTSUP;
}
