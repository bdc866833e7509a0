public import CSluice

/// The list of changes that a hook asks for.
///
/// The host checks and applies them, in order, after the hook returned without an error; until then
/// the message is as it was.
///
/// Names and values must stay valid until the hook returned, and are copied then. When the list is
/// full, the change is dropped and the hook's verdict becomes an error, so nobody has to check; the
/// result says so for those who want to know.
public struct Edits {
    @usableFromInline let edits: UnsafeMutablePointer<sluice_edits>?
    @usableFromInline let failure: UnsafeMutablePointer<UInt32>

    /// A list of the host's, and where to note that it was full.
    ///
    /// No list counts as a full one.
    @inlinable
    public init(
        _ edits: UnsafeMutablePointer<sluice_edits>?,
        failure: UnsafeMutablePointer<UInt32>
    ) {
        self.edits = edits
        self.failure = failure
    }

    /// Removes all fields of this name, then appends one.
    @inlinable
    @discardableResult
    public func set(_ id: FieldID, _ value: Bytes) -> Bool {
        add(SLUICE_EDIT_SET, id, .empty, value)
    }

    /// Removes all fields of this name, then appends one.
    @inlinable
    @discardableResult
    public func set(_ name: FieldName, _ value: Bytes) -> Bool {
        add(SLUICE_EDIT_SET, name.id, name.name, value)
    }

    /// Appends a field and leaves those of the same name.
    @inlinable
    @discardableResult
    public func append(_ id: FieldID, _ value: Bytes) -> Bool {
        add(SLUICE_EDIT_APPEND, id, .empty, value)
    }

    /// Appends a field and leaves those of the same name.
    @inlinable
    @discardableResult
    public func append(_ name: FieldName, _ value: Bytes) -> Bool {
        add(SLUICE_EDIT_APPEND, name.id, name.name, value)
    }

    /// Appends a field only when there is none of this name.
    @inlinable
    @discardableResult
    public func addIfAbsent(_ name: FieldName, _ value: Bytes) -> Bool {
        add(SLUICE_EDIT_ADD_IF_ABSENT, name.id, name.name, value)
    }

    /// Removes all fields of this name.
    @inlinable
    @discardableResult
    public func remove(_ id: FieldID) -> Bool {
        add(SLUICE_EDIT_REMOVE, id, .empty, .empty)
    }

    /// Removes all fields of this name.
    @inlinable
    @discardableResult
    public func remove(_ name: FieldName) -> Bool {
        add(SLUICE_EDIT_REMOVE, name.id, name.name, .empty)
    }

    /// Removes all fields whose name begins so.
    @inlinable
    @discardableResult
    public func removeAll(withPrefix prefix: Bytes) -> Bool {
        add(SLUICE_EDIT_REMOVE_PREFIX, .unknown, prefix, .empty)
    }

    /// Changes the method, a token.
    @inlinable
    @discardableResult
    public func setMethod(_ method: Bytes) -> Bool {
        add(SLUICE_EDIT_SET_METHOD, .unknown, .empty, method)
    }

    /// Changes path and query, which begin with "/".
    @inlinable
    @discardableResult
    public func setTarget(_ target: Bytes) -> Bool {
        add(SLUICE_EDIT_SET_PATH, .unknown, .empty, target)
    }

    /// Changes host and port, and with them the Host field.
    @inlinable
    @discardableResult
    public func setAuthority(_ authority: Bytes) -> Bool {
        add(SLUICE_EDIT_SET_AUTHORITY, .unknown, .empty, authority)
    }

    /// Changes the status of a response, 200 to 599.
    @inlinable
    @discardableResult
    public func setStatus(_ status: Int) -> Bool {
        add(SLUICE_EDIT_SET_STATUS, FieldID(rawValue: UInt16(status)), .empty, .empty)
    }

    @inlinable
    func add(_ op: some BinaryInteger, _ id: FieldID, _ name: Bytes, _ value: Bytes) -> Bool {
        guard let edits, edits.pointee.count < edits.pointee.capacity else {
            failure.pointee = FailureCode.editsFull.rawValue
            return false
        }
        // Safe: the host gives room for `capacity` edits, and `count` is below it.
        let index = Int(edits.pointee.count)
        edits.pointee.ops[index] = sluice_edit(
            op: UInt32(truncatingIfNeeded: op),
            id: UInt32(id.rawValue),
            name: name.slice,
            value: value.slice
        )
        edits.pointee.count &+= 1
        return true
    }
}

/// Why a hook failed, for the host's log.
///
/// Numbers from 1,000 on are the plugin's own.
public struct FailureCode: RawRepresentable, Equatable, Sendable {
    /// The number, not 0.
    public let rawValue: UInt32

    /// Takes the number as it is.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// More edits than the host has room for.
    @inlinable public static var editsFull: FailureCode { FailureCode(rawValue: 1) }
    /// The request's memory is used up.
    @inlinable public static var outOfMemory: FailureCode { FailureCode(rawValue: 2) }
    /// A writer had less room than it was asked to write.
    @inlinable public static var writerFull: FailureCode { FailureCode(rawValue: 3) }
    /// The phase does not take a reply.
    @inlinable public static var noReply: FailureCode { FailureCode(rawValue: 4) }
    /// The phase has no body.
    @inlinable public static var noBody: FailureCode { FailureCode(rawValue: 5) }
    /// A range outside of the chunk was passed on, or more was consumed than there is.
    @inlinable public static var badRange: FailureCode { FailureCode(rawValue: 6) }
    /// An attribute found no room, or is of another type than its key.
    @inlinable public static var badAttribute: FailureCode { FailureCode(rawValue: 7) }
}
