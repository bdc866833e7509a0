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
 * Only "abi", "id" and "version" must be there; what is left out is not compared. A library without
 * the section still loads; its configuration is then checked by `check_config` and `create` alone.
 *
 * Languages without this macro put the same bytes into the section: UTF-8, one text in a file, up
 * to SLUICE_DESCRIPTOR_BYTES_MAX, with or without NULs behind it. The section must survive the
 * linker's garbage collection and `strip`.
 */
#ifndef SLUICE_DESCRIPTOR_H
#define SLUICE_DESCRIPTOR_H

#define SLUICE_DESCRIPTOR_SECTION "sluice_descriptor"

/* Bytes of JSON that the host reads. */
#define SLUICE_DESCRIPTOR_BYTES_MAX 65536

/* `used` keeps the bytes in the object, `retain` in the library: the linker would otherwise collect
 * a section that nothing refers to. Compilers without `retain` have linkers without the flag. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define SLUICE_DESCRIPTOR_KEPT used, retain
#endif
#endif
#ifndef SLUICE_DESCRIPTOR_KEPT
#define SLUICE_DESCRIPTOR_KEPT used
#endif

/*
 * Puts JSON into the section; at file scope, once, and as JSON, not as a string:
 *
 *   SLUICE_DESCRIPTOR({
 *       "abi": "0.2",
 *       "id": "org.example.greeter",
 *       "version": "1.0.0"
 *   });
 *
 * The preprocessor makes the string, so quotes need no escapes, and comments of C may stand
 * between. Any JSON will do that has no line end in a string.
 */
#define SLUICE_DESCRIPTOR(...)                                                                     \
    __attribute__((SLUICE_DESCRIPTOR_KEPT, section(SLUICE_DESCRIPTOR_SECTION), aligned(1)))        \
    static const char sluice_descriptor_json[] = #__VA_ARGS__

#endif
