/*
 * A plugin whose configuration is its behaviour: a member per phase names what its hook does.
 *
 *   {"request_headers": "suspend:thread", "resumed": "respond:403"}
 *
 * Every call is a line of the log: "call PHASE" and what else is worth to know.
 */
#include <pthread.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const sluice_core *core;
static const sluice_http *http;

static const char *const names[] = {
    "request_headers", "cache_lookup", "request_body", "upstream_select", "upstream_request",
    "upstream_result", "upstream_response", "upstream_body", "response_headers", "response_body",
    "local_reply", "request_end"};

typedef struct state {
    const sluice_host *host;
    char action[SLUICE_PHASE_COUNT][64];
    char resumed[64], policy[32], request_policy[32], overflow[16];
    int64_t buffer, request_buffer, release_at, interest;
    sluice_token last; /* of a wait that is over */
    sluice_http_hooks hooks;
} state;

typedef struct request {
    uint64_t seen;
    uint64_t hash;
    uint32_t calls;
} request;

static const sluice_value *member(const sluice_value *config, const char *key) {
    for (uint32_t i = 0; i < config->count; i++) {
        const sluice_value *child = &config->children[i];
        if (child->key.len == strlen(key) && memcmp(child->key.ptr, key, child->key.len) == 0)
            return child;
    }
    return 0;
}

static void text(const sluice_value *config, const char *key, char *to, size_t size) {
    const sluice_value *value = member(config, key);
    if (value) snprintf(to, size, "%.*s", (int)value->string.len, (const char *)value->string.ptr);
}

static int64_t number(const sluice_value *config, const char *key) {
    const sluice_value *value = member(config, key);
    return value ? value->integer : 0;
}

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static int is(const char *action, const char *name) {
    return strncmp(action, name, strlen(name)) == 0;
}

static int argument(const char *action) {
    const char *colon = strrchr(action, ':');
    return colon ? atoi(colon + 1) : 0;
}

static void edit(sluice_args *args, uint32_t op, const char *name, const char *value) {
    if (args->edits)
        args->edits->ops[args->edits->count++] =
            (sluice_edit){op, 0, slice(name), slice(value)};
}

typedef struct wakeup {
    state *self;
    sluice_token token;
    int times;
} wakeup;

static void *wake(void *argument) {
    wakeup *job = argument;
    for (int i = 0; i < job->times; i++) {
        int32_t result = http->resume(&job->token, 7);
        char line[64];
        snprintf(line, sizeof line, "resume %d is %d", i, result);
        core->log(job->self->host, SLUICE_LOG_INFO, slice(line));
    }
    free(job);
    return 0;
}

static void pause_for(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, 0);
}

static void work(void *instance, void *context) {
    (void)instance, (void)context;
    pause_for(20);
}

static void worked(void *instance, void *slot, void *context) {
    (void)instance, (void)slot;
    wake(context);
}

/* suspend:now, :thread, :twice, :never, :deadline (20 ms), :job (of 20 ms) */
static uint32_t suspend(state *self, sluice_req *req, const char *action) {
    sluice_token token;
    uint64_t timeout = strstr(action, "deadline") ? 20000000 : 0;
    int32_t result = http->suspend(req, timeout, &token);
    if (result != SLUICE_OK) return SLUICE_ERROR;
    self->last = token;
    if (strstr(action, "now")) {
        http->resume(&token, 7);
    } else if (strstr(action, "job")) {
        wakeup *job = malloc(sizeof *job);
        *job = (wakeup){self, token, 1};
        if (core->offload(self->host, work, worked, job) != SLUICE_OK) return SLUICE_ERROR;
    } else if (strstr(action, "thread") || strstr(action, "twice")) {
        wakeup *job = malloc(sizeof *job);
        *job = (wakeup){self, token, strstr(action, "twice") ? 3 : 1};
        pthread_t thread;
        pthread_create(&thread, 0, wake, job);
        pthread_detach(thread);
    }
    return strstr(action, "forgotten") ? SLUICE_CONTINUE : SLUICE_SUSPEND;
}

