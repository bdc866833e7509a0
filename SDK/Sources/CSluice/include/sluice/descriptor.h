/*
 * What a library says of itself without being run: JSON in the ELF section "sluice_descriptor".
 *
 * The host reads it before it loads the file, checks the manifest's configuration against it, and
 * compares it with the handshake afterwards.
 *
 *   {
 *     "abi": "0.2",                      the least version it works with
 *     "id": "org.example.greeter",
 *     "version": "1.0.0",
 *     "description": "One line.",
 *     "hooks": ["request_headers"],      names of phases; "resumed" is not listed
 *     "roles": ["sluice.lb/1"],
 *     "required": ["sluice.core/1"],     host tables that it can't do without
 *     "optional": [],                    host tables that it uses where they are there
 *     "attributes": {"produces": ["org.example.user"], "consumes": []},
 *     "config": { ... }                  a JSON Schema: the subset in docs/plugin-configuration.md
 *   }
 *
 * Only "abi", "id" and "version" must be there. A library without the section still loads; its
 * configuration is then checked by `check_config` and `create` alone.
 */
#ifndef SLUICE_DESCRIPTOR_H
#define SLUICE_DESCRIPTOR_H

#define SLUICE_DESCRIPTOR_SECTION "sluice_descriptor"

/* Bytes of JSON that the host reads. */
#define SLUICE_DESCRIPTOR_BYTES_MAX 65536

/* Puts a string literal into the section: SLUICE_DESCRIPTOR("{ ... }"); at file scope, once. */
#define SLUICE_DESCRIPTOR(json)                                                                    \
    __attribute__((used, section(SLUICE_DESCRIPTOR_SECTION), aligned(1)))                          \
    static const char sluice_descriptor_json[] = json

#endif
