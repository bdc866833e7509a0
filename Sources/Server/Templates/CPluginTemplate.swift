/// The folder of a plugin in C: one source, its test, a Makefile.
enum CPluginTemplate {
    static func make(_ names: PluginNames, _ sdk: SDKPlace) -> PluginTemplate {
        let commands = ["make test", "make"]
        let files = [
            PluginTemplate.File(path: "Makefile", text: makefile(names, sdk)),
            PluginTemplate.File(path: "\(names.key).c", text: plugin(names)),
            PluginTemplate.File(path: "test.c", text: test(names)),
            PluginTemplate.File(path: ".gitignore", text: ".build/\n"),
            PluginTemplate.manifest(names, library: ".build/lib\(names.key).so"),
            PluginTemplate.readme(
                names,
                .c,
                commands: commands,
                files: [
                    ("\(names.key).c", "the plugin"),
                    ("test.c", "its test, which loads the library and calls it as the host does"),
                    ("Makefile", "says where the headers are: `make SLUICE_SDK=/path/to/SDK`"),
                    ("sluice.json5", "a manifest to try it with"),
                ]
            ),
        ]
        return PluginTemplate(files: files, commands: commands)
    }

    private static func makefile(_ names: PluginNames, _ sdk: SDKPlace) -> String {
        guard case .folder(let path) = sdk else { return "" }
        return """
            # The SDK's folder. Of an installed Sluice the headers alone will do:
            #     make INCLUDE="$$(pkg-config --variable=includedir sluice)"
            SLUICE_SDK ?= \(path)
            INCLUDE ?= $(SLUICE_SDK)/Sources/CSluice/include
            CFLAGS ?= -O2 -Wall -Wextra

            .build/lib\(names.key).so: \(names.key).c Makefile
            \t@mkdir -p .build
            \t$(CC) -std=c11 $(CFLAGS) -I"$(INCLUDE)" -fPIC -fvisibility=hidden -shared -o $@ $<

            .build/test: test.c Makefile
            \t@mkdir -p .build
            \t$(CC) -std=c11 $(CFLAGS) -I"$(INCLUDE)" -o $@ $< -ldl

            test: .build/test .build/lib\(names.key).so
            \t.build/test .build/lib\(names.key).so

            clean:
            \trm -rf .build

            .PHONY: test clean

            """
    }

    private static func plugin(_ names: PluginNames) -> String {
        """
        /*
         * A plugin for Sluice: it sets x-\(names.name) in every response.
         */
        #include <sluice/sluice.h>
        #include <stdlib.h>
        #include <string.h>

        /* A slice of a literal, which lives for ever. */
        #define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

        /* An instance: one entry of the manifest's `plugins`. */
        struct greeter {
            sluice_slice greeting;
        };

        /* What the host reads without running this: JSON, as it stands here. */
        SLUICE_DESCRIPTOR({
            "abi": "\(Version.pluginABI)",
            "id": "\(names.id)",
            "version": "1.0.0",
            "description": "Sets x-\(names.name) in every response.",
            "hooks": ["response_headers"],
            "config": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "greeting": { "type": "string", "minLength": 1, "default": "hello" }
                }
            }
        });

        /* -- the hook ---------------------------------------------------------------------- */

        static uint32_t response_headers(
            void *instance, void *slot, sluice_req *request, void *context, sluice_args *args) {
            const struct greeter *greeter = instance;
            sluice_edits *edits = args->edits;
            (void)slot, (void)request, (void)context;
            if (edits->count == edits->capacity) return SLUICE_ERROR;
            edits->ops[edits->count++] = (sluice_edit){
                .op = SLUICE_EDIT_SET,
                .name = TEXT("x-\(names.name)"),
                .value = greeter->greeting,
            };
            return SLUICE_CONTINUE;
        }

        static const sluice_http_hooks hooks = {
            .size = sizeof(sluice_http_hooks),
            .response_headers = response_headers,
        };

        /* -- instances --------------------------------------------------------------------- */

        /* Writes one line into the host's buffer and gives the code back. */
        static int32_t refuse(sluice_errbuf *error, const char *line) {
            size_t length = strlen(line);
            if (length > error->cap) length = error->cap;
            memcpy(error->ptr, line, length);
            error->len = (uint32_t)length;
            return SLUICE_ECONFIG;
        }

        /* Reads `config: { greeting: "hello" }`; the host has checked it against the schema. */
        static int32_t configure(
            const sluice_value *config, struct greeter *greeter, sluice_errbuf *error) {
            greeter->greeting = (sluice_slice)TEXT("hello");
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

        /* -- the library's one symbol ------------------------------------------------------ */

        int32_t sluice_plugin_hello_v0(const sluice_host_hello *host, sluice_plugin_hello *out) {
            if (host->size != sizeof *host || out->size != sizeof *out) return SLUICE_EINVAL;
            out->abi_minor = SLUICE_ABI_MINOR;
            out->id = (sluice_slice)TEXT("\(names.id)");
            out->version = (sluice_slice)TEXT("1.0.0");
            out->description = (sluice_slice)TEXT("Sets x-\(names.name) in every response.");
            out->factory = &factory;
            out->hooks_mask = 1u << SLUICE_PHASE_RESPONSE_HEADERS;
            return SLUICE_OK;
        }

        """
    }

    private static func test(_ names: PluginNames) -> String {
        #"""
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
            EXPECT(is(edit.name, "x-\#(names.name)") && is(edit.value, "good morning"));
            EXPECT(respond(&instance, 0, NULL) == SLUICE_ERROR);
            instance.destroy(instance.state);

            EXPECT(make(NULL, &instance) == SLUICE_OK);
            EXPECT(respond(&instance, 1, &edit) == SLUICE_CONTINUE && is(edit.value, "hello"));
            instance.destroy(instance.state);

            EXPECT(make("a\nb", &instance) == SLUICE_ECONFIG);
            EXPECT(strcmp(line, "greeting: has a control character") == 0);

            printf(failures ? "failed\n" : "passed\n");
            return failures != 0;
        }

        """#
    }
}
