import SluiceSDK

/// Why a message is no answer to a question.
enum DNSFault: Error, Equatable {
    /// It belongs to something else, or is forged: the answer may still come.
    case foreign
    /// It breaks a rule of the protocol; what it says.
    case malformed(Flaw)

    /// What is wrong with a message.
    enum Flaw: Equatable {
        case short
        case label
        case pointer
        case nameLength
        case length
        case trailing
        case edns
        case truncatedStream

        /// For a log.
        var text: StaticString {
            switch self {
            case .short: "it ends in the middle of a record"
            case .label: "a label of a reserved kind"
            case .pointer: "a pointer that does not lead back"
            case .nameLength: "a name of more than 255 bytes"
            case .length: "a record whose length is not that of its data"
            case .trailing: "bytes behind the last record"
            case .edns: "an OPT record that is misplaced"
            case .truncatedStream: "it is truncated, though it came by TCP"
            }
        }
    }
}

/// Reads a message from a server, which is trusted in nothing: every length is checked.
struct DNSReader {
    let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func byte() throws(DNSFault) -> UInt8 {
        guard offset < bytes.count else { throw .malformed(.short) }
        offset += 1
        return bytes[offset - 1]
    }

    mutating func word() throws(DNSFault) -> UInt16 {
        let high = try byte()
        return UInt16(high) << 8 | UInt16(try byte())
    }

    mutating func longWord() throws(DNSFault) -> UInt32 {
        let high = try word()
        return UInt32(high) << 16 | UInt32(try word())
    }

    mutating func quadWord() throws(DNSFault) -> UInt64 {
        let high = try longWord()
        return UInt64(high) << 32 | UInt64(try longWord())
    }

    mutating func skip(_ count: Int) throws(DNSFault) {
        guard count <= bytes.count - offset else { throw .malformed(.short) }
        offset += count
    }

    /// A name, perhaps compressed (RFC 1035 §4.1.4).
    ///
    /// A pointer must lead to before the piece that it ends, so names end: there are no loops.
    mutating func name() throws(DNSFault) -> DomainName {
        var labels: [[UInt8]] = []
        var length = 1
        var place = offset
        var pieceStart = offset
        var end: Int?
        while true {
            guard place < bytes.count else { throw .malformed(.short) }
            let count = Int(bytes[place])
            place += 1
            if count == 0 { break }
            if count >= 0xC0 {
                guard place < bytes.count else { throw .malformed(.short) }
                let target = (count & 0x3F) << 8 | Int(bytes[place])
                if end == nil { end = place + 1 }
                guard target < pieceStart else { throw .malformed(.pointer) }
                place = target
                pieceStart = target
                continue
            }
            guard count <= DomainName.labelBytesMax else { throw .malformed(.label) }
            guard count <= bytes.count - place else { throw .malformed(.short) }
            length += count + 1
            guard length <= DomainName.bytesMax else { throw .malformed(.nameLength) }
            labels.append(Array(bytes[place..<(place + count)]))
            place += count
        }
        offset = end ?? place
        guard let name = DomainName(labels: labels) else { throw .malformed(.nameLength) }
        return name
    }

    /// A record of any section; nil when it is of no use here.
    ///
    /// What is of another class or type is passed over by its length.
    mutating func record() throws(DNSFault) -> DNSEntry {
        let name = try name()
        let type = try word()
        let kind = try word()
        let time = try longWord()
        let length = Int(try word())
        guard length <= bytes.count - offset else { throw .malformed(.short) }
        let end = offset + length
        if type == RecordType.opt {
            // The root is its name, and the upper bits of the code are in its time (RFC 6891 §6.1).
            guard name == .root else { throw .malformed(.edns) }
            try skip(length)
            return .options(codeHigh: Int(time >> 24))
        }
        guard kind == 1, let content = try content(of: type, length) else {
            offset = end
            return .other
        }
        guard offset == end else { throw .malformed(.length) }
        // A time with the highest bit set counts as 0 (RFC 2181 §8).
        let record = DNSRecord(
            name: name,
            type: type,
            timeToLive: time >> 31 == 0 ? time : 0,
            content: content
        )
        return .record(record)
    }

    private mutating func content(
        of type: UInt16,
        _ length: Int
    ) throws(DNSFault) -> DNSRecord.Content? {
        switch type {
        case RecordType.a:
            guard length == 4 else { throw .malformed(.length) }
            return .address(IPAddress(v4: try longWord()))
        case RecordType.aaaa:
            guard length == 16 else { throw .malformed(.length) }
            let high = try quadWord()
            return .address(IPAddress(high: high, low: try quadWord()))
        case RecordType.cname:
            return .alias(try name())
        case RecordType.srv:
            let priority = try word()
            let weight = try word()
            let port = try word()
            let target = try name()
            return .service(
                ServiceRecord(priority: priority, weight: weight, port: port, target: target)
            )
        case RecordType.soa:
            _ = try name()
            _ = try name()
            try skip(16)
            return .zone(minimum: try longWord())
        default:
            return nil
        }
    }
}

/// What stands at one place of a section.
enum DNSEntry: Equatable {
    case record(DNSRecord)
    /// EDNS: the upper bits of the answer's code.
    case options(codeHigh: Int)
    /// Nothing of use.
    case other
}
