/*
 * A cache that keeps what it is told to (`sluice.cache/1`): the role's calls, and ways to fail in
 * each, chosen by fields of the request.
 *
 *   x-lookup: bypass respond miss stale fetch wait lock join fail bad-status bad-field text framing
 *             method (else HIT when the path is kept, and MISS when not)
 *   x-admit:  pass answer fail bad-edit  (else STORE what has status 200)
 *   x-failed: answer fail                (else PASS)
 *   x-write:  N       bytes after which the writer refuses
 *             wait:N  bytes after which each write lets the origin wait for 20 ms
 *   x-read:   file again:N broken:N short fail unknown   of an answer that is read
 *   x-parts:  A-B,C-D ranges with a text before each
 *
 * "/stats" answers with what was begun and ended, "/purge" forgets all. The end of each request is
 * a line of the log.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sluice/ext/cache.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OBJECTS = 64, FIELDS = 64, ROOM = 160 << 20 };

static const sluice_core *core;
static const sluice_http *http;
static const sluice_waitset *waitset;

typedef struct object {
    char path[256];
    uint32_t status, field_count;
    sluice_field fields[FIELDS];
    uint8_t *body;
    uint64_t count;
    int file, is_whole, is_broken, is_filling;
} object;

typedef struct instance {
    const sluice_host *host;
    pthread_mutex_t lock;
    object objects[OBJECTS];
    uint32_t object_count;
    uint64_t stores, commits, aborts, readers, closes, ends, lookups, failures;
} instance;

typedef struct request {
    object *filling;
    uint32_t open;
    uint32_t again;
    char text[8];
} request;

typedef struct writer {
    instance *self;
    object *to;
    request *own;
    uint64_t most, waits;
    sluice_req *request;
} writer;

typedef struct reader {
    object *of;
    request *own;
    uint64_t again, broken;
    int is_file, is_short, fails, has_waited;
    sluice_cache_part parts[SLUICE_CACHE_PARTS_MAX];
    char texts[SLUICE_CACHE_PARTS_MAX][32];
    sluice_field more[2];
} reader;

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}
static int is(sluice_slice text, const char *other) {
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}
static sluice_slice field(const sluice_headers *h, const char *name) {
    for (uint32_t i = 0; i < h->count; i++)
        if (h->fields[i].name_len == strlen(name)
            && memcmp(h->fields[i].name, name, h->fields[i].name_len) == 0)
            return (sluice_slice){h->fields[i].value, h->fields[i].value_len};
    return (sluice_slice){0};
}

/* The number behind a word and a colon; `none` when it is another word. */
static uint64_t number(sluice_slice text, const char *word, uint64_t none) {
    char copy[32];
    size_t length = strlen(word);
    if (text.len >= sizeof copy || text.len < length || memcmp(text.ptr, word, length)) return none;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return strtoull(copy + length, 0, 10);
}

static sluice_slice path_of(const sluice_headers *h) {
    const sluice_field *f = &h->fields[h->known_index[SLUICE_FIELD_PSEUDO_PATH]];
    return (sluice_slice){f->value, f->value_len};
}

static sluice_key key_of(sluice_slice path) {
    uint64_t hash = 1469598103934665603u;
    for (uint64_t i = 0; i < path.len; i++) hash = (hash ^ path.ptr[i]) * 1099511628211u;
    return (sluice_key){hash, 1};
}

static object *find(instance *self, sluice_slice path, int filling) {
    for (uint32_t i = self->object_count; i-- > 0;)
        if (is(path, self->objects[i].path)
            && (self->objects[i].is_whole || (filling && self->objects[i].is_filling)))
            return &self->objects[i];
    return 0;
}

