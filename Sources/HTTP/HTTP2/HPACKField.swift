/// One field as HPACK carries it: a name and a value.
///
/// The encoder takes names in lower case. The decoder hands over what came: that a name is in lower
/// case, and that both hold no forbidden bytes, is for the reader of the block to check.
///
/// Safe: the bytes are valid while the call lasts that hands the field over.
public struct HPACKField: BitwiseCopyable {
    public var name: UnsafePointer<UInt8>
    public var nameCount: Int
    public var value: UnsafePointer<UInt8>
    public var valueCount: Int
    /// The id of the name, pseudo-fields included; `unknown` where it has none.
    public var id: FieldID
    /// The sender has asked that no hop ever puts the field into a table (RFC 7541 §6.2.3).
    public var isNeverIndexed: Bool

    @inlinable
    public init(
        id: FieldID,
        name: UnsafePointer<UInt8>,
        nameCount: Int,
        value: UnsafePointer<UInt8>,
        valueCount: Int,
        isNeverIndexed: Bool = false
    ) {
        self.name = name
        self.nameCount = nameCount
        self.value = value
        self.valueCount = valueCount
        self.id = id
        self.isNeverIndexed = isNeverIndexed
    }

    /// What the field counts in a table and in a list (RFC 7541 §4.1, RFC 9113 §6.5.2), in bytes.
    @inlinable public var size: Int { nameCount &+ valueCount &+ HPACKField.overheadBytes }

    /// What each field counts beside its bytes.
    @inlinable public static var overheadBytes: Int { 32 }
}

/// Takes the fields of a block in their order.
public protocol HPACKSink {
    /// Takes one field, whose bytes do not outlive the call.
    mutating func take(_ field: HPACKField)
}

/// Why a block cannot be decoded.
///
/// Each is a connection error of type COMPRESSION_ERROR: the tables of the two sides no longer
/// agree (RFC 9113 §4.3).
public enum HPACKError: UInt8, Error, Equatable, CaseIterable, Sendable {
    case truncated
    case integerTooLong
    case badIndex
    case badHuffman
    case lateSizeUpdate
    case tooManySizeUpdates
    case sizeUpdateOverLimit
    case missingSizeUpdate

    /// One line for the log and for GOAWAY.
    public var reason: StaticString {
        switch self {
        case .truncated: "the header block ends within a field"
        case .integerTooLong: "an integer of the header block is too long"
        case .badIndex: "an index of the header block leads to no field"
        case .badHuffman: "a Huffman string of the header block is malformed"
        case .lateSizeUpdate: "a table size update stands after a field"
        case .tooManySizeUpdates: "a header block begins with too many table size updates"
        case .sizeUpdateOverLimit: "a table size update is over SETTINGS_HEADER_TABLE_SIZE"
        case .missingSizeUpdate: "the table was not made smaller as SETTINGS_HEADER_TABLE_SIZE asks"
        }
    }
}

/// What decoding a block led to.
public enum HPACKOutcome: Equatable {
    case complete
    /// A bound of `HPACKLimits` was passed: the block was decoded to its end, so the table is
    /// right, but not all of its fields were handed over.
    case tooLarge
    case invalid(HPACKError)
}

/// Bounds of one decoded block.
public struct HPACKLimits: Sendable {
    /// Bytes of all fields, each with `HPACKField.overheadBytes`: what the peer is told with
    /// SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 §6.5.2).
    public var listBytesMax: Int
    /// Fields, pseudo-fields included.
    public var fieldCountMax: Int

    @inlinable
    public init(listBytesMax: Int = 32_768, fieldCountMax: Int = 1_024) {
        self.listBytesMax = listBytesMax
        self.fieldCountMax = fieldCountMax
    }
}
