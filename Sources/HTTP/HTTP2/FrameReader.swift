/// Where the reading of frames stands.
struct FrameReader {
    enum Phase: UInt8 {
        /// A server's: the client's preface (RFC 9113 §3.4).
        case preface
        case header
        /// Gathering a payload that is handled whole.
        case payload
        /// The first byte of a padded DATA frame.
        case padLength
        /// Content, passed on as it comes.
        case data
        /// Bytes that are dropped: padding, unknown frames, content of closed streams.
        case skip
    }

    var phase = Phase.header
    /// The frame being read.
    var frame = FrameHeader(front: 0, stream: 0)
    /// Bytes of the payload to gather.
    var wanted = 0
    /// Bytes of it that are gathered.
    var have = 0
    /// Bytes of content still to come in `.data`, to drop in `.skip`.
    var remaining = 0
    /// Bytes of padding behind the content.
    var padding = 0

    // A header block that CONTINUATION frames go on with.

    /// Its stream; 0 when there is none.
    var blockStream: UInt32 = 0
    var blockCount = 0
    var blockEndsStream = false
    /// The stream was said to depend on itself (RFC 7540 §5.3.1).
    var blockDependsOnItself = false
    var continuations = 0
    var emptyFragments = 0

    // Part of a frame's header, or the part of the preface that came.
    private var headerHave = 0
    private var front: UInt64 = 0
    private var stream: UInt32 = 0
    var prefaceHave = 0

    /// Part of a frame's header has come.
    var isInHeader: Bool { headerHave > 0 }

    /// Reads the nine bytes of a frame header; false when more input is needed.
    ///
    /// Safe: reads `bytes[consumed..<count]` only.
    mutating func readHeader(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ consumed: inout Int
    ) -> Bool {
        if headerHave == 0, count &- consumed >= FrameHeader.byteCount {
            frame = FrameHeader(bytes + consumed)
            consumed &+= FrameHeader.byteCount
            return true
        }
        while headerHave < FrameHeader.byteCount {
            guard consumed < count else { return false }
            if headerHave < 5 {
                front = front &<< 8 | UInt64(bytes[consumed])
            } else {
                stream = stream &<< 8 | UInt32(bytes[consumed])
            }
            headerHave &+= 1
            consumed &+= 1
        }
        frame = FrameHeader(front: front, stream: stream)
        headerHave = 0
        front = 0
        stream = 0
        return true
    }

    /// Drops the next `count` bytes.
    mutating func skip(_ count: Int) {
        remaining = count
        phase = .skip
    }

    /// Gathers the next `count` bytes.
    mutating func gather(_ count: Int) {
        wanted = count
        have = 0
        phase = .payload
    }
}

extension H2Connection {
    /// What a client sends first (RFC 9113 §3.4).
    static var preface: StaticString { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }

    /// Compares input with the preface; false when it differs (then a failure is pending) or more
    /// is needed.
    mutating func readPreface(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ consumed: inout Int
    ) -> Bool {
        let preface = Self.preface
        while reader.prefaceHave < preface.utf8CodeUnitCount {
            guard consumed < count else { return false }
            guard bytes[consumed] == preface.utf8Start[reader.prefaceHave] else {
                pendingFailure = H2Failure(.protocolError, "no HTTP/2 connection preface")
                return false
            }
            reader.prefaceHave &+= 1
            consumed &+= 1
        }
        reader.phase = .header
        return true
    }

    /// The whole payload of the frame, in the input or gathered; nil when more is needed.
    ///
    /// It is valid until the next call of `next`. The fragments of a header block in several frames
    /// are gathered one behind the other.
    ///
    /// Safe: reads `bytes[consumed..<count]` only.
    mutating func readPayload(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ consumed: inout Int
    ) -> UnsafePointer<UInt8>? {
        let available = count &- consumed
        if reader.have == 0, reader.blockStream == 0, available >= reader.wanted {
            consumed &+= reader.wanted
            return bytes + (consumed &- reader.wanted)
        }
        let part = min(reader.wanted &- reader.have, available)
        gathered.append(bytes + consumed, part)
        consumed &+= part
        reader.have &+= part
        guard reader.have == reader.wanted else { return nil }
        // An empty block has no bytes to point to, but an address all the same.
        guard let start = gathered.bytes else { return bytes }
        return UnsafePointer(start + (gathered.count &- reader.wanted))
    }
}