static uint32_t verdict(state *self, sluice_req *req, sluice_args *args, const char *action) {
    if (is(action, "suspend")) return suspend(self, req, action);
    if (is(action, "sleep")) {
        pause_for(argument(action));
        return SLUICE_CONTINUE;
    }
    if (is(action, "respond")) {
        args->reply->status = (uint32_t)argument(action);
        args->reply->body = slice("from the plugin\n");
        return SLUICE_RESPOND;
    }
    if (is(action, "edit")) {
        edit(args, SLUICE_EDIT_SET, "x-edited", action + 5);
        return SLUICE_CONTINUE;
    }
    if (is(action, "status")) {
        args->edits->ops[args->edits->count++] = (sluice_edit){
            SLUICE_EDIT_SET_STATUS, (uint32_t)argument(action), {0, 0}, {0, 0}};
        return SLUICE_CONTINUE;
    }
    if (is(action, "hold")) {
        edit(args, SLUICE_EDIT_SET, "x-held", "yes");
        return SLUICE_HOLD;
    }
    if (is(action, "reset")) return SLUICE_RESET;
    if (is(action, "detach")) return SLUICE_DETACH;
    if (is(action, "error")) {
        edit(args, SLUICE_EDIT_SET, "x-failed", "yes");
        return SLUICE_ERROR;
    }
    if (is(action, "verdict")) return (uint32_t)argument(action);
    return SLUICE_CONTINUE;
}

static void ask(const char *policy, sluice_args *args) {
    if (!policy[0]) return;
    args->asks |= SLUICE_ASK_BODY_POLICY;
    args->body_policy = is(policy, "unknown") ? SLUICE_BODY_UNKNOWN
        : is(policy, "exact") ? SLUICE_BODY_EXACT
        : is(policy, "drop") ? SLUICE_BODY_DROP : SLUICE_BODY_SAME;
    args->body_length = (uint64_t)argument(policy);
}

static void ask_whole(state *self, int64_t most, sluice_args *args) {
    if (!most) return;
    args->asks |= SLUICE_ASK_BUFFER;
    args->buffer_max = (uint64_t)most;
    args->buffer_overflow = is(self->overflow, "stream");
}

static uint8_t upper(uint8_t byte) { return byte >= 'a' && byte <= 'z' ? byte - 32 : byte; }

/* Each byte `times` times, in upper case, as far as there is room. */
static uint32_t expand(sluice_args *args, unsigned times) {
    sluice_body_out *out = args->body_out;
    sluice_slice in = args->body_in->data;
    out->replaces = 1;
    uint8_t run[4096];
    for (uint64_t i = 0; i < in.len; i++) {
        memset(run, upper(in.ptr[i]), times);
        if (out->push(out, (sluice_slice){run, times}) == SLUICE_EAGAIN) {
            out->consumed = i;
            return SLUICE_MORE;
        }
    }
    return SLUICE_CONTINUE;
}

/* Reserve and commit, a half of the chunk in each call. */
static uint32_t halves(sluice_args *args) {
    sluice_body_out *out = args->body_out;
    sluice_slice in = args->body_in->data;
    uint64_t count = in.len > 1 ? in.len / 2 : in.len, capacity;
    uint8_t *to;
    out->reserve(out, &to, &capacity);
    for (uint64_t i = 0; i < count; i++) to[i] = upper(in.ptr[i]);
    out->commit(out, count);
    out->consumed = count;
    return count < in.len ? SLUICE_MORE : SLUICE_CONTINUE;
}

static uint32_t body(state *self, sluice_req *req, request *own, sluice_args *args,
    const char *action) {
    sluice_body_out *out = args->body_out;
    const sluice_body_in *in = args->body_in;
    own->seen += in->data.len;
    own->calls++;
    int ends = in->flags & SLUICE_BODY_EOS;
    if (args->flags & SLUICE_ARGS_HELD && (int64_t)own->seen >= self->release_at) {
        char count[24];
        snprintf(count, sizeof count, "%llu", (unsigned long long)own->seen);
        edit(args, SLUICE_EDIT_SET, "x-seen", count);
        args->asks |= SLUICE_ASK_RELEASE;
    }
    if (is(action, "expand")) return expand(args, (unsigned)argument(action));
    if (is(action, "halves")) return halves(args);
    if (is(action, "drop")) {
        out->replaces = 1;
        return SLUICE_CONTINUE;
    }
    if (is(action, "pass")) {
        uint64_t half = in->data.len / 2;
        out->pass(out, 0, half);
        if (strstr(action, "mark")) out->push(out, slice("|"));
        out->pass(out, half, in->data.len - half);
        return SLUICE_CONTINUE;
    }
    if (is(action, "buffer")) {
        sluice_buf *buf = core->buf_new(self->host, in->data.len + 2);
        memcpy(buf->data, in->data.ptr, in->data.len);
        buf->data[in->data.len] = '!';
        buf->len = in->data.len + 1;
        out->push_buf(out, buf);
        core->buf_release(buf);
        return SLUICE_CONTINUE;
    }
    if (is(action, "append") && ends) {
        out->pass(out, 0, in->data.len);
        out->push(out, slice(" and more"));
        return SLUICE_CONTINUE;
    }
    if (is(action, "whole")) {
        char line[64];
        snprintf(line, sizeof line, "<%d %llu>", !!(in->flags & SLUICE_BODY_WHOLE),
            (unsigned long long)in->data.len);
        out->push(out, slice(line));
        return SLUICE_CONTINUE;
    }
    if (is(action, "trailer") && ends) {
        edit(args, SLUICE_EDIT_SET, "x-sum", "42");
        edit(args, SLUICE_EDIT_REMOVE, "x-gone", "");
        return SLUICE_CONTINUE;
    }
    if (is(action, "late-error")) {
        if (own->calls > 1) return SLUICE_ERROR;
        out->push(out, slice("begun "));
        return SLUICE_CONTINUE;
    }
    if (is(action, "stuck")) {
        out->consumed = 0;
        return SLUICE_MORE;
    }
    if (is(action, "leaves")) {
        out->consumed = 0;
        return SLUICE_CONTINUE;
    }
    if (is(action, "wait-pass")) return suspend(self, req, action);
    if (is(action, "suspend")) {
        uint32_t waits = suspend(self, req, action);
        if (waits == SLUICE_SUSPEND) out->consumed = 0;
        return waits;
    }
    return verdict(self, req, args, action);
}

