import SluiceSDK

/// The codings of a message, in the order in which they were applied (RFC 9110 §8.4).
struct ContentCodings {
    /// Codings on top of each other that are decoded.
    static let countMax = 2

    private(set) var first: Coding?
    private(set) var second: Coding?
    private(set) var count = 0
    /// Whether one of them is not known here, or there are more than `countMax`.
    private(set) var isStrange = false

    /// Whether there is none but identity.
    var isEmpty: Bool { count == 0 }

    /// The coding, when there is one and it is known.
    var only: Coding? { count == 1 ? first : nil }

    /// Reads all lines of Content-Encoding.
    mutating func read(_ fields: Fields) {
        guard fields.contains(.contentEncoding) else { return }
        for field in fields where field.id == .contentEncoding {
            for element in Elements(field.value) where !element.equalsIgnoringCase("identity") {
                add(Coding(named: element))
            }
        }
    }

    private mutating func add(_ coding: Coding?) {
        if coding == nil || count == Self.countMax { isStrange = true }
        if count == 0 { first = coding }
        if count == 1 { second = coding }
        count += 1
    }
}
