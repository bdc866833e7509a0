/* Does ACT where the macro AT says: in the constructor, the handshake, or a function of the
 * factory. Each process that loads it adds a line to the file that RAN names. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOAD, HELLO, CHECK, CREATE, DESTROY, NOWHERE };

#ifndef AT
#define AT NOWHERE
#endif
#ifndef ACT
#define ACT
#endif

/* Ends the first process that comes here, and no later one. */
static inline void once(const char *mark) {
    int fd = open(mark, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd >= 0) abort();
}

/* Writes numbers of the descriptors that are open, the one that reads them left out. */
static inline void descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    char text[512] = "descriptors";
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(folder)) continue;
        strncat(strcat(text, " "), entry->d_name, 8);
    }
    closedir(folder);
    fprintf(stderr, "%s\n", text);
    abort();
}

/* The configuration, in `create`. */
static const sluice_value *at_config;

static void at(int place) {
    if (place != AT) return;
    ACT;
}

__attribute__((constructor)) static void loaded(void) {
    const char *path = getenv("RAN");
    if (path) {
        FILE *file = fopen(path, "a");
        fprintf(file, "%d\n", getpid());
        fclose(file);
    }
    at(LOAD);
}

static int32_t check_config(const sluice_value *config, sluice_errbuf *error) {
    (void)config, (void)error;
    at(CHECK);
    return SLUICE_OK;
}

static void destroy(void *instance) {
    (void)instance;
    at(DESTROY);
}

static int32_t create(const sluice_create_args *args, sluice_instance *out, sluice_errbuf *error) {
    (void)error;
    at_config = args->config;
    at(CREATE);
    out->destroy = destroy;
#ifdef WORDS
    error->len = sizeof(WORDS) - 1;
    memcpy(error->ptr, WORDS, error->len);
    return SLUICE_EINVAL;
#endif
    return SLUICE_OK;
}

static const sluice_factory factory = {
    .size = sizeof factory, .check_config = check_config, .create = create};

__attribute__((visibility("default"))) int32_t sluice_plugin_hello_v0(
    const sluice_host_hello *host, sluice_plugin_hello *out) {
    (void)host;
    at(HELLO);
    out->abi_minor = SLUICE_ABI_MINOR;
    out->factory = &factory;
    return SLUICE_OK;
}
