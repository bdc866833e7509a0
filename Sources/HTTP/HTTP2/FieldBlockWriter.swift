extension FieldBlock {
    /// Writes one header block: of a response, a request or a trailer section.
    ///
    /// It begins with the pseudo-fields of its kind, and takes the other fields one by one. Names
    /// may have any case, and go out in lower case. Fields that belong to a connection of HTTP/1.1
    /// are left out (RFC 9113 §8.2.2).
    ///
    /// What was written has changed the encoder's table, so a block must be sent, whatever becomes
    /// of its stream. With `writeRoom` there is always room; where `hasOverflowed` is set all the
    /// same, the connection has to end.
    ///
    /// Safe: nothing is written at or after `room`, and `out` has that much.
    public struct Writer {
        /// Bytes of the block so far.
        public private(set) var count = 0
        /// A field did not fit and was left out.
        public private(set) var hasOverflowed = false

        private let out: UnsafeMutablePointer<UInt8>
        private let room: Int
        /// For the name twice, the digits and where they are made.
        private static let statusRoom =
            2 * 7 + 3 + HPACKEncoder.fieldOverheadBytes + HeadWriter.decimalBytesMax
        private let section: FieldBlockRules.Section

        private init(
            _ section: FieldBlockRules.Section,
            to out: UnsafeMutablePointer<UInt8>,
            room: Int,
            encoder: inout HPACKEncoder
        ) {
            self.out = out
            self.room = room
            self.section = section
            if room < HPACKEncoder.updateBytesMax {
                hasOverflowed = true
            } else {
                count = encoder.begin(to: out)
            }
        }

        /// Begins a response, interim ones included.
        ///
        /// - Parameter status: 100 to 999, and not 101 (RFC 9113 §8.6).
        public init(
            status: UInt16,
            to out: UnsafeMutablePointer<UInt8>,
            room: Int,
            encoder: inout HPACKEncoder
        ) {
            precondition((100...999).contains(status) && status != 101, "status \(status)")
            self.init(.response, to: out, room: room, encoder: &encoder)
            guard !hasOverflowed, Writer.statusRoom <= room &- count else {
                hasOverflowed = true
                return
            }
            // The digits stand behind what the field takes.
            let digits = out + (room &- HeadWriter.decimalBytesMax)
            let length = HeadWriter.writeDecimal(UInt64(status), to: digits)
            pseudo(.pseudoStatus, UnsafePointer(digits), length, &encoder)
        }

        /// Begins a request (RFC 9113 §8.3.1).
        ///
        /// CONNECT without a protocol has neither scheme nor path (§8.5). An empty path becomes
        /// `/`, or `*` for OPTIONS.
        public init(
            _ target: Target,
            to out: UnsafeMutablePointer<UInt8>,
            room: Int,
            encoder: inout HPACKEncoder
        ) {
            self.init(.request, to: out, room: room, encoder: &encoder)
            pseudo(.pseudoMethod, target.method, target.methodCount, &encoder)
            if let name = target.upgrade {
                pseudo(.pseudoProtocol, name.utf8Start, name.utf8CodeUnitCount, &encoder)
            }
            if !target.isTunnel {
                let scheme: StaticString = target.isSecure ? "https" : "http"
                pseudo(.pseudoScheme, scheme.utf8Start, scheme.utf8CodeUnitCount, &encoder)
                if target.pathCount > 0 {
                    pseudo(.pseudoPath, target.path, target.pathCount, &encoder)
                } else {
                    let path: StaticString = target.isOptions ? "*" : "/"
                    pseudo(.pseudoPath, path.utf8Start, 1, &encoder)
                }
            }
            if target.authorityCount > 0 {
                pseudo(.pseudoAuthority, target.authority, target.authorityCount, &encoder)
            }
        }

        /// Begins a trailer section, of either side.
        public init(
            trailersTo out: UnsafeMutablePointer<UInt8>,
            room: Int,
            encoder: inout HPACKEncoder
        ) {
            self.init(.trailers, to: out, room: room, encoder: &encoder)
        }

        /// Adds a field.
        ///
        /// Left out are Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding and Upgrade; TE
        /// but for `trailers` in a request; and Host of a request, whose place `:authority` has.
        ///
        /// Safe: the name is a token and the value a field value, as `HeadParser` lets them
        /// through; `id` is the name's.
        public mutating func field(
            _ id: FieldID,
            _ name: UnsafePointer<UInt8>,
            _ nameCount: Int,
            _ value: UnsafePointer<UInt8>,
            _ valueCount: Int,
            isNeverIndexed: Bool = false,
            encoder: inout HPACKEncoder
        ) {
            guard isSent(id, value, valueCount) else { return }
            // The name in lower case stands behind what the field may take.
            let start = count &+ nameCount &+ valueCount &+ HPACKEncoder.fieldOverheadBytes
            guard start &+ nameCount <= room else {
                hasOverflowed = true
                return
            }
            var field = HPACKField(
                id: id,
                name: name,
                nameCount: nameCount,
                value: value,
                valueCount: valueCount,
                isNeverIndexed: isNeverIndexed
            )
            if id != .unknown {
                field.name = FieldNames.lowercaseName(id).0
            } else if !FieldBlockRules.isLowercase(name, count: nameCount) {
                for index in 0..<nameCount {
                    let byte = name[index]
                    out[start &+ index] = byte &- 0x41 < 26 ? byte | 0x20 : byte
                }
                field.name = UnsafePointer(out) + start
            }
            count &+= encoder.encode(field, to: out + count)
        }

        /// Adds the fields of a parsed head that are not dropped.
        ///
        /// Safe: as `HeadWriter.copyFields`.
        public mutating func copyFields(
            _ base: UnsafePointer<UInt8>,
            _ fields: UnsafePointer<FieldSpan>,
            count: Int,
            encoder: inout HPACKEncoder
        ) {
            for index in 0..<count where fields[index].flags & FieldSpan.dropped == 0 {
                let span = fields[index]
                field(
                    span.id,
                    base + Int(span.nameStart),
                    Int(span.nameLength),
                    base + Int(span.valueStart),
                    Int(span.valueLength),
                    isNeverIndexed: span.flags & FieldSpan.neverIndexed != 0,
                    encoder: &encoder
                )
            }
        }

        private func isSent(
            _ id: FieldID,
            _ value: UnsafePointer<UInt8>,
            _ valueCount: Int
        ) -> Bool {
            switch id {
            case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
                return false
            case .te:
                return section == .request
                    && FieldNames.equals(value, count: valueCount, "trailers")
            case .host: return section != .request
            default: return true
            }
        }

        private mutating func pseudo(
            _ id: FieldID,
            _ value: UnsafePointer<UInt8>,
            _ valueCount: Int,
            _ encoder: inout HPACKEncoder
        ) {
            let (name, nameCount) = FieldNames.lowercaseName(id)
            field(id, name, nameCount, value, valueCount, encoder: &encoder)
        }
    }

    /// Room that a block needs at most.
    ///
    /// - Parameters:
    ///   - headBytes: bytes of the names and values, those of the pseudo-fields included.
    ///   - fieldCount: fields besides the pseudo-fields.
    @inlinable
    public static func writeRoom(headBytes: Int, fieldCount: Int) -> Int {
        // Twice for a name that has to be written in lower case; five pseudo-fields, whose names
        // have 42 bytes together.
        2 &* headBytes &+ (fieldCount &+ 5) &* HPACKEncoder.fieldOverheadBytes &+ 84
            &+ HPACKEncoder.updateBytesMax &+ HeadWriter.decimalBytesMax
    }

    /// What the pseudo-fields of a request are made of.
    ///
    /// Safe: the bytes are valid while the call lasts that takes them.
    public struct Target {
        public var method: UnsafePointer<UInt8>
        public var methodCount: Int
        /// The upstream connection is one with TLS: `:scheme` is `https`, else `http`.
        public var isSecure: Bool
        /// Host and port; none where the count is 0.
        public var authority: UnsafePointer<UInt8>
        public var authorityCount: Int
        /// Path and query.
        public var path: UnsafePointer<UInt8>
        public var pathCount: Int
        /// `:protocol` of an extended CONNECT (RFC 8441 §4); `method` is CONNECT then.
        public var upgrade: StaticString?

        @inlinable
        public init(
            method: UnsafePointer<UInt8>,
            methodCount: Int,
            isSecure: Bool,
            authority: UnsafePointer<UInt8>,
            authorityCount: Int,
            path: UnsafePointer<UInt8>,
            pathCount: Int,
            upgrade: StaticString? = nil
        ) {
            self.method = method
            self.methodCount = methodCount
            self.isSecure = isSecure
            self.authority = authority
            self.authorityCount = authorityCount
            self.path = path
            self.pathCount = pathCount
            self.upgrade = upgrade
        }

        fileprivate var isTunnel: Bool { upgrade == nil && isMethod("CONNECT") }
        fileprivate var isOptions: Bool { isMethod("OPTIONS") }

        private func isMethod(_ text: StaticString) -> Bool {
            guard methodCount == text.utf8CodeUnitCount else { return false }
            for index in 0..<methodCount where method[index] != text.utf8Start[index] {
                return false
            }
            return true
        }
    }
}
