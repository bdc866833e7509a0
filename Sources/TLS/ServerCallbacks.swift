internal import COpenSSL

/// What OpenSSL asks during a server's handshake.
enum ServerCallbacks {
    static func install(in context: OpaquePointer, logsKeys: Bool) {
        copenssl_ctx_set_servername(context, chooseCertificate, nil)
        copenssl_ctx_set_status(context, staple, nil)
        SSL_CTX_set_alpn_select_cb(context, chooseProtocol, nil)
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticketKey)
        if logsKeys { SSL_CTX_set_keylog_callback(context, logKey) }
    }

    /// By the host that the client names; the first context stays when no other has it.
    private static let chooseCertificate:
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?, UnsafeMutableRawPointer?) ->
            Int32 = { ssl, _, _ in
                guard let ssl, let host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else {
                    return SSL_TLSEXT_ERR_NOACK
                }
                if let context = ServerGeneration.of(ssl)?.context(for: host) {
                    SSL_set_SSL_CTX(ssl, context)
                    return SSL_TLSEXT_ERR_OK
                }
                return SSL_TLSEXT_ERR_NOACK
            }

    /// The first of the listener's protocols that the client knows; none ends the handshake
    /// (RFC 7301 §3.2).
    private static let chooseProtocol:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
            UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
        ) -> Int32 = { ssl, chosen, chosenCount, offered, offeredCount, _ in
            guard let ssl, let chosen, let chosenCount, let offered,
                let own = ServerGeneration.of(ssl)?.protocols
            else { return SSL_TLSEXT_ERR_ALERT_FATAL }
            let all = UnsafeBufferPointer(start: offered, count: Int(offeredCount))
            var ownAt = 0
            while ownAt < own.count {
                let end = ownAt + 1 + Int(own[ownAt])
                var at = 0
                // OpenSSL has checked the lengths; the bounds hold without that.
                while at < all.count {
                    let next = at + 1 + Int(all[at])
                    guard next <= all.count else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                    if all[at..<next].elementsEqual(own[ownAt..<end]) {
                        chosen.pointee = offered + at + 1
                        chosenCount.pointee = all[at]
                        return SSL_TLSEXT_ERR_OK
                    }
                    at = next
                }
                ownAt = end
            }
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }

    /// The OCSP response of the certificate that was chosen.
    private static let staple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 =
        { ssl, _ in
            guard let ssl, let certificate = SSL_get_certificate(ssl),
                let response = ServerGeneration.of(ssl)?.response(for: certificate),
                let copy = copenssl_allocate(response.count)
            else { return SSL_TLSEXT_ERR_NOACK }
            // Safe: as many bytes as were just allocated.
            response.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(start: copy, count: $0.count).copyMemory(from: $0)
            }
            guard copenssl_set_status_response(ssl, copy, response.count) == 1 else {
                return SSL_TLSEXT_ERR_NOACK
            }
            return SSL_TLSEXT_ERR_OK
        }

    private static let ticketKey:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?,
            OpaquePointer?, OpaquePointer?, Int32
        ) -> Int32 = { ssl, name, vector, cipher, mac, encrypts in
            guard let ssl, let name, let vector, let cipher, let mac,
                let keys = ServerGeneration.of(ssl)?.tickets
            else { return TicketKeys.Answer.failed.rawValue }
            let answer =
                encrypts == 1
                ? keys.encrypt(name: name, vector: vector, cipher, mac)
                : keys.decrypt(name: name, vector: vector, cipher, mac)
            return answer.rawValue
        }

    private static let logKey: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?) -> Void = {
        ssl,
        line in
        guard let ssl, let line else { return }
        ServerGeneration.of(ssl)?.keyLog?.write(line)
    }
}
