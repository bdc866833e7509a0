/*
 * A plugin with the cache's role, whose table lacks the function that WITHOUT names (`lookup`...),
 * or has another size (SIZE).
 */
#include <sluice/ext/cache.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint32_t lookup(void *i, void *s, sluice_req *r, void *c, sluice_cache_lookup *l) {
    return (void)i, (void)s, (void)r, (void)c, (void)l, SLUICE_CACHE_BYPASS;
}

static uint32_t respond(void *i, void *s, sluice_req *r, void *c, sluice_cache_response *a) {
    return (void)i, (void)s, (void)r, (void)c, (void)a, SLUICE_CACHE_PASS;
}

static int32_t put(void *i, void *s, void *w, sluice_slice b) {
    return (void)i, (void)s, (void)w, (void)b, SLUICE_OK;
}

static void end(void *i, void *s, void *w) { (void)i, (void)s, (void)w; }

static uint32_t get(void *i, void *s, sluice_req *r, void *f, sluice_cache_chunk *c) {
    return (void)i, (void)s, (void)r, (void)f, (void)c, SLUICE_CACHE_END;
}

/* Counts what it was told; "no" is refused, and "never" does not return. */
static int32_t purge(void *instance, sluice_cache_purge *order, sluice_errbuf *error) {
    (void)instance;
    while (order->value.len == 5 && memcmp(order->value.ptr, "never", 5) == 0) pause();
    order->count = order->value.len + 100 * order->kind + 1000 * order->is_soft;
    if (order->value.len != 2) return SLUICE_OK;
    error->len = (uint32_t)snprintf(error->ptr, error->cap, "told so");
    return SLUICE_EINVAL;
}

static sluice_cache role = {.size = sizeof role, .lookup = lookup, .admit = respond,
    .failed = respond, .write = put, .commit = end, .abort = end, .read = get, .close = end,
    .purge = purge};

static const void *get_extension(void *state, const char *id) {
    return (void)state, strcmp(id, SLUICE_CACHE_ID) == 0 ? &role : 0;
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)args, (void)error;
#ifdef WITHOUT
    role.WITHOUT = 0;
#endif
#ifdef SIZE
    role.size = SIZE;
#endif
    out->get_extension = get_extension;
    return SLUICE_OK;
}

static const sluice_factory factory = {.size = sizeof factory, .create = create};
static const char *const roles[] = {SLUICE_CACHE_ID, 0};

#define TEXT(text) {(const uint8_t *)text, sizeof text - 1}

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    (void)host;
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("org.example.cache");
    out->version = (sluice_slice)TEXT("1");
    out->description = (sluice_slice)TEXT("cache of a test");
    out->factory = &factory;
    out->roles = roles;
    return SLUICE_OK;
}
