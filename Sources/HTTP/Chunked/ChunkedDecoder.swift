/// Takes the chunked coding off a body (RFC 9112 §7.1), in place and in pieces of any size.
///
/// The decoder keeps what it must know between pieces; the bytes stay the caller's. Lines are read
/// strictly, because a body whose end two readers see in different places smuggles a request: only
/// CRLF ends a line, sizes are hexadecimal digits alone, and extensions have their exact form.
/// Extensions are checked and dropped (RFC 9112 §7.1.1 lets any recipient do so).
public struct ChunkedDecoder {
    /// What a piece led to.
    public enum Outcome: Equatable {
        /// The whole piece is used; the body goes on.
        case more
        /// The body and its empty trailer section have ended.
        case done
        /// The last chunk was read and a trailer section with fields follows it.
        case trailers
        case invalid(ChunkError)
    }

    private enum State: UInt8 {
        case sizeStart, size, sizeLineFeed
        // Places in an extension; `ChunkExtension` moves among them.
        case blankAfterSize, nameStart, name, blankAfterName
        case valueStart, token, quoted, escaped, valueEnd, blankAfterValue
        case data, dataReturn, dataLineFeed
        case trailerStart, finalLineFeed
        case done, trailers, failed
    }

    /// Data bytes of the current chunk that are still to come.
    public private(set) var remainingInChunk: UInt64 = 0
    /// Bytes of extensions so far in the body.
    private var extensionBytes: UInt32 = 0
    /// Bytes of the current chunk-size line.
    private var lineBytes: UInt16 = 0
    private var digits: UInt8 = 0
    private var state = State.sizeStart
    private var error = ChunkError.badSize

    public init() {}

    /// Decodes `bytes[0..<count]`, the next piece of the body.
    ///
    /// The data in it ends up in one run of `dataCount` bytes at `dataStart`: the first chunk's
    /// data stay where they are and later ones move down to them. `consumed` tells how many bytes
    /// of the piece belong to the body: all of them on `.more`; on `.done` what follows is the next
    /// message, on `.trailers` the trailer section. On `.invalid` the data before the fault are
    /// reported. After `.done`, `.trailers` or `.invalid` a further call repeats that outcome and
    /// consumes nothing.
    ///
    /// Safe: reads and writes below `count` only; data move to lower offsets that were read before.
    public mutating func decode(
        _ bytes: UnsafeMutablePointer<UInt8>,
        count: Int,
        consumed: inout Int,
        dataStart: inout Int,
        dataCount: inout Int
    ) -> Outcome {
        dataStart = 0
        dataCount = 0
        let tables = ParserTables.shared
        var at = 0
        while at < count {
            if state == .data {
                let left = UInt64(truncatingIfNeeded: count &- at)
                let length =
                    remainingInChunk < left
                    ? Int(truncatingIfNeeded: remainingInChunk) : count &- at
                if dataCount == 0 {
                    dataStart = at
                } else if dataStart &+ dataCount != at {
                    (bytes + dataStart + dataCount).update(from: bytes + at, count: length)
                }
                dataCount &+= length
                at &+= length
                remainingInChunk &-= UInt64(truncatingIfNeeded: length)
                if remainingInChunk == 0 { state = .dataReturn }
                continue
            }
            guard step(bytes[at], tables) else { break }
            at &+= 1
        }
        consumed = at
        switch state {
        case .done: return .done
        case .trailers: return .trailers
        case .failed: return .invalid(error)
        default: return .more
        }
    }

    /// Takes one byte that is not chunk data; false when it is not used.
    private mutating func step(_ byte: UInt8, _ tables: ParserTables) -> Bool {
        switch state {
        case .sizeStart, .size:
            return sizeByte(byte, tables)
        case .dataReturn:
            return take(byte, Byte.carriageReturn, next: .dataLineFeed)
        case .dataLineFeed:
            return take(byte, Byte.lineFeed, next: .sizeStart)
        case .sizeLineFeed:
            guard take(byte, Byte.lineFeed, next: .data) else { return false }
            if remainingInChunk == 0 { state = .trailerStart }
            digits = 0
            lineBytes = 0
            return true
        case .trailerStart:
            if byte == Byte.carriageReturn {
                state = .finalLineFeed
                return true
            }
            guard byte != Byte.lineFeed else { return fail(.badLineEnd) }
            state = .trailers
            return false
        case .finalLineFeed:
            return take(byte, Byte.lineFeed, next: .done)
        case .data, .done, .trailers, .failed:
            return false
        default:
            return extensionByte(byte, tables)
        }
    }

