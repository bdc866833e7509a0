internal import COpenSSL

/// What one load of a listener's files gave: a context for each set of certificates, and the names
/// that choose among them.
///
/// The context of the first set owns it: it lives as long as a connection that began with it.
/// Nothing in it changes once it is made.
final class ServerGeneration: @unchecked Sendable {
    // Safe: filled by one thread before it is published, only read afterwards.

    /// Certificates of different kinds of key that serve the same names, and their context.
    private struct Choice {
        var identities: [Int]
        var context: OpaquePointer
    }

    private let identities: [Identity]
    private var choices: [Choice] = []
    /// Index of the choice, by host.
    private var exact: [String: Int] = [:]
    /// The same, by what stands behind the first label, with its dot: ".example.com".
    private var wildcards: [String: Int] = [:]
    let tickets: TicketKeys
    let keyLog: KeyLog?
    /// The protocols of the listener, in its order, as ALPN has them.
    let protocols: [UInt8]

    init(_ identities: [Identity], _ tickets: TicketKeys, _ keyLog: KeyLog?, _ protocols: [UInt8]) {
        self.identities = identities
        self.tickets = tickets
        self.keyLog = keyLog
        self.protocols = protocols
    }

    deinit {
        // The first one is whose end this is.
        for choice in choices.dropFirst() { SSL_CTX_free(choice.context) }
    }

    // MARK: Choosing

    /// Gives each name its certificates, the first of the manifest for each kind of key.
    ///
    /// The first certificate's choice is the default.
    ///
    /// - Parameter make: a context for the certificates at these indexes; nil when there is none.
    /// - Returns: the default's context; nil when one could not be made.
    func assignNames(_ make: ([Int]) -> OpaquePointer?) -> OpaquePointer? {
        var byName: [String: [Int]] = [:]
        var order: [String] = []
        for (index, identity) in identities.enumerated() {
            for name in identity.names {
                if byName[name] == nil { order.append(name) }
                let kinds = byName[name, default: []].map { identities[$0].key.kind }
                if !kinds.contains(identity.key.kind) { byName[name, default: []].append(index) }
            }
        }
        guard let first = choice(identities[0].names.first.flatMap { byName[$0] } ?? [0], make)
        else { return nil }
        for name in order {
            guard let index = choice(byName[name] ?? [], make) else {
                SSL_CTX_free(choices[first].context)
                return nil
            }
            if name.hasPrefix("*.") {
                wildcards[String(name.dropFirst())] = index
            } else {
                exact[name] = index
            }
        }
        return choices[first].context
    }

    private func choice(_ indexes: [Int], _ make: ([Int]) -> OpaquePointer?) -> Int? {
        if let known = choices.firstIndex(where: { $0.identities == indexes }) { return known }
        guard let context = make(indexes) else { return nil }
        choices.append(Choice(identities: indexes, context: context))
        return choices.count - 1
    }

    /// The context for a host; nil when no certificate has it.
    ///
    /// An exact name is preferred; a wildcard stands for one label (RFC 9525 §6.3).
    func context(for host: UnsafePointer<CChar>) -> OpaquePointer? {
        let name = String(cString: host).lowercased()
        if let index = exact[name] { return choices[index].context }
        guard !wildcards.isEmpty, let dot = name.firstIndex(of: "."), dot != name.startIndex,
            let index = wildcards[String(name[dot...])]
        else { return nil }
        return choices[index].context
    }

    /// DER of the response to staple to a certificate.
    func response(for certificate: OpaquePointer) -> [UInt8]? {
        identities.first { $0.leaf.pointer == certificate }?.ocsp?.der()
    }

    // MARK: Reaching it from OpenSSL

    /// The slot of a context's extra data that says its generation.
    private static let index: Int32 = copenssl_ctx_new_index(nil)
    /// The slot that holds it; freed with the context.
    private static let ownerIndex: Int32 = copenssl_ctx_new_index { _, value, _, _, _, _ in
        guard let value else { return }
        Unmanaged<ServerGeneration>.fromOpaque(value).release()
    }

    /// Lets a context's callbacks find this.
    func attach(to context: OpaquePointer) {
        SSL_CTX_set_ex_data(context, Self.index, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Lives from now on as long as this context.
    func own(by context: OpaquePointer) {
        SSL_CTX_set_ex_data(context, Self.ownerIndex, Unmanaged.passRetained(self).toOpaque())
    }

    /// The generation that a connection began with.
    static func of(_ ssl: OpaquePointer) -> ServerGeneration? {
        // Safe: the connection holds the first context, which holds the generation; the others of a
        // generation carry the same address.
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index).map {
            Unmanaged<ServerGeneration>.fromOpaque($0).takeUnretainedValue()
        }
    }
}
