#include "codecs.h"

#include <dlfcn.h>

/* A function by its name, and where to put it. */
struct symbol {
    const char *name;
    void *place;
};

/* Fills all places of a list that ends with a NULL name; 0 when a function is missing. The symbols
 * are bound at once, so that a request never waits for the dynamic linker. */
static int find_all(const char *library, const struct symbol *symbols) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return 0;
    for (; symbols->name; symbols++) {
        void *function = dlsym(handle, symbols->name);
        if (!function) return 0;
        *(void **)symbols->place = function;
    }
    return 1;
}

int compression_open_zlib(compression_zlib *out) {
    const struct symbol symbols[] = {
        {"deflateInit2_", &out->deflate_init},
        {"deflate", &out->deflate},
        {"deflateReset", &out->deflate_reset},
        {"deflateEnd", &out->deflate_end},
        {"inflateInit2_", &out->inflate_init},
        {"inflate", &out->inflate},
        {"inflateReset", &out->inflate_reset},
        {"inflateEnd", &out->inflate_end},
        {"zlibVersion", &out->version},
        {NULL, NULL},
    };
    return find_all("libz.so.1", symbols);
}

int compression_open_brotli(compression_brotli *out) {
    const struct symbol encoder[] = {
        {"BrotliEncoderCreateInstance", &out->encoder_create},
        {"BrotliEncoderSetParameter", &out->encoder_set},
        {"BrotliEncoderCompressStream", &out->encoder_run},
        {"BrotliEncoderIsFinished", &out->encoder_is_finished},
        {"BrotliEncoderHasMoreOutput", &out->encoder_has_more},
        {"BrotliEncoderDestroyInstance", &out->encoder_destroy},
        {NULL, NULL},
    };
    const struct symbol decoder[] = {
        {"BrotliDecoderCreateInstance", &out->decoder_create},
        {"BrotliDecoderDecompressStream", &out->decoder_run},
        {"BrotliDecoderDestroyInstance", &out->decoder_destroy},
        {"BrotliDecoderVersion", &out->version},
        {NULL, NULL},
    };
    return find_all("libbrotlienc.so.1", encoder) && find_all("libbrotlidec.so.1", decoder);
}

int compression_open_zstd(compression_zstd *out) {
    const struct symbol symbols[] = {
        {"ZSTD_createCCtx", &out->encoder_create},
        {"ZSTD_CCtx_setParameter", &out->encoder_set},
        {"ZSTD_CCtx_reset", &out->encoder_reset},
        {"ZSTD_compressStream2", &out->encoder_run},
        {"ZSTD_freeCCtx", &out->encoder_free},
        {"ZSTD_createDCtx", &out->decoder_create},
        {"ZSTD_DCtx_setParameter", &out->decoder_set},
        {"ZSTD_DCtx_reset", &out->decoder_reset},
        {"ZSTD_decompressStream", &out->decoder_run},
        {"ZSTD_freeDCtx", &out->decoder_free},
        {"ZSTD_isError", &out->is_error},
        {"ZSTD_versionNumber", &out->version},
        {NULL, NULL},
    };
    return find_all("libzstd.so.1", symbols);
}
