/*
 * A plugin whose request's path names a service of the host. It answers with what came of it.
 *
 * Two instances may stand in a chain: one with {"role": "first"} only sets attributes.
 */
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const sluice_core *core;
static const sluice_http *http;
static const sluice_shared *shared;
static const sluice_waitset *waitset;
static const sluice_metrics *metrics;
static const sluice_thread_check *threads;

typedef struct instance {
    const sluice_host *host;
    sluice_table *table;
    uint32_t requests, seconds;    /* metrics */
    uint32_t number, user;         /* keys of attributes */
    uint32_t worker_count, is_first;
    sluice_http_hooks hooks;
} instance;

typedef struct slot {
    uint32_t index, ticks, others;
    uint32_t series, depth;
    sluice_token timer;
} slot;

typedef struct job {
    sluice_token token;
    uint32_t kind; /* of the thread that worked */
    uint32_t asked;
} job;

static const sluice_key COUNT = {1, 1}, POSTED = {2, 2}, BUCKET = {3, 3}, QUEUE = {4, 4};

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static int is(sluice_slice text, const char *prefix) {
    return text.len >= strlen(prefix) && memcmp(text.ptr, prefix, strlen(prefix)) == 0;
}

static uint32_t answer(sluice_req *request, sluice_args *args, uint32_t status, const char *text) {
    size_t count = strlen(text);
    uint8_t *copy = count ? core->request_alloc(request, count) : 0;
    if (count && !copy) return SLUICE_ERROR;
    if (count) memcpy(copy, text, count);
    args->reply->status = status;
    args->reply->body = (sluice_slice){copy, count};
    return SLUICE_RESPOND;
}

/* -- tasks ------------------------------------------------------------------------------------- */

static void tick(void *state, void *at, void *context) {
    slot *own = at;
    if (context == state && threads->worker_index() == own->index) own->ticks++;
}

static void once(void *state, void *at, void *context) {
    (void)state;
    if (context == at) ((slot *)at)->others++;
}

static void posted(void *state, void *at, void *context) {
    instance *self = state;
    char text[64];
    (void)context;
    snprintf(text, sizeof text, "posted on %u", ((slot *)at)->index);
    /* Counted first: a test that has seen the line looks at the count. */
    shared->counter_add(self->table, POSTED, 1, 0);
    core->log(self->host, SLUICE_LOG_INFO, slice(text));
}

static void work(void *state, void *context) {
    (void)state;
    usleep(20000);
    ((job *)context)->kind = threads->current();
}

static void done(void *state, void *at, void *context) {
    job *job = context;
    (void)state;
    int is_same = job->asked == ((slot *)at)->index;
    http->resume(&job->token, (uint64_t)job->kind << 8 | (uint64_t)is_same);
    free(job);
}

/* -- what a path asks for ---------------------------------------------------------------------- */

static int32_t collect(void *context, sluice_slice bytes) {
    char *to = context;
    size_t have = strlen(to);
    if (have + bytes.len >= 32000) return SLUICE_ENOMEM;
    memcpy(to + have, bytes.ptr, bytes.len);
    return SLUICE_OK;
}

static uint32_t show_metrics(sluice_req *request, sluice_args *args) {
    char *text = core->request_alloc(request, 32768);
    if (!text) return SLUICE_ERROR;
    memset(text, 0, 32768);
    sluice_sink sink = {.size = sizeof sink, .context = text, .write = collect};
    if (metrics->write(&sink) != SLUICE_OK) return SLUICE_ERROR;
    args->reply->status = 200;
    args->reply->body = slice(text);
    return SLUICE_RESPOND;
}

static uint32_t count(instance *self, slot *own, sluice_req *request, sluice_args *args) {
    char text[64];
    core->metric_add(own->series, 1);
    core->metric_set(own->depth, own->index + 10);
    int64_t value = shared->counter_add(self->table, COUNT, 1, 0);
    snprintf(text, sizeof text, "%u %lld", own->index, (long long)value);
    return answer(request, args, 200, text);
}