static object *make(instance *self, sluice_slice path, const sluice_headers *h, uint32_t status) {
    if (self->object_count == OBJECTS || path.len >= sizeof self->objects->path) return 0;
    object *o = &self->objects[self->object_count++];
    memset(o, 0, sizeof *o);
    memcpy(o->path, path.ptr, path.len);
    o->status = status;
    o->file = -1;
    o->is_filling = 1;
    o->body = mmap(0, ROOM, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (uint32_t i = 0; i < h->count && o->field_count < FIELDS; i++) {
        sluice_field f = h->fields[i];
        if (f.flags & SLUICE_FIELD_FLAG_PSEUDO || f.id == SLUICE_FIELD_CONTENT_LENGTH) continue;
        f.name = memcpy(malloc(f.name_len + 1u), f.name, f.name_len);
        f.value = memcpy(malloc(f.value_len + 1u), f.value, f.value_len);
        o->fields[o->field_count++] = f;
    }
    return o;
}

/* -- answers ----------------------------------------------------------------------------------- */

static void part_list(reader *r, sluice_cache_answer *answer, sluice_slice ranges) {
    char copy[200], *next = copy;
    uint32_t count = 0;
    memcpy(copy, ranges.ptr, ranges.len);
    copy[ranges.len] = 0;
    while (*next && count + 2 <= SLUICE_CACHE_PARTS_MAX) {
        uint64_t first = strtoull(next, &next, 10), last = strtoull(next + 1, &next, 10);
        snprintf(r->texts[count], sizeof r->texts[0], "[%llu-%llu]", (unsigned long long)first,
            (unsigned long long)last);
        r->parts[count] = (sluice_cache_part){slice(r->texts[count]), 0, 0};
        r->parts[count + 1] = (sluice_cache_part){{0}, first, last - first + 1};
        count += 2;
        if (*next == ',') next++;
    }
    answer->status = 206;
    answer->part_count = count;
}

static void answer_with(instance *self, object *o, request *own, const sluice_headers *h,
    sluice_cache_answer *answer, uint32_t status) {
    reader *r = calloc(1, sizeof *r);
    sluice_slice how = field(h, "x-read"), parts = field(h, "x-parts");
    r->of = o, r->own = own;
    r->again = number(how, "again:", UINT64_MAX);
    r->broken = number(how, "broken:", UINT64_MAX);
    r->is_file = is(how, "file"), r->is_short = is(how, "short"), r->fails = is(how, "fail");
    r->parts[0] = (sluice_cache_part){{0}, 0,
        o->is_whole && !is(how, "unknown") ? o->count : UINT64_MAX};
    r->more[0] = (sluice_field){(const uint8_t *)"age", (const uint8_t *)"7", 3, 1,
        SLUICE_FIELD_AGE, 0, 0};
    r->more[1] = (sluice_field){(const uint8_t *)"x-kept", (const uint8_t *)"yes", 6, 3, 0, 0, 0};
    answer->status = o->status;
    answer->fields = o->fields;
    answer->field_count = o->field_count;
    answer->more = r->more;
    answer->more_count = 2;
    answer->parts = r->parts;
    answer->part_count = 1;
    answer->cache_status = status;
    answer->content_length = o->count;
    answer->reader = r;
    if (parts.len) part_list(r, answer, parts);
    if (o->count == 0 && o->is_whole) answer->part_count = 0;
    own->open++;
    self->readers++;
}

/* A head and texts alone; all of it is gone after the call. */
static void answer_text(sluice_cache_answer *answer, const char *how) {
    static char text[2][8];
    static sluice_cache_part parts[2];
    static sluice_field made[1];
    strcpy(text[0], "one ");
    strcpy(text[1], "two");
    parts[0] = (sluice_cache_part){slice(text[0]), 0, 0};
    parts[1] = (sluice_cache_part){slice(text[1]), 0, 0};
    made[0] = (sluice_field){(const uint8_t *)"x-made", (const uint8_t *)how, 6,
        (uint32_t)strlen(how), 0, 0, 0};
    if (strcmp(how, "framing") == 0)
        made[0] = (sluice_field){(const uint8_t *)"transfer-encoding", (const uint8_t *)"chunked",
            17, 7, SLUICE_FIELD_TRANSFER_ENCODING, 0, 0};
    answer->status = strcmp(how, "bad-status") == 0 ? 100 : 416;
    answer->more = made;
    answer->more_count = 1;
    if (strcmp(how, "bad-field") == 0) made[0].value = (const uint8_t *)"a\r\nb: c";
    answer->parts = parts;
    answer->part_count = 2;
    answer->cache_status = SLUICE_CACHE_STATUS_HIT;
}

/* -- calls of the role ------------------------------------------------------------------------- */

static uint32_t stats(instance *self, sluice_req *req, sluice_reply *reply) {
    char *text = core->request_alloc(req, 400);
    if (!text) return 99;
    int count = snprintf(text, 400,
        "{\"stores\":%llu,\"commits\":%llu,\"aborts\":%llu,\"readers\":%llu,\"closes\":%llu,"
        "\"ends\":%llu,\"lookups\":%llu,\"failures\":%llu}",
        (unsigned long long)self->stores, (unsigned long long)self->commits,
        (unsigned long long)self->aborts, (unsigned long long)self->readers,
        (unsigned long long)self->closes, (unsigned long long)self->ends,
        (unsigned long long)self->lookups, (unsigned long long)self->failures);
    reply->status = 200;
    reply->body = (sluice_slice){(const uint8_t *)text, (uint64_t)count};
    return SLUICE_CACHE_RESPOND;
}

static uint32_t wait_for(instance *self, sluice_req *req, sluice_slice path, uint32_t verdict) {
    sluice_token token;
    uint64_t ticket = waitset->ticket(self->host, key_of(path));
    return waitset->wait(self->host, req, key_of(path), ticket, 1500000000u, &token) ? 99 : verdict;
}

static uint32_t look(instance *self, sluice_req *req, request *own, sluice_cache_lookup *l) {
    sluice_slice path = path_of(l->headers), how = field(l->headers, "x-lookup");
    own->again = l->again;
    self->lookups++;
    if (is(path, "/stats")) return stats(self, req, l->reply);
    if (is(path, "/purge")) {
        for (uint32_t i = 0; i < self->object_count; i++) self->objects[i].is_whole = 0;
        return stats(self, req, l->reply);
    }
    object *kept = find(self, path, is(how, "join"));
    if (l->flags & SLUICE_ARGS_INTERNAL) return SLUICE_CACHE_MISS;
    if (is(how, "bypass")) return SLUICE_CACHE_BYPASS;
    if (is(how, "fail")) return 99;
    if (is(how, "respond")) {
        l->reply->status = 299;
        l->reply->body = slice("made here");
        l->reply->edits->ops[l->reply->edits->count++] = (sluice_edit){
            SLUICE_EDIT_SET, 0, slice("x-made"), slice("here")};
        return SLUICE_CACHE_RESPOND;
    }
    if (is(how, "text") || is(how, "bad-status") || is(how, "bad-field") || is(how, "framing")) {
        static char word[16];
        memset(word, 0, sizeof word);
        memcpy(word, how.ptr, how.len);
        answer_text(l->answer, word);
        return SLUICE_CACHE_HIT;
    }
    if (l->again == 0 && is(how, "wait")) return wait_for(self, req, path, SLUICE_CACHE_WAIT);
    if (l->again == 0 && is(how, "fetch")) return wait_for(self, req, path, SLUICE_CACHE_FETCH);
    if (l->again == 0 && is(how, "bare-wait")) return SLUICE_CACHE_WAIT;
    if ((is(how, "lock") || is(how, "fetch")) && !kept && find(self, path, 1))
        return l->again == SLUICE_CACHE_AGAIN_DEADLINE
            ? SLUICE_CACHE_MISS : wait_for(self, req, path, SLUICE_CACHE_WAIT);
    if (kept && !is(how, "miss")) {
        int stale = is(how, "stale");
        answer_with(self, kept, own, l->headers, l->answer,
            stale ? SLUICE_CACHE_STATUS_STALE : SLUICE_CACHE_STATUS_HIT);
        return stale ? SLUICE_CACHE_STALE : SLUICE_CACHE_HIT;
    }
    if (is(how, "lock")) own->filling = make(self, path, l->headers, 0);
    l->edits->ops[l->edits->count++] = (sluice_edit){
        SLUICE_EDIT_SET, SLUICE_FIELD_IF_NONE_MATCH, {0}, slice("\"kept\"")};
    if (is(how, "method"))
        l->edits->ops[l->edits->count++] = (sluice_edit){
            SLUICE_EDIT_SET_METHOD, 0, {0}, slice("GET")};
    return SLUICE_CACHE_MISS;
}

static uint32_t lookup(
    void *state, void *slot, sluice_req *req, void *context, sluice_cache_lookup *l) {
    instance *self = state;
    (void)slot;
    pthread_mutex_lock(&self->lock);
    uint32_t verdict = look(self, req, context, l);
    pthread_mutex_unlock(&self->lock);
    return verdict;
}

static uint32_t decide(instance *self, request *own, sluice_cache_response *r) {
    sluice_slice path = path_of(r->request_headers), how = field(r->request_headers, "x-admit");
    snprintf(own->text, sizeof own->text, "%u", own->again);
    if (own->filling) own->filling->is_filling = 0;
    own->filling = 0;
    if (is(how, "fail")) return 99;
    object *kept = find(self, path, 0);
    if (is(how, "answer") && kept) {
        answer_with(self, kept, own, r->request_headers, r->answer,
            SLUICE_CACHE_STATUS_REVALIDATED);
        return SLUICE_CACHE_ANSWER;
    }
    r->edits->ops[r->edits->count++] = (sluice_edit){
        SLUICE_EDIT_SET, 0, slice(is(how, "bad-edit") ? "a b" : "x-again"), slice(own->text)};
    if (is(how, "pass") || r->headers->status != 200) return SLUICE_CACHE_PASS;
    object *to = make(self, path, r->headers, 200);
    if (!to) return SLUICE_CACHE_PASS;
    writer *w = calloc(1, sizeof *w);
    sluice_slice limit = field(r->request_headers, "x-write");
    *w = (writer){self, to, own, number(limit, "", ROOM), number(limit, "wait:", ROOM), 0};
    if (!limit.len || w->waits < ROOM) w->most = ROOM;
    r->writer = w;
    own->filling = to;
    own->open++;
    self->stores++;
    return SLUICE_CACHE_STORE;
}

static uint32_t admit(
    void *state, void *slot, sluice_req *req, void *context, sluice_cache_response *r) {
    instance *self = state;
    (void)slot;
    pthread_mutex_lock(&self->lock);
    uint32_t verdict = decide(self, context, r);
    if (verdict == SLUICE_CACHE_STORE) ((writer *)r->writer)->request = req;
    pthread_mutex_unlock(&self->lock);
    if (verdict != SLUICE_CACHE_STORE)
        waitset->wake(self->host, key_of(path_of(r->request_headers)), UINT32_MAX, 0);
    return verdict;
}

static uint32_t failed(
    void *state, void *slot, sluice_req *req, void *context, sluice_cache_response *r) {
    instance *self = state;
    sluice_slice how = field(r->request_headers, "x-failed");
    (void)slot, (void)req;
    self->failures += 1 + 100 * r->result;
    if (is(how, "fail")) return 99;
    object *kept = find(self, path_of(r->request_headers), 0);
    if (!is(how, "answer") || !kept) return SLUICE_CACHE_PASS;
    answer_with(self, kept, context, r->request_headers, r->answer,
        SLUICE_CACHE_STATUS_STALE_ERROR);
    return SLUICE_CACHE_ANSWER;
}

static int32_t write_some(void *state, void *slot, void *to, sluice_slice bytes) {
    writer *w = ((void)slot, to);
    if (w->to->count + bytes.len > w->most || w->to->count + bytes.len > ROOM) return SLUICE_ENOMEM;
    memcpy(w->to->body + w->to->count, bytes.ptr, bytes.len);
    w->to->count += bytes.len;
    sluice_token token;
    if (w->to->count > w->waits && http->suspend(w->request, 20000000u, &token) != SLUICE_OK)
        return SLUICE_ENOMEM;
    waitset->wake(((instance *)state)->host, key_of(slice(w->to->path)), UINT32_MAX, 0);
    return SLUICE_OK;
}

static void end_writer(writer *w, int is_whole) {
    instance *self = w->self;
    pthread_mutex_lock(&self->lock);
    *(is_whole ? &self->commits : &self->aborts) += 1;
    w->to->is_filling = 0;
    w->to->is_whole = is_whole;
    w->to->is_broken = !is_whole;
    if (is_whole && w->to->count) {
        w->to->file = memfd_create("kept", 0);
        for (uint64_t at = 0; at < w->to->count;)
            at += (uint64_t)pwrite(
                w->to->file, w->to->body + at, w->to->count - at, (off_t)at);
    }
    pthread_mutex_unlock(&self->lock);
    w->own->open--;
    if (w->own->filling == w->to) w->own->filling = 0;
    waitset->wake(self->host, key_of(slice(w->to->path)), UINT32_MAX, 0);
    free(w);
}

static void commit(void *state, void *slot, void *w) { (void)state, (void)slot, end_writer(w, 1); }
static void give_up(void *state, void *slot, void *w) { (void)state, (void)slot, end_writer(w, 0); }

static uint32_t read_some(
    void *state, void *slot, sluice_req *req, void *from, sluice_cache_chunk *chunk) {
    instance *self = ((void)slot, state);
    reader *r = from;
    object *o = r->of;
    if (r->fails) return 77;
    if (chunk->offset >= r->broken) return SLUICE_CACHE_BROKEN;
    if (chunk->offset >= r->again && !r->has_waited) {
        sluice_token token;
        r->has_waited = 1;
        return http->suspend(req, 20000000u, &token) == SLUICE_OK ? SLUICE_CACHE_AGAIN : 99;
    }
    uint64_t ticket = waitset->ticket(self->host, key_of(slice(o->path)));
    if (chunk->offset >= o->count) {
        sluice_token token;
        if (o->is_whole) return SLUICE_CACHE_END;
        if (o->is_broken) return SLUICE_CACHE_BROKEN;
        int32_t result = waitset->wait(
            self->host, req, key_of(slice(o->path)), ticket, 5000000000u, &token);
        /* It grew since the ticket: only a wait can say so, and this one is short. */
        if (result == SLUICE_EAGAIN) result = http->suspend(req, 1000000u, &token);
        return result == SLUICE_OK ? SLUICE_CACHE_AGAIN : 99;
    }
    uint64_t count = o->count - chunk->offset;
    if (r->is_short && count > 1000) count = 1000;
    if (r->is_file && !chunk->wants_bytes) {
        chunk->file = o->file;
        chunk->file_offset = chunk->offset;
        chunk->file_length = count;
        return SLUICE_CACHE_FILE;
    }
    chunk->bytes = (sluice_slice){o->body + chunk->offset, count};
    return SLUICE_CACHE_BYTES;
}

static void close_reader(void *state, void *slot, void *r) {
    ((instance *)((void)slot, state))->closes++;
    ((reader *)r)->own->open--;
    free(r);
}

static int32_t purge(void *state, sluice_cache_purge *order, sluice_errbuf *error) {
    instance *self = state;
    if (order->kind == SLUICE_CACHE_PURGE_TAG) {
        error->len = (uint32_t)snprintf(error->ptr, error->cap, "knows no tag \"%.*s\"",
            (int)order->value.len, (const char *)order->value.ptr);
        return SLUICE_EINVAL;
    }
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < self->object_count; i++) {
        object *o = &self->objects[i];
        sluice_slice path = slice(o->path), value = order->value;
        int hit = order->kind == SLUICE_CACHE_PURGE_ALL
            || (path.len >= value.len && memcmp(path.ptr, value.ptr, value.len) == 0
                && (order->kind == SLUICE_CACHE_PURGE_PREFIX || path.len == value.len));
        if (!o->is_whole || !hit) continue;
        order->count++;
        if (!order->is_soft) o->is_whole = 0;
    }
    pthread_mutex_unlock(&self->lock);
    return SLUICE_OK;
}

