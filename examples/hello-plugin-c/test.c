/*
 * Loads the library and calls it as the host does. Prints what is not as it should be.
 */
#include <dlfcn.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(what)                                                \
    do {                                                            \
        if (what) break;                                            \
        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
        failures++;                                                 \
    } while (0)

static sluice_slice slice(const char *text) {
    return (sluice_slice){(const uint8_t *)text, strlen(text)};
}

static int is(sluice_slice slice, const char *text) {
    return slice.len == strlen(text) && memcmp(slice.ptr, text, slice.len) == 0;
}

static sluice_plugin_hello hello = {.size = sizeof hello};
static char line[100];

/* Makes an instance with a greeting, or without one. */
static int32_t make(const char *greeting, sluice_instance *out) {
    sluice_value member = {.type = SLUICE_VALUE_STRING, .key = slice("greeting")};
    sluice_value config = {.type = SLUICE_VALUE_OBJECT, .children = &member};
    sluice_errbuf error = {.size = sizeof error, .cap = sizeof line, .ptr = line};
    sluice_create_args args = {.size = sizeof args, .config = &config};
    if (greeting) {
        member.string = slice(greeting);
        config.count = 1;
    }
    memset(line, 0, sizeof line);
    *out = (sluice_instance){.size = sizeof *out};
    return hello.factory->create(&args, out, &error);
}

/* Runs the hook with room for so many edits. */
static uint32_t respond(sluice_instance *instance, uint32_t room, sluice_edit *edit) {
    sluice_edits edits = {.size = sizeof edits, .capacity = room, .ops = edit};
    sluice_args args = {.size = sizeof args, .edits = &edits};
    return instance->hooks->response_headers(instance->state, NULL, NULL, NULL, &args);
}

int main(int count, char **arguments) {
    void *library = dlopen(count > 1 ? arguments[1] : "", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    sluice_plugin_hello_fn entry;
    *(void **)&entry = dlsym(library, SLUICE_HELLO_SYMBOL);
    sluice_host_hello host = {.size = sizeof host, .abi_minor = SLUICE_ABI_MINOR};
    EXPECT(entry && entry(&host, &hello) == SLUICE_OK);
    if (failures) return 1;

    sluice_instance instance;
    sluice_edit edit = {0};
    EXPECT(make("good morning", &instance) == SLUICE_OK);
    EXPECT(respond(&instance, 1, &edit) == SLUICE_CONTINUE);
    EXPECT(edit.op == SLUICE_EDIT_SET);
    EXPECT(is(edit.name, "x-hello") && is(edit.value, "good morning"));
    EXPECT(respond(&instance, 0, NULL) == SLUICE_ERROR);
    instance.destroy(instance.state);

    EXPECT(make(NULL, &instance) == SLUICE_OK);
    EXPECT(respond(&instance, 1, &edit) == SLUICE_CONTINUE && is(edit.value, "hello from C"));
    instance.destroy(instance.state);

    EXPECT(make("a\nb", &instance) == SLUICE_ECONFIG);
    EXPECT(strcmp(line, "greeting: has a control character") == 0);

    printf(failures ? "failed\n" : "passed\n");
    return failures != 0;
}
