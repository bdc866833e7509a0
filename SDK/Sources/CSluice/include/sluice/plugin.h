/*
 * What a plugin offers.
 *
 * Life of an instance:
 *   create -> worker_start (once a worker) -> hooks ... -> worker_drain -> worker_stop -> destroy
 * The library itself stays loaded, unless the manifest lets it go and it qualifies.
 */
#ifndef SLUICE_PLUGIN_H
#define SLUICE_PLUGIN_H

#include "host.h"
#include "http.h"
#include "types.h"

/*
 * An instance: one entry of the manifest's `plugins`. Filled by the plugin, read by the host.
 */
typedef struct sluice_instance {
    uint32_t size;
    uint32_t context_size; /* bytes of request context, up to 4096, 16-byte aligned */
    void *state;           /* passed to every function as `instance` */

    /* Hooks, or NULL for an instance that only has a role. */
    const sluice_http_hooks *hooks;

    /* A role's table by id ("sluice.lb/1"), or NULL. Pure. `id`: NUL-terminated. [any] */
    const void *(*get_extension)(void *instance, const char *id);

    /* Called on each worker before its first request; what it returns is that worker's slot and
     * may be NULL. NULL function: the slot is NULL. [worker] */
    void *(*worker_start)(void *instance, uint32_t worker_index);

    /* After the last hook of this worker. [worker] */
    void (*worker_stop)(void *instance, void *slot);

    /* After the last worker stopped. Frees all that `create` made. [control] */
    void (*destroy)(void *instance);

    /* Writes the instance's state for an instance that takes its place, in a form that carries a
     * version of its own. NULL: there is none. Requests still run. [control] */
    int32_t (*export_state)(void *instance, const sluice_sink *sink, sluice_errbuf *error);

    /* Takes the state that another instance exported, before any worker starts. It comes from
     * anywhere: refuse what is not understood with SLUICE_EINVAL, and begin empty. [control] */
    int32_t (*import_state)(void *instance, sluice_slice state, sluice_errbuf *error);

    /* The process ends, and this worker's last request has: time to send what the instance keeps.
     * Callouts without a request that it has begun, begins here, or begins in their `done` are
     * waited for, 5 s at most for all of it; then comes `worker_stop`. Not called when another
     * instance takes its place. NULL: there is nothing to send. [worker] */
    void (*worker_drain)(void *instance, void *slot);

    /* The operator has moved files that are written to: open them again by their names. Requests
     * run meanwhile. NULL: there are none. [control] */
    void (*reopen_logs)(void *instance);

    void *reserved[8];
} sluice_instance;

/* What `create` is given. `name` and `config`: instance. */
typedef struct sluice_create_args {
    uint32_t size;
    uint32_t worker_count;
    const sluice_host *host;
    sluice_slice name; /* of the instance in the manifest */
    const sluice_value *config; /* an object; empty when the manifest has none */
    sluice_slice folder; /* of the manifest; relative paths in `config` begin there. Instance */
    uint64_t reserved[4];
} sluice_create_args;

/* The factory. Lifetime: process. */
typedef struct sluice_factory {
    uint32_t size;
    uint32_t reserved0;

    /* Checks a configuration without side effects. SLUICE_OK, or SLUICE_ECONFIG with one line in
     * `error` that begins with the path of the key ("set[2].name: ..."). NULL: not checked before
     * `create`. [control] */
    int32_t (*check_config)(const sluice_value *config, sluice_errbuf *error);

    /* Makes an instance. `out` is zeroed, with `size` set. On failure nothing is kept. [control] */
    int32_t (*create)(
        const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error);

    void *reserved[6];
} sluice_factory;

#endif
