/*
 * A plugin in C, on the headers alone: it sets x-hello in every response.
 */
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>

/* A slice of a literal, which lives for ever. */
#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

struct greeter {
    sluice_slice greeting;
};

/* Writes one line into the host's buffer and gives the code back. */
static int32_t refuse(sluice_errbuf *error, const char *line) {
    size_t length = strlen(line);
    if (length > error->cap) length = error->cap;
    memcpy(error->ptr, line, length);
    error->len = (uint32_t)length;
    return SLUICE_ECONFIG;
}

/* -- what the host reads without running this ------------------------------------------------- */

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.hello-c",
    "version": "1.0.0",
    "description": "Says hello in a field of every response.",
    "hooks": ["response_headers"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "greeting": { "type": "string", "minLength": 1, "default": "hello from C" }
        }
    }
});

/* -- the hook ---------------------------------------------------------------------------------- */

static uint32_t response_headers(
    void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
    const struct greeter *greeter = instance;
    sluice_edits *edits = args->edits;
    (void)slot, (void)request, (void)context;
    if (edits->count == edits->capacity) return SLUICE_ERROR;
    edits->ops[edits->count++] = (sluice_edit){
        .op = SLUICE_EDIT_SET,
        .name = TEXT("x-hello"),
        .value = greeter->greeting,
    };
    return SLUICE_CONTINUE;
}

static const sluice_http_hooks hooks = {
    .size = sizeof(sluice_http_hooks),
    .response_headers = response_headers,
};

/* -- instances --------------------------------------------------------------------------------- */

/* Reads `config: { greeting: "hello" }`, which fits the descriptor's schema: the host saw to it. */
static int32_t configure(
    const sluice_value *config, struct greeter *greeter, sluice_errbuf *error) {
    greeter->greeting = (sluice_slice)TEXT("hello from C");
    for (uint32_t i = 0; i < config->count; i++)
        greeter->greeting = config->children[i].string; /* lives as long as the instance */
    for (uint64_t i = 0; i < greeter->greeting.len; i++)
        if (greeter->greeting.ptr[i] < ' ')
            return refuse(error, "greeting: has a control character");
    return SLUICE_OK;
}

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    struct greeter greeter;
    return configure(config, &greeter, error);
}

static void destroy(void *instance) { free(instance); }

static int32_t create(
    const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    struct greeter *greeter = malloc(sizeof *greeter);
    if (greeter == NULL) return SLUICE_ENOMEM;
    int32_t result = configure(args->config, greeter, error);
    if (result != SLUICE_OK) {
        free(greeter);
        return result;
    }
    out->state = greeter;
    out->hooks = &hooks;
    out->destroy = destroy;
    return SLUICE_OK;
}

static const sluice_factory factory = {
    .size = sizeof(sluice_factory),
    .check_config = check_config,
    .create = create,
};

/* -- the library's one symbol ------------------------------------------------------------------ */

int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
    if (host->size != sizeof *host || out->size != sizeof *out) return SLUICE_EINVAL;
    out->abi_minor = SLUICE_ABI_MINOR;
    out->id = (sluice_slice)TEXT("org.example.hello-c");
    out->version = (sluice_slice)TEXT("1.0.0");
    out->description = (sluice_slice)TEXT("Says hello in a field of every response.");
    out->factory = &factory;
    out->hooks_mask = 1u << SLUICE_PHASE_RESPONSE_HEADERS;
    return SLUICE_OK;
}
