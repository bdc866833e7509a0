/// The name of a field to edit: an id, or bytes for a field without one.
public struct FieldName: Equatable, BitwiseCopyable {
    /// The id, or `unknown`.
    public let id: FieldID
    /// The name; empty when the id says it.
    public let name: Bytes

    /// A well-known field.
    @inlinable
    public init(_ id: FieldID) {
        self.id = id
        self.name = .empty
    }

    /// A field by name, in any case.
    ///
    /// Finds its id, so this is for configuration, not for requests.
    ///
    /// - Throws: when the name is no token, or one that the host keeps to itself.
    public init(named name: Bytes) throws(PluginError) {
        try self.init(reading: name)
        if isReserved {
            throw PluginError("\(String(name)) governs the connection and is the proxy's own")
        }
    }

    /// A field that is only read, by name, in any case; as `init(named:)`, but any field.
    ///
    /// - Throws: when the name is no token.
    public init(reading name: Bytes) throws(PluginError) {
        guard name.isToken else { throw PluginError("no name of a field: \"\(String(name))\"") }
        id = FieldID(named: name)
        self.name = id == .unknown ? name : .empty
    }

    /// Whether the host refuses every edit of this field, because framing is its own.
    public var isReserved: Bool {
        switch id {
        case .connection, .contentLength, .transferEncoding, .upgrade, .keepAlive, .te, .trailer,
            .proxyConnection:
            true
        default: false
        }
    }

    /// Whether `field` has this name.
    public func matches(_ field: Field) -> Bool {
        id == .unknown ? field.name.equalsIgnoringCase(name) : field.id == id
    }
}
