import SluiceSDK

/// The id of one request: 128 random bits as 32 lower-case hexadecimal digits.
package struct RequestID: BitwiseCopyable {
    enum Origin: UInt8, BitwiseCopyable {
        /// The request hook did not run.
        case none = 0
        case ours = 1
        /// The request's own field is kept.
        case client = 2
    }

    // The digits; edits point here, as the context lives until the end of the request.
    var digits: (UInt64, UInt64, UInt64, UInt64)
    var origin: Origin
}

/// Which field carries the id, and whose ids are kept.
struct RequestIDSettings {
    /// Bytes of a client's id that is kept; a longer one is replaced.
    static let lengthMax = 128

    private let name: FieldName
    private let trusts: Bool
    let echoes: Bool
    private let host: Host

    /// The settings, or nil for `false`.
    static func read(
        _ configuration: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> RequestIDSettings? {
        let value = try configuration.member("request_id")
        if let value, value.isBool {
            guard try value.bool() else { return nil }
            return try RequestIDSettings(nil, host)
        }
        return try RequestIDSettings(value, host)
    }

    private init(_ value: ConfigurationValue?, _ host: Host) throws(PluginError) {
        trusts = try value?.bool("trust") ?? false
        echoes = try value?.bool("echo") ?? false
        self.host = host
        guard let header = try value?.member("header") else {
            name = FieldName(.xRequestId)
            return
        }
        name = try header.naming { () throws(PluginError) in
            try FieldName(named: header.string())
        }
    }

    /// Gives the request an id, or keeps the one that a trusted proxy gave.
    ///
    /// The id is valid until the end of the hook.
    func assign(_ exchange: borrowing Exchange<HeadersFilter>, isTrusted: Bool) -> Bytes {
        if trusts, isTrusted, let id = exchange.fields[name], isSound(id) {
            exchange.context.origin = .client
            return id
        }
        let context = exchange.contextPointer
        let (first, second) = (host.random(), host.random())
        context.pointee.digits = (
            hexadecimal(UInt32(first >> 32)), hexadecimal(UInt32(truncatingIfNeeded: first)),
            hexadecimal(UInt32(second >> 32)), hexadecimal(UInt32(truncatingIfNeeded: second))
        )
        context.pointee.origin = .ours
        let id = digits(context)
        exchange.edits.set(name, id)
        return id
    }

    /// The request's id, which is copied to the response if that is asked for.
    func echo(_ exchange: borrowing Exchange<HeadersFilter>) -> Bytes {
        let id: Bytes
        switch exchange.context.origin {
        case .none: return .empty
        case .ours: id = digits(exchange.contextPointer)
        case .client: id = exchange.requestFields[name] ?? .empty
        }
        if echoes && !id.isEmpty { exchange.edits.set(name, id) }
        return id
    }

    private func digits(_ context: UnsafeMutablePointer<RequestID>) -> Bytes {
        // Safe: the digits are the first 32 bytes of the context.
        let start = UnsafeRawPointer(context).assumingMemoryBound(to: UInt8.self)
        return Bytes(start, count: 32)
    }

    /// Whether an id can be kept: not too long, and visible characters only.
    private func isSound(_ id: Bytes) -> Bool {
        guard !id.isEmpty, id.count <= RequestIDSettings.lengthMax else { return false }
        for offset in id.indices where id[offset] <= 0x20 || id[offset] >= 0x7F { return false }
        return true
    }
}

/// Eight digits of 32 bits, the highest first in memory.
func hexadecimal(_ word: UInt32) -> UInt64 {
    // One nibble a byte, all eight at a time.
    var nibbles = UInt64(word.byteSwapped)
    nibbles = (nibbles | nibbles << 16) & 0x0000_FFFF_0000_FFFF
    nibbles = (nibbles | nibbles << 8) & 0x00FF_00FF_00FF_00FF
    nibbles = (nibbles >> 4 | nibbles << 8) & 0x0F0F_0F0F_0F0F_0F0F
    // 10 to 15 have bit 4 set after 6 is added; "a" is 39 places behind "9" + 1.
    let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 39
}