static uint32_t hook(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot;
    state *self = instance;
    request *own = context;
    const char *action = self->action[args->phase];
    char line[160];
    const sluice_facts *facts = args->facts;
    snprintf(line, sizeof line, "call %s status=%u attempt=%u result=%u outcome=%u seen=%llu",
        names[args->phase], facts->status, facts->attempt, facts->attempt_result, facts->outcome,
        (unsigned long long)own->seen);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
    if (args->phase == SLUICE_PHASE_UPSTREAM_RESULT) {
        snprintf(line, sizeof line, "attempt connected=%d first_byte=%d reused=%u",
            facts->time_connected >= facts->time_start,
            facts->time_first_byte >= facts->time_start, facts->is_reused);
        core->log(self->host, SLUICE_LOG_INFO, slice(line));
    }
    if (args->body_in) return body(self, req, own, args, action);
    if (args->phase == SLUICE_PHASE_REQUEST_HEADERS) {
        ask(self->request_policy, args);
        ask_whole(self, self->request_buffer, args);
        if (self->interest) {
            args->asks |= SLUICE_ASK_INTEREST;
            args->interest = (uint64_t)self->interest;
        }
    }
    if (args->phase == SLUICE_PHASE_RESPONSE_HEADERS
        || (args->phase == SLUICE_PHASE_UPSTREAM_RESPONSE && !self->hooks.response_headers)) {
        ask(self->policy, args);
        ask_whole(self, self->buffer, args);
    }
    return verdict(self, req, args, action);
}

static uint32_t resumed(void *instance, void *slot, sluice_req *req, void *context,
    sluice_args *args) {
    (void)slot;
    state *self = instance;
    char line[80];
    snprintf(line, sizeof line, "resumed in %s reason=%u payload=%llu", names[args->phase],
        args->resume_reason, (unsigned long long)args->resume_payload);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
    if (args->body_in) {
        request *own = context;
        own->calls++;
        return self->resumed[0] ? body(self, req, own, args, self->resumed) : SLUICE_CONTINUE;
    }
    if (http->resume(&self->last, 0) != SLUICE_ESTALE) return SLUICE_ERROR;
    edit(args, SLUICE_EDIT_APPEND, "x-resumed", names[args->phase]);
    return verdict(self, req, args, self->resumed);
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    state *self = calloc(1, sizeof *self);
    self->host = args->host;
    sluice_hook *slots = &self->hooks.request_headers;
    self->hooks.size = sizeof self->hooks;
    for (int phase = 0; phase < SLUICE_PHASE_COUNT; phase++) {
        text(args->config, names[phase], self->action[phase], sizeof self->action[phase]);
        if (self->action[phase][0]) slots[phase] = hook;
    }
    self->hooks.resumed = member(args->config, "deaf") ? 0 : resumed;
    text(args->config, "resumed", self->resumed, sizeof self->resumed);
    text(args->config, "policy", self->policy, sizeof self->policy);
    text(args->config, "request_policy", self->request_policy, sizeof self->request_policy);
    text(args->config, "overflow", self->overflow, sizeof self->overflow);
    self->buffer = number(args->config, "buffer");
    self->request_buffer = number(args->config, "request_buffer");
    self->release_at = number(args->config, "release_at");
    self->interest = number(args->config, "interest");
    out->context_size = sizeof(request);
    out->state = self;
    out->hooks = &self->hooks;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.phases");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Does what its configuration says.");
    out->factory = &factory;
    out->hooks_mask = (1u << SLUICE_PHASE_COUNT) - 1;
    return core && http ? SLUICE_OK : SLUICE_ENOTSUP;
}
