/// What a text of a plugin's configuration is, beyond a text: the `format` of its schema.
enum ValueFormat: String, CaseIterable {
    case duration
    case size
    case address
    case ip
    case cidr
    case status
    case fieldName = "field-name"

    /// Codes that "status" takes.
    static let statuses: ClosedRange<Int64> = 100...599

    /// As in "expected a duration such as \"2s\"".
    var expectedText: String {
        switch self {
        case .duration: "a duration such as \"2s\""
        case .size: "a size such as \"64KiB\""
        case .address: "an address such as \"192.0.2.1:80\""
        case .ip: "an IP address such as \"192.0.2.1\""
        case .cidr: "a block of addresses such as \"10.0.0.0/8\""
        case .status: "a status of 100 to 599"
        case .fieldName: "the name of a field such as \"x-request-id\""
        }
    }

    /// What plugins read in a text's `integer`: nanoseconds of a duration, bytes of a size, 0 for
    /// the rest.
    ///
    /// Nil when the text does not have this format. "status" is a format of numbers: any text has
    /// it.
    func meaning(of text: String) -> Int64? {
        switch self {
        case .duration: Self.nanoseconds(text)
        case .size: Quantity.bytes(text)
        case .address: (try? Address(text, for: .peer, folder: ".")).map { _ in 0 }
        case .ip: Self.addressBits(text[...]).map { _ in 0 }
        case .cidr: Self.isBlock(text) ? 0 : nil
        case .status: 0
        case .fieldName: (try? Pattern.fieldName(text)).map { _ in 0 }
        }
    }

    private static func nanoseconds(_ text: String) -> Int64? {
        guard let milliseconds = Quantity.milliseconds(text) else { return nil }
        let (value, overflows) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return overflows ? nil : value
    }

    /// Bits of an IP address, 32 or 128; nil for anything else.
    private static func addressBits(_ text: Substring) -> Int? {
        if Address.ipv4Bytes(text) != nil { return 32 }
        return Address.ipv6Groups(text) != nil ? 128 : nil
    }

    /// Whether a text is an address, a slash and the number of its leading bits that count.
    private static func isBlock(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bits = addressBits(parts[0]), 1...3 ~= parts[1].utf8.count,
            parts[1].utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            parts[1] == "0" || !parts[1].hasPrefix("0"), let length = Int(parts[1])
        else { return false }
        return length <= bits
    }
}
