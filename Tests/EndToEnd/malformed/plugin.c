/*
 * A plugin with one thing wrong, which the macros of the test choose. Without any it is a good one.
 *
 * As soon as any of its code runs it makes the file that RAN names.
 */
#include <fcntl.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SYMBOL
#define SYMBOL sluice_plugin_hello_v0
#endif
#ifndef HELLO_RESULT
#define HELLO_RESULT SLUICE_OK
#endif
#ifndef HELLO_SIZE
#define HELLO_SIZE out->size
#endif
#ifndef ABI_MINOR
#define ABI_MINOR SLUICE_ABI_MINOR
#endif
#ifndef FACTORY_SIZE
#define FACTORY_SIZE sizeof(sluice_factory)
#endif
#ifndef INSTANCE_SIZE
#define INSTANCE_SIZE out->size
#endif
#ifndef HOOKS_SIZE
#define HOOKS_SIZE sizeof(sluice_http_hooks)
#endif
#ifndef LB_SIZE
#define LB_SIZE sizeof(sluice_lb)
#endif
#ifndef CONTEXT_SIZE
#define CONTEXT_SIZE 0
#endif
#ifndef CHECK
#define CHECK SLUICE_OK
#endif
#ifndef CREATE
#define CREATE SLUICE_OK
#endif
#ifndef WORDS
#define WORDS ""
#endif

__attribute__((constructor)) static void ran(void) {
    const char *path = getenv("RAN");
    if (path) close(open(path, O_CREAT | O_WRONLY, 0600));
}

#ifdef SURPLUS
__attribute__((visibility("default"))) int surplus_one, surplus_two;
#endif

#ifdef TEXTREL
__asm__(".text\n.quad sluice_plugin_hello_v0\n");
#endif

#ifdef NEEDS_RUNTIME
extern int swift_runtime;
__attribute__((used)) static int *needed = &swift_runtime;
#endif

static int32_t answer(int32_t result, sluice_errbuf *error) {
    if (result == SLUICE_OK) return result;
    error->len = sizeof(WORDS) - 1;
    memcpy(error->ptr, WORDS, error->len);
    return result;
}

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    (void)config;
    return answer(CHECK, error);
}

static const void *get_extension(void *instance, const char *id) {
    static const sluice_lb lb = {.size = LB_SIZE};
    (void)instance;
    return strcmp(id, SLUICE_LB_ID) == 0 ? &lb : NULL;
}

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    static const sluice_http_hooks hooks = {.size = HOOKS_SIZE};
    (void)args;
    out->size = INSTANCE_SIZE;
    out->context_size = CONTEXT_SIZE;
    out->hooks = &hooks;
    out->get_extension = get_extension;
    return answer(CREATE, error);
}

static const sluice_factory factory = {
    .size = FACTORY_SIZE,
    .check_config = check_config,
#ifndef NO_CREATE
    .create = create,
#endif
};

__attribute__((visibility("default"))) int32_t SYMBOL(
    const sluice_host_hello *host, sluice_plugin_hello *out) {
    static const char *const required[] = {
        SLUICE_CORE_ID,
#ifdef REQUIRES
        REQUIRES,
#endif
        NULL,
    };
    (void)host, (void)create;
    out->size = HELLO_SIZE;
    out->abi_minor = ABI_MINOR;
    out->required = required;
#ifndef NO_FACTORY
    out->factory = &factory;
#endif
    return HELLO_RESULT;
}
