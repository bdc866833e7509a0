public import CSluice

/// The key of a number that plugins leave for those behind them, by a name as "vendor.name".
public struct NumberAttribute: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline let key: UInt32
}

/// The key of bytes that plugins leave for those behind them, by a name as "vendor.name".
public struct BytesAttribute: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline let key: UInt32
}

extension Host {
    /// The key of a number; ask for it once, in `init`.
    ///
    /// - Parameter name: "vendor.name", up to 64 bytes; the same key for all plugins that ask.
    /// - Throws: when the attribute is not a number for another plugin, or there are 256 already.
    public func numberAttribute(_ name: Bytes) throws(PluginError) -> NumberAttribute {
        NumberAttribute(key: try attribute(name, UInt32(SLUICE_ATTR_U64)))
    }

    /// The key of bytes; as `numberAttribute`.
    ///
    /// - Throws: when the attribute is not bytes for another plugin, or there are 256 already.
    public func bytesAttribute(_ name: Bytes) throws(PluginError) -> BytesAttribute {
        BytesAttribute(key: try attribute(name, UInt32(SLUICE_ATTR_BYTES)))
    }

    private func attribute(_ name: Bytes, _ type: UInt32) throws(PluginError) -> UInt32 {
        guard let services else { return 0 }
        var key: UInt32 = 0
        let core = services.pointee.core
        let result = core.pointee.attr_key(services.pointee.handle, name.slice, type, &key)
        switch result {
        case Int32(SLUICE_OK): return key
        case Int32(SLUICE_ENOMEM): throw PluginError("too many attributes: \(String(name))")
        default: throw PluginError("attribute \(String(name)): no name, or of another type already")
        }
    }
}

extension Exchange where Owner: ~Copyable {
    /// The number that was set last; nil when none was, or the host has no attributes.
    @inlinable
    public func attribute(_ attribute: NumberAttribute) -> UInt64? {
        guard let http = services.pointee.http else { return nil }
        var value: UInt64 = 0
        return http.pointee.attr_get_u64(request, attribute.key, &value) == 0 ? value : nil
    }

    /// The bytes that were set last; nil when none were, or the host has no attributes.
    ///
    /// Valid until they are set again, at most to the end of the request.
    @inlinable
    public func attribute(_ attribute: BytesAttribute) -> Bytes? {
        guard let http = services.pointee.http else { return nil }
        var value = sluice_slice()
        guard http.pointee.attr_get_bytes(request, attribute.key, &value) == 0 else { return nil }
        return Bytes(value)
    }

    /// Leaves a number for plugins that come later.
    ///
    /// It stays when the hook fails.
    ///
    /// - Returns: whether it was set. When there was no room the hook's verdict becomes an error;
    ///   where the host has no attributes it does not.
    @inlinable
    @discardableResult
    public func setAttribute(_ attribute: NumberAttribute, _ value: UInt64) -> Bool {
        guard let http = services.pointee.http else { return false }
        return taken(http.pointee.attr_set_u64(request, attribute.key, value))
    }

    /// Leaves a copy of bytes, up to 4,096 of them, for plugins that come later; as for a number.
    ///
    /// - Returns: whether they were set.
    @inlinable
    @discardableResult
    public func setAttribute(_ attribute: BytesAttribute, _ value: Bytes) -> Bool {
        guard let http = services.pointee.http else { return false }
        return taken(http.pointee.attr_set_bytes(request, attribute.key, value.slice))
    }

    /// Sets what the balancer hashes, in place of what the manifest says; in `requestHeaders`.
    ///
    /// - Parameter key: copied, up to 4,096 bytes.
    /// - Throws: `unsupported` after a peer was picked, or where the host does not offer it.
    @inlinable
    public func setHashKey(_ key: Bytes) throws(ServiceError) {
        guard let http = services.pointee.http else { throw .unsupported }
        try ServiceError.check(http.pointee.set_hash_key(request, key.slice))
    }

    @inlinable
    func taken(_ result: Int32) -> Bool {
        if result == 0 { return true }
        if failure.pointee == 0 { failure.pointee = FailureCode.badAttribute.rawValue }
        return false
    }
}
