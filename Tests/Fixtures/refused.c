/* A plugin that the host must refuse; the macro that the test defines says why. */
#include <sluice/sluice.h>

#ifdef EXPORTS
int EXPORTS(void) { return 0; }
#endif

#ifndef NO_SYMBOL

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)args, (void)out, (void)error;
    return SLUICE_OK;
}

static const sluice_factory factory = {
#ifdef FACTORY_SIZE
    .size = FACTORY_SIZE,
#else
    .size = sizeof factory,
#endif
#ifndef NO_CREATE
    .create = create,
#endif
};

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    (void)host, (void)create;
#ifdef HELLO_FAILS
    return HELLO_FAILS;
#endif
#ifdef HELLO_SIZE
    out->size = HELLO_SIZE;
#endif
#ifndef ABI_MINOR
#define ABI_MINOR SLUICE_ABI_MINOR
#endif
    out->abi_minor = ABI_MINOR;
#ifndef NO_FACTORY
    out->factory = &factory;
#endif
#ifdef REQUIRES
    static const char *const required[] = {SLUICE_CORE_ID, REQUIRES, 0};
    out->required = required;
#endif
#ifdef UNRESOLVED
    extern void not_defined_anywhere(void);
    not_defined_anywhere();
#endif
    return SLUICE_OK;
}

#endif
