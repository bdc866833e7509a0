/*
 * OpenSSL's headers, and as functions what they define as macros: Swift does not see those.
 */
#ifndef COPENSSL_H
#define COPENSSL_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* -- constants --------------------------------------------------------------------------------- */

static const uint64_t COPENSSL_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t COPENSSL_NO_TICKET = SSL_OP_NO_TICKET;
static const uint64_t COPENSSL_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
/* Names as RFC 2253 writes them; what is not ASCII is escaped. */
static const unsigned long COPENSSL_NAME_FORM = XN_FLAG_RFC2253;

/* -- BIO --------------------------------------------------------------------------------------- */

static inline void copenssl_bio_clear_retry(BIO *bio) {
    BIO_clear_retry_flags(bio);
}

static inline void copenssl_bio_retry_read(BIO *bio) {
    BIO_set_retry_read(bio);
}

/* -- contexts ---------------------------------------------------------------------------------- */

static inline void copenssl_ctx_set_mode(SSL_CTX *ctx, long mode) {
    SSL_CTX_set_mode(ctx, mode);
}

static inline void copenssl_ctx_set_read_ahead(SSL_CTX *ctx) {
    SSL_CTX_set_read_ahead(ctx, 1);
}

static inline int copenssl_ctx_set_versions(SSL_CTX *ctx, int min, int max) {
    return SSL_CTX_set_min_proto_version(ctx, min) == 1
        && SSL_CTX_set_max_proto_version(ctx, max) == 1;
}

static inline void copenssl_ctx_set_session_cache(SSL_CTX *ctx, long mode) {
    SSL_CTX_set_session_cache_mode(ctx, mode);
}

static inline int copenssl_ctx_set_groups(SSL_CTX *ctx, const char *list) {
    return (int)SSL_CTX_set1_groups_list(ctx, list);
}

static inline int copenssl_ctx_use_chain(SSL_CTX *ctx, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(ctx, certificate);
}

static inline void copenssl_ctx_set_servername(
    SSL_CTX *ctx, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(ctx, callback);
    SSL_CTX_set_tlsext_servername_arg(ctx, argument);
}

static inline void copenssl_ctx_set_status(
    SSL_CTX *ctx, int (*callback)(SSL *, void *), void *argument) {
    SSL_CTX_set_tlsext_status_cb(ctx, callback);
    SSL_CTX_set_tlsext_status_arg(ctx, argument);
}

static inline int copenssl_ctx_new_index(CRYPTO_EX_free *release) {
    return SSL_CTX_get_ex_new_index(0, 0, 0, 0, release);
}

/* -- connections ------------------------------------------------------------------------------- */

static inline int copenssl_set_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

/* Takes `bytes`, which OPENSSL_malloc gave. */
static inline int copenssl_set_status_response(SSL *ssl, void *bytes, long count) {
    return (int)SSL_set_tlsext_status_ocsp_resp(ssl, bytes, count);
}

static inline const char *copenssl_cipher(const SSL *ssl) {
    return SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
}

static inline void *copenssl_allocate(size_t count) {
    return OPENSSL_malloc(count);
}

/* Makes it HMAC-SHA-256 with this key, which is copied. */
static inline int copenssl_mac_set_key(EVP_MAC_CTX *mac, const unsigned char *key, size_t count) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}

/* -- lists ------------------------------------------------------------------------------------- */

/* Number of ciphers of a context. */
int copenssl_cipher_count(const SSL_CTX *ctx);

/* The cipher at `index`, less than the count. */
const SSL_CIPHER *copenssl_cipher_at(const SSL_CTX *ctx, int index);

/* The DNS names of a certificate's subjectAltName; free them with `copenssl_names_free`. */
GENERAL_NAMES *copenssl_names(const X509 *certificate);

/* Bytes of the name at `index`: -1 behind the last, 0 for one that is no DNS name. */
long copenssl_name(const GENERAL_NAMES *names, int index, const unsigned char **bytes);

void copenssl_names_free(GENERAL_NAMES *names);

/* Adds the name of a CA to those that a server tells its clients; 0 without memory. */
int copenssl_ctx_add_client_ca(SSL_CTX *ctx, X509 *certificate);

/* What OCSP says of a certificate. */
enum {
    COPENSSL_OCSP_GOOD = 0,
    COPENSSL_OCSP_UNREADABLE = 1,
    COPENSSL_OCSP_NOT_SUCCESSFUL = 2,
    COPENSSL_OCSP_OTHER_CERTIFICATE = 3,
    COPENSSL_OCSP_REVOKED = 4,
    COPENSSL_OCSP_UNKNOWN = 5,
    COPENSSL_OCSP_STALE = 6,
};

/* Sets `seconds` to those from now until a good response is out of date; LONG_MAX when it never
 * is. */
int copenssl_ocsp_check(const unsigned char *bytes, long count, const X509 *certificate,
                        long *seconds);

#endif