    @inline(__always)  // One comparison a line end.
    private mutating func take(_ byte: UInt8, _ expected: UInt8, next: State) -> Bool {
        guard byte == expected else { return fail(.badLineEnd) }
        state = next
        return true
    }

    private mutating func fail(_ error: ChunkError) -> Bool {
        self.error = error
        state = .failed
        return false
    }

    /// A byte of a chunk's size or the first one after it.
    private mutating func sizeByte(_ byte: UInt8, _ tables: ParserTables) -> Bool {
        let value = tables.hexValue(byte)
        if value < 16 {
            guard digits < 16, remainingInChunk < 1 &<< 59 else { return fail(.sizeTooLarge) }
            remainingInChunk = remainingInChunk &<< 4 | UInt64(value)
            digits &+= 1
            lineBytes &+= 1
            state = .size
            return true
        }
        guard state == .size else {
            let isLineEnd = byte == Byte.lineFeed
            return fail(isLineEnd ? .badLineEnd : .badSize)
        }
        switch byte {
        case Byte.carriageReturn: state = .sizeLineFeed
        case Byte.semicolon: state = .nameStart
        case Byte.space, Byte.tab: state = .blankAfterSize
        case Byte.lineFeed: return fail(.badLineEnd)
        default: return fail(.badSize)
        }
        return byte == Byte.carriageReturn || countExtensionByte()
    }

    private mutating func countExtensionByte() -> Bool {
        lineBytes &+= 1
        extensionBytes &+= 1
        // CRLF belongs to the line and is still to come.
        guard Int(lineBytes) &+ 2 <= ChunkLimits.lineBytesMax else { return fail(.lineTooLong) }
        guard Int(extensionBytes) <= ChunkLimits.extensionBytesMax else {
            return fail(.extensionsTooLong)
        }
        return true
    }

    /// A byte after the size: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` and
    /// the line's CR (RFC 9112 §7.1.1).
    ///
    /// White space before CR is refused, as the grammar does.
    private mutating func extensionByte(_ byte: UInt8, _ tables: ParserTables) -> Bool {
        if byte == Byte.lineFeed { return fail(.badLineEnd) }
        guard let next = stateAfter(byte, isToken: tables.has(ParserTables.token, byte), tables)
        else {
            if byte == Byte.carriageReturn, state == .quoted || state == .escaped {
                return fail(.badLineEnd)
            }
            return fail(state == .blankAfterSize ? .badSize : .badExtension)
        }
        state = next
        return next == .sizeLineFeed || countExtensionByte()
    }

    private func stateAfter(_ byte: UInt8, isToken: Bool, _ tables: ParserTables) -> State? {
        let isBlank = Byte.isBlank(byte)
        switch state {
        case .blankAfterSize, .blankAfterValue:
            if isBlank { return state }
            return byte == Byte.semicolon ? .nameStart : nil
        case .nameStart:
            if isBlank { return .nameStart }
            return isToken ? .name : nil
        case .name:
            if isToken { return .name }
            if isBlank { return .blankAfterName }
            return byte == Byte.equals ? .valueStart : stateAfterExtension(byte)
        case .blankAfterName:
            if isBlank { return .blankAfterName }
            if byte == Byte.equals { return .valueStart }
            return byte == Byte.semicolon ? .nameStart : nil
        case .valueStart:
            if isBlank { return .valueStart }
            if byte == Byte.quote { return .quoted }
            return isToken ? .token : nil
        case .token:
            if isToken { return .token }
            return isBlank ? .blankAfterValue : stateAfterExtension(byte)
        case .quoted:
            if byte == Byte.quote { return .valueEnd }
            if byte == Byte.backslash { return .escaped }
            return tables.has(ParserTables.value, byte) ? .quoted : nil
        case .escaped:
            return tables.has(ParserTables.value, byte) ? .quoted : nil
        case .valueEnd:
            return isBlank ? .blankAfterValue : stateAfterExtension(byte)
        default:
            return nil
        }
    }

    private func stateAfterExtension(_ byte: UInt8) -> State? {
        switch byte {
        case Byte.semicolon: .nameStart
        case Byte.carriageReturn: .sizeLineFeed
        default: nil
        }
    }
}
