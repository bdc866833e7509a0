/*
 * `sluice.handover/1`: an instance takes the place of another one while requests run.
 *
 * The host asks for the table by `get_extension`. Order of the calls, all [control]:
 *   new: create
 *   old: export_state, new: import_state      requests still run on the old one
 *   new: warm                                 may refuse: then nothing has happened
 *   new requests go to the new one; the old one ends those that it has
 *   old: export_rest, new: import_rest        the old one has no request left
 *   old: destroy
 */
#ifndef SLUICE_EXT_HANDOVER_H
#define SLUICE_EXT_HANDOVER_H

#include "../types.h"

#define SLUICE_HANDOVER_ID "sluice.handover/1"

/* `sluice.handover/1`. Lifetime: instance. */
typedef struct sluice_handover {
    uint32_t size;
    uint32_t reserved0;

    /* Gets ready for requests, before any worker starts: fills tables, checks what it needs. Not
     * SLUICE_OK: the instance is not used, with the reason in `error`. NULL: always ready.
     * [control] */
    int32_t (*warm)(void *instance, sluice_errbuf *error);

    /* Writes what has changed since the last `export_state`, or since `import_state` when it was
     * never asked for that. No request is left, and its workers have stopped. NULL: nothing.
     * [control] */
    int32_t (*export_rest)(void *instance, const sluice_sink *sink, sluice_errbuf *error);

    /* Adds what another instance's `export_rest` wrote, while workers run. It comes from anywhere:
     * refuse what is not understood with SLUICE_EINVAL. NULL: not taken. [control] */
    int32_t (*import_rest)(void *instance, sluice_slice rest, sluice_errbuf *error);

    void *reserved[5];
} sluice_handover;

#endif