static const sluice_cache role = {.size = sizeof role, .lookup = lookup, .admit = admit,
    .failed = failed, .write = write_some, .commit = commit, .abort = give_up, .read = read_some,
    .close = close_reader, .purge = purge};

/* -- life -------------------------------------------------------------------------------------- */

static uint32_t request_end(
    void *state, void *slot, sluice_req *req, void *context, sluice_args *args) {
    instance *self = state;
    request *own = context;
    sluice_slice path = path_of(args->request_headers);
    char line[400];
    (void)slot, (void)req;
    self->ends++;
    snprintf(line, sizeof line, "ended %.*s cache=%u internal=%u outcome=%u status=%u open=%u",
        (int)path.len, (const char *)path.ptr, args->facts->cache_status,
        (args->flags & SLUICE_ARGS_INTERNAL) != 0, args->facts->outcome, args->facts->status,
        own->open);
    core->log(self->host, SLUICE_LOG_INFO, slice(line));
    if (own->filling) {
        own->filling->is_filling = 0;
        waitset->wake(self->host, key_of(path), UINT32_MAX, 0);
    }
    return SLUICE_CONTINUE;
}

static const sluice_http_hooks hooks = {.size = sizeof hooks, .request_end = request_end};

static const void *get_extension(void *state, const char *id) {
    return (void)state, strcmp(id, SLUICE_CACHE_ID) == 0 ? &role : 0;
}

static void destroy(void *state) { free(state); }

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    instance *self = calloc(1, sizeof *self);
    (void)error;
    self->host = args->host;
    pthread_mutex_init(&self->lock, 0);
    out->state = self;
    out->hooks = &hooks;
    out->context_size = sizeof(request);
    out->get_extension = get_extension;
    out->destroy = destroy;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};
static const char *const roles[] = {SLUICE_CACHE_ID, 0};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}
int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    core = host->get_extension(SLUICE_CORE_ID);
    http = host->get_extension(SLUICE_HTTP_ID);
    waitset = host->get_extension(SLUICE_WAITSET_ID);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("test.keeper");
    out->version = (sluice_slice)TEXT("1");
    out->description = (sluice_slice)TEXT("Keeps responses.");
    out->factory = &factory;
    out->roles = roles;
    out->hooks_mask = 1u << SLUICE_PHASE_REQUEST_END;
    return core && http && waitset ? SLUICE_OK : SLUICE_ENOTSUP;
}
