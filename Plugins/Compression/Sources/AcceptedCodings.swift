import SluiceSDK

/// What a client takes: its Accept-Encoding (RFC 9110 §12.5.3).
///
/// All zeroes is a request without the field. It would be right to send such a client anything, but
/// those that send no such field are the ones that can't decode, so it gets identity.
struct AcceptedCodings: BitwiseCopyable, Equatable {
    /// Quality in thousandths, plus one, in the order of `Coding`; 0 for what is not listed.
    private var codings: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
    private var identity: UInt16 = 0
    private var others: UInt16 = 0

    init() {}

    /// Reads all lines of the field.
    init(_ fields: Fields) {
        guard fields.contains(.acceptEncoding) else { return }
        for field in fields where field.id == .acceptEncoding { read(field.value) }
    }

    /// Reads one line of the field.
    ///
    /// An element that is malformed offers nothing.
    mutating func read(_ value: Bytes) {
        for element in Elements(value) {
            let end = element.firstIndex(of: UInt8(ascii: ";")) ?? element.count
            let name = element.prefix(end).trimmed
            guard let quality = quality(element.dropFirst(end)) else { continue }
            if let coding = Coding(named: name) {
                self[coding] = lower(self[coding], quality)
            } else if name.equalsIgnoringCase("identity") {
                identity = lower(identity, quality)
            } else if name == "*" {
                others = lower(others, quality)
            }
        }
    }

    /// Thousandths for a coding: 0 when the client doesn't take it.
    func quality(of coding: Coding) -> Int {
        let listed = self[coding]
        return Int(listed != 0 ? listed : others != 0 ? others : 1) - 1
    }

    /// The coding that the client likes best; of those that it likes the same, the first one.
    ///
    /// Nil when it takes none of them, or lists identity as better.
    func best(of order: List<UInt8>) -> Coding? {
        guard self != AcceptedCodings() else { return nil }
        var best: (coding: Coding, quality: Int)?
        for number in order {
            guard let coding = Coding(rawValue: number) else { continue }
            let quality = quality(of: coding)
            if quality > best?.quality ?? 0 { best = (coding, quality) }
        }
        guard let best, best.quality >= Int(identity) - 1 else { return nil }
        return best.coding
    }

    static func == (left: AcceptedCodings, right: AcceptedCodings) -> Bool {
        left.codings == right.codings && left.identity == right.identity
            && left.others == right.others
    }

    private subscript(coding: Coding) -> UInt16 {
        get {
            switch coding {
            case .gzip: codings.0
            case .deflate: codings.1
            case .brotli: codings.2
            case .zstandard: codings.3
            }
        }
        set {
            switch coding {
            case .gzip: codings.0 = newValue
            case .deflate: codings.1 = newValue
            case .brotli: codings.2 = newValue
            case .zstandard: codings.3 = newValue
            }
        }
    }

    /// Of two qualities for one name the lower, so that no order of the list gives more than was
    /// meant.
    private func lower(_ old: UInt16, _ quality: UInt16) -> UInt16 {
        old == 0 ? quality + 1 : min(old, quality + 1)
    }

    /// Thousandths of ";q=0.5"; 1,000 for nothing, nil for anything else (RFC 9110 §12.4.2).
    private func quality(_ parameters: Bytes) -> UInt16? {
        guard !parameters.isEmpty else { return 1_000 }
        let weight = parameters.dropFirst(1).trimmed
        guard weight.count >= 3, weight.count <= 7, weight[0] | 0x20 == UInt8(ascii: "q"),
            weight[1] == UInt8(ascii: "="), weight[2] & 0xFE == UInt8(ascii: "0")
        else { return nil }
        let whole = UInt16(weight[2] - UInt8(ascii: "0"))
        var thousandths = whole * 1_000
        guard weight.count > 3 else { return thousandths }
        guard weight[3] == UInt8(ascii: ".") else { return nil }
        var unit: UInt16 = 100
        for offset in 4..<weight.count {
            let digit = weight[offset] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            thousandths += UInt16(digit) * unit
            unit /= 10
        }
        return thousandths <= 1_000 ? thousandths : nil
    }
}
