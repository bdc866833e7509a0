/* The handshake: the one symbol that a plugin exports. It imports none of the host's. */
#ifndef SLUICE_HELLO_H
#define SLUICE_HELLO_H

#include "host.h"
#include "plugin.h"
#include "types.h"

#define SLUICE_HELLO_SYMBOL "sluice_plugin_hello_v0"

/* What the host says. Lifetime: process. */
typedef struct sluice_host_hello {
    uint32_t size;
    uint32_t abi_minor;
    uint64_t features; /* 0 */
    sluice_slice host_name;    /* "sluice" */
    sluice_slice host_version; /* "0.1.0" */

    /* A table of the host by id ("sluice.core/1"), or NULL. Pure, so a result may be kept for the
     * life of the process. `id`: NUL-terminated. [any] */
    const void *(*get_extension)(const char *id);

    uint64_t reserved[4];
} sluice_host_hello;

/* What the plugin answers. Everything it points to: process. */
typedef struct sluice_plugin_hello {
    uint32_t size;
    uint32_t abi_minor; /* the least minor version of the host that it can work with, 2 or more */
    uint64_t flags;     /* 0 */
    sluice_slice id;          /* "org.example.headers" */
    sluice_slice version;     /* "1.2.0" */
    sluice_slice description; /* one line */
    const sluice_factory *factory;
    /* Lists that end with NULL; no list is NULL too. */
    const char *const *required; /* ids of host tables that it cannot do without */
    const char *const *roles;    /* ids of role tables that its instances offer */
    uint64_t hooks_mask;         /* bit per phase that an instance may hook */
    uint64_t reserved[5];
} sluice_plugin_hello;

/*
 * Fills `out` (zeroed by the host, `size` set) and returns SLUICE_OK. Called once per load.
 * [control]
 */
typedef int32_t (*sluice_plugin_hello_fn)(
    const sluice_host_hello *host, sluice_plugin_hello *out);

#if defined(__cplusplus)
extern "C"
#endif
__attribute__((visibility("default"))) int32_t sluice_plugin_hello_v0(
    const sluice_host_hello *host, sluice_plugin_hello *out);

#endif