static uint32_t take(instance *self, sluice_req *request, sluice_args *args) {
    sluice_bucket_answer bucket;
    char text[64];
    if (shared->bucket_take(self->table, BUCKET, 1, 20, 1, &bucket) != SLUICE_OK)
        return SLUICE_ERROR;
    snprintf(text, sizeof text, "%llu", (unsigned long long)bucket.tokens);
    return answer(request, args, bucket.granted ? 200 : 429, text);
}

static uint32_t buffers(instance *self, sluice_req *request, sluice_args *args) {
    sluice_buf *all[64];
    char text[64];
    int made = 0;
    while (made < 64 && (all[made] = core->buf_new(self->host, 65536 - sizeof(sluice_buf)))) made++;
    snprintf(text, sizeof text, "%d", made);
    while (made > 0) core->buf_release(all[--made]);
    return answer(request, args, 200, text);
}

static uint32_t attributes(instance *self, sluice_req *request, sluice_args *args) {
    char text[128];
    uint64_t number = 0;
    sluice_slice user = {0, 0};
    if (http->attr_get_u64(request, self->number, &number) != SLUICE_OK)
        return answer(request, args, 200, "nothing was set");
    http->attr_get_bytes(request, self->user, &user);
    snprintf(text, sizeof text, "%llu %.*s", (unsigned long long)number, (int)user.len,
        (const char *)user.ptr);
    return answer(request, args, 200, text);
}

static uint32_t offload(instance *self, slot *own, sluice_req *request) {
    job *job = calloc(1, sizeof *job);
    job->asked = own->index;
    if (http->suspend(request, 0, &job->token) != SLUICE_OK) return SLUICE_ERROR;
    if (core->offload(self->host, work, done, job) != SLUICE_OK) return SLUICE_ERROR;
    return SLUICE_SUSPEND;
}

static uint32_t wait(instance *self, sluice_req *request) {
    sluice_token token;
    uint64_t ticket = waitset->ticket(self->host, QUEUE);
    int32_t result = waitset->wait(self->host, request, QUEUE, ticket, 0, &token);
    core->log(self->host, SLUICE_LOG_INFO, slice("waits"));
    return result == SLUICE_OK ? SLUICE_SUSPEND : SLUICE_ERROR;
}

static void log_pairs(instance *self, sluice_slice path) {
    sluice_pair pairs[] = {
        {slice("path"), path}, {slice("said"), slice("a \"b\"\n")}, {slice("empty"), slice("")}};
    core->log_pairs(self->host, SLUICE_LOG_INFO, slice("pairs"), pairs, 3);
}

static uint32_t request_headers(
    void *state, void *at, sluice_req *request, void *context, sluice_args *args) {
    instance *self = state;
    slot *own = at;
    const sluice_headers *h = args->request_headers;
    const sluice_field *field = &h->fields[h->known_index[SLUICE_FIELD_PSEUDO_PATH]];
    sluice_slice path = {field->value, field->value_len};
    char text[64];
    (void)context;
    if (self->is_first) {
        http->attr_set_u64(request, self->number, 42);
        http->attr_set_bytes(request, self->user, path);
        return SLUICE_CONTINUE;
    }
    if (is(path, "/metrics")) return show_metrics(request, args);
    if (is(path, "/count")) return count(self, own, request, args);
    if (is(path, "/bucket")) return take(self, request, args);
    if (is(path, "/buffers")) return buffers(self, request, args);
    if (is(path, "/attributes")) return attributes(self, request, args);
    if (is(path, "/offload")) return offload(self, own, request);
    if (is(path, "/wait")) return wait(self, request);
    if (is(path, "/pairs")) log_pairs(self, path);
    if (is(path, "/ticks")) {
        snprintf(text, sizeof text, "%u %u", own->ticks, own->others);
        return answer(request, args, 200, text);
    }
    if (is(path, "/cancel")) {
        int32_t first = core->timer_cancel(self->host, &own->timer);
        snprintf(text, sizeof text, "%d %d", first, core->timer_cancel(self->host, &own->timer));
        return answer(request, args, 200, text);
    }
    if (is(path, "/post")) core->post(self->host, SLUICE_WORKER_ALL, posted, 0);
    if (is(path, "/wake")) {
        snprintf(text, sizeof text, "%u", waitset->wake(self->host, QUEUE, UINT32_MAX, 7));
        return answer(request, args, 200, text);
    }
    snprintf(text, sizeof text, "posted %lld", (long long)shared->counter_get(self->table, POSTED));
    return answer(request, args, 200, text);
}

