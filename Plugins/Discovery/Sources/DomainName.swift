/// A domain name as it goes over the wire: labels with their lengths, in small letters, up to the
/// root (RFC 1035 §3.1).
struct DomainName: Equatable {
    /// Bytes of a name with all lengths and the root (RFC 1035 §2.3.4).
    static let bytesMax = 255
    /// Bytes of a label (RFC 1035 §2.3.4).
    static let labelBytesMax = 63

    /// Lengths and labels; ends with 0.
    let wire: [UInt8]

    /// The root.
    static let root = DomainName(wire: [0])

    private init(wire: [UInt8]) { self.wire = wire }

    /// Labels that a message has, in any case; the root is added.
    ///
    /// Nil when a label is empty or too long, or the whole is.
    init?(labels: [[UInt8]]) {
        var wire: [UInt8] = []
        for label in labels {
            guard !label.isEmpty, label.count <= Self.labelBytesMax else { return nil }
            wire.append(UInt8(label.count))
            for byte in label { wire.append(Self.small(byte)) }
        }
        wire.append(0)
        guard wire.count <= Self.bytesMax else { return nil }
        self.wire = wire
    }

    /// Reads "app.example" or "_http._tcp.app.example."; the dot at the end says nothing here.
    ///
    /// Nil for anything but labels of letters, digits, "-" and "_".
    init?(text: [UInt8]) {
        var labels: [[UInt8]] = [[]]
        for byte in text {
            if byte == 0x2E {
                labels.append([])
            } else {
                let small = Self.small(byte)
                let isLetter = small &- 0x61 < 26
                let isDigit = byte &- 0x30 < 10
                guard isLetter || isDigit || byte == 0x2D || byte == 0x5F else { return nil }
                labels[labels.count - 1].append(byte)
            }
        }
        if labels.count > 1, labels[labels.count - 1].isEmpty { labels.removeLast() }
        self.init(labels: labels)
    }

    /// This name below another one; nil when that is too long.
    func below(_ suffix: DomainName) -> DomainName? {
        let joined = Array(wire.dropLast()) + suffix.wire
        return joined.count <= Self.bytesMax ? DomainName(wire: joined) : nil
    }

    /// "app.example", with `?` for bytes that have no place in a log; "." for the root.
    var text: String {
        var text: [UInt8] = []
        var offset = 0
        while offset < wire.count, wire[offset] != 0 {
            let length = Int(wire[offset])
            if !text.isEmpty { text.append(0x2E) }
            for byte in wire[(offset + 1)...(offset + length)] {
                text.append(byte > 0x20 && byte < 0x7F && byte != 0x2E ? byte : 0x3F)
            }
            offset += length + 1
        }
        return text.isEmpty ? "." : String(decoding: text, as: UTF8.self)
    }

    private static func small(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}
