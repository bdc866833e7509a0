internal import COpenSSL

/// What all contexts have in common.
enum ContextOptions {
    static func apply(to context: OpaquePointer) {
        // Compression tells secrets by lengths (CRIME). Renegotiation costs a server more than its
        // client, and HTTP/2 forbids it (RFC 9113 §9.2.1).
        SSL_CTX_set_options(context, COPENSSL_NO_COMPRESSION | COPENSSL_NO_RENEGOTIATION)
        // The chain is what the file says; and buffers only while bytes move.
        copenssl_ctx_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN))
        // One call to the socket for all records that are there and fit.
        copenssl_ctx_set_read_ahead(context)
    }
}