static uint32_t resumed(
    void *state, void *at, sluice_req *request, void *context, sluice_args *args) {
    char text[64];
    (void)state, (void)at, (void)context;
    snprintf(text, sizeof text, "reason %u payload %llu", args->resume_reason,
        (unsigned long long)args->resume_payload);
    return answer(request, args, 200, text);
}

/* -- life -------------------------------------------------------------------------------------- */

static void *worker_start(void *state, uint32_t index) {
    instance *self = state;
    slot *own = calloc(1, sizeof *own);
    char name[16];
    own->index = index;
    snprintf(name, sizeof name, "%u", index);
    sluice_slice value = slice(name);
    core->metric_series(self->requests, &value, 1, &own->series);
    core->metric_series(self->seconds, 0, 0, &own->depth);
    core->timer_set(self->host, 5000000, 5000000, tick, self, &own->timer);
    sluice_token ignored;
    core->timer_set(self->host, 0, 0, once, own, &ignored);
    return own;
}

static void worker_stop(void *state, void *at) {
    (void)state;
    free(at);
}

static void destroy(void *state) {
    core->log(((instance *)state)->host, SLUICE_LOG_INFO, slice("destroyed"));
    free(state);
}

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    instance *self = calloc(1, sizeof *self);
    self->host = args->host;
    self->worker_count = args->worker_count;
    for (uint32_t i = 0; i < args->config->count; i++)
        self->is_first |= is(args->config->children[i].string, "first");
    sluice_slice label = slice("worker");
    sluice_metric counter = {.size = sizeof counter, .kind = SLUICE_METRIC_COUNTER,
        .name = slice("requests"), .help = slice("Requests."), .labels = &label, .label_count = 1};
    sluice_metric gauge = {
        .size = sizeof gauge, .kind = SLUICE_METRIC_GAUGE, .name = slice("depth")};
    if (core->metric_define(args->host, &counter, &self->requests, error) != SLUICE_OK
        || core->metric_define(args->host, &gauge, &self->seconds, error) != SLUICE_OK
        || core->attr_key(args->host, slice("test.number"), SLUICE_ATTR_U64, &self->number)
        || core->attr_key(args->host, slice("test.user"), SLUICE_ATTR_BYTES, &self->user)
        || shared->open(args->host, slice("counts"), 1024, &self->table) != SLUICE_OK)
        return SLUICE_ECONFIG;
    /* Before any worker runs: it comes to each of them when it does. */
    core->post(args->host, SLUICE_WORKER_ALL, posted, 0);
    self->hooks.size = sizeof self->hooks;
    self->hooks.request_headers = request_headers;
    self->hooks.resumed = resumed;
    out->state = self;
    out->hooks = &self->hooks;
    out->worker_start = worker_start;
    out->worker_stop = worker_stop;
    out->destroy = destroy;
    return SLUICE_OK;
}

static const char *const required[] = {SLUICE_CORE_ID, SLUICE_HTTP_ID, SLUICE_SHARED_ID,
    SLUICE_WAITSET_ID, SLUICE_METRICS_ID, SLUICE_THREAD_CHECK_ID, 0};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const sluice_factory factory = {.size = sizeof factory, .create = create};
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    shared = host->get_extension(SLUICE_SHARED_ID);
    waitset = host->get_extension(SLUICE_WAITSET_ID);
    metrics = host->get_extension(SLUICE_METRICS_ID);
    threads = host->get_extension(SLUICE_THREAD_CHECK_ID);
    out->abi_minor = 2;
    out->id = slice("org.example.services");
    out->version = slice("1.0.0");
    out->description = slice("services of the host");
    out->factory = &factory;
    out->required = required;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_HEADERS;
    return SLUICE_OK;
}
