/*
 * What the plugin uses of zlib, Brotli and Zstandard, which are opened at run time.
 *
 * None of them is needed to build the plugin or to load it: it has no NEEDED entry for them, so one
 * file runs on any machine and uses what is there. The declarations are those of the libraries'
 * public interfaces, which their sonames keep: libz.so.1, libbrotlienc.so.1, libbrotlidec.so.1,
 * libzstd.so.1. Handles are plain pointers here, as nobody looks into them.
 */
#ifndef COMPRESSION_CODECS_H
#define COMPRESSION_CODECS_H

#include <stddef.h>
#include <stdint.h>

/* zlib's z_stream: the same members in the same order. */
typedef struct compression_zstream {
    const uint8_t *_Nullable next_in;
    unsigned int avail_in;
    unsigned long total_in;
    uint8_t *_Nullable next_out;
    unsigned int avail_out;
    unsigned long total_out;
    const char *_Nullable msg;
    void *_Nullable state;
    void *_Nullable zalloc;
    void *_Nullable zfree;
    void *_Nullable opaque;
    int data_type;
    unsigned long adler;
    unsigned long reserved;
} compression_zstream;

/* zlib's results and flush modes. */
enum {
    COMPRESSION_Z_NO_FLUSH = 0,
    COMPRESSION_Z_SYNC_FLUSH = 2,
    COMPRESSION_Z_FINISH = 4,
    COMPRESSION_Z_OK = 0,
    COMPRESSION_Z_STREAM_END = 1,
    COMPRESSION_Z_BUF_ERROR = -5,
    COMPRESSION_Z_DEFLATED = 8,
};

typedef struct compression_zlib {
    int (*_Nonnull deflate_init)(
        compression_zstream *_Nonnull stream, int level, int method, int window_bits, int mem_level,
        int strategy, const char *_Nonnull version, int stream_size);
    int (*_Nonnull deflate)(compression_zstream *_Nonnull stream, int flush);
    int (*_Nonnull deflate_reset)(compression_zstream *_Nonnull stream);
    int (*_Nonnull deflate_end)(compression_zstream *_Nonnull stream);
    int (*_Nonnull inflate_init)(
        compression_zstream *_Nonnull stream, int window_bits, const char *_Nonnull version,
        int stream_size);
    int (*_Nonnull inflate)(compression_zstream *_Nonnull stream, int flush);
    int (*_Nonnull inflate_reset)(compression_zstream *_Nonnull stream);
    int (*_Nonnull inflate_end)(compression_zstream *_Nonnull stream);
    const char *_Nonnull (*_Nonnull version)(void);
} compression_zlib;

/* Brotli's parameters, operations and results of its decoder. */
enum {
    COMPRESSION_BROTLI_QUALITY = 1,
    COMPRESSION_BROTLI_WINDOW = 2,
    COMPRESSION_BROTLI_SIZE_HINT = 5,
    COMPRESSION_BROTLI_PROCESS = 0,
    COMPRESSION_BROTLI_FLUSH = 1,
    COMPRESSION_BROTLI_FINISH = 2,
    COMPRESSION_BROTLI_ERROR = 0,
    COMPRESSION_BROTLI_SUCCESS = 1,
    COMPRESSION_BROTLI_NEEDS_INPUT = 2,
    COMPRESSION_BROTLI_NEEDS_OUTPUT = 3,
};

typedef void *_Nullable (*compression_alloc)(void *_Nullable context, size_t size);
typedef void (*compression_free)(void *_Nullable context, void *_Nullable block);

typedef struct compression_brotli {
    void *_Nullable (*_Nonnull encoder_create)(
        compression_alloc _Nullable alloc, compression_free _Nullable free,
        void *_Nullable context);
    int (*_Nonnull encoder_set)(void *_Nonnull encoder, int parameter, uint32_t value);
    int (*_Nonnull encoder_run)(
        void *_Nonnull encoder, int operation, size_t *_Nonnull avail_in,
        const uint8_t *_Nullable *_Nonnull next_in, size_t *_Nonnull avail_out,
        uint8_t *_Nullable *_Nonnull next_out, size_t *_Nullable total_out);
    int (*_Nonnull encoder_is_finished)(void *_Nonnull encoder);
    int (*_Nonnull encoder_has_more)(void *_Nonnull encoder);
    void (*_Nonnull encoder_destroy)(void *_Nonnull encoder);
    void *_Nullable (*_Nonnull decoder_create)(
        compression_alloc _Nullable alloc, compression_free _Nullable free,
        void *_Nullable context);
    int (*_Nonnull decoder_run)(
        void *_Nonnull decoder, size_t *_Nonnull avail_in,
        const uint8_t *_Nullable *_Nonnull next_in, size_t *_Nonnull avail_out,
        uint8_t *_Nullable *_Nonnull next_out, size_t *_Nullable total_out);
    void (*_Nonnull decoder_destroy)(void *_Nonnull decoder);
    uint32_t (*_Nonnull version)(void);
} compression_brotli;

/* Zstandard's parameters and directives. */
enum {
    COMPRESSION_ZSTD_LEVEL = 100,
    COMPRESSION_ZSTD_WINDOW = 101,
    COMPRESSION_ZSTD_CHECKSUM = 201,
    COMPRESSION_ZSTD_DECODER_WINDOW_MAX = 100,
    COMPRESSION_ZSTD_CONTINUE = 0,
    COMPRESSION_ZSTD_FLUSH = 1,
    COMPRESSION_ZSTD_END = 2,
    COMPRESSION_ZSTD_RESET_SESSION = 1,
};

/* ZSTD_inBuffer and ZSTD_outBuffer. */
typedef struct compression_zstd_in {
    const void *_Nullable start;
    size_t size;
    size_t position;
} compression_zstd_in;

typedef struct compression_zstd_out {
    void *_Nullable start;
    size_t size;
    size_t position;
} compression_zstd_out;

typedef struct compression_zstd {
    void *_Nullable (*_Nonnull encoder_create)(void);
    size_t (*_Nonnull encoder_set)(void *_Nonnull encoder, int parameter, int value);
    size_t (*_Nonnull encoder_reset)(void *_Nonnull encoder, int directive);
    size_t (*_Nonnull encoder_run)(
        void *_Nonnull encoder, compression_zstd_out *_Nonnull output,
        compression_zstd_in *_Nonnull input, int directive);
    size_t (*_Nonnull encoder_free)(void *_Nullable encoder);
    void *_Nullable (*_Nonnull decoder_create)(void);
    size_t (*_Nonnull decoder_set)(void *_Nonnull decoder, int parameter, int value);
    size_t (*_Nonnull decoder_reset)(void *_Nonnull decoder, int directive);
    size_t (*_Nonnull decoder_run)(
        void *_Nonnull decoder, compression_zstd_out *_Nonnull output,
        compression_zstd_in *_Nonnull input);
    size_t (*_Nonnull decoder_free)(void *_Nullable decoder);
    unsigned int (*_Nonnull is_error)(size_t result);
    unsigned int (*_Nonnull version)(void);
} compression_zstd;

/* Each opens a library and finds all its functions; 0 when it is not there or lacks one of them.
 * What was opened stays. [control thread] */
int compression_open_zlib(compression_zlib *_Nonnull out);
int compression_open_brotli(compression_brotli *_Nonnull out);
int compression_open_zstd(compression_zstd *_Nonnull out);

#endif
