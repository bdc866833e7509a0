import SluiceSDK

/// Whom to ask, how long and how often: the `resolv.conf` of the machine, or what the manifest says
/// in its place.
struct ResolverSettings: Equatable {
    /// Servers that are asked; further ones are left out, as in the C library.
    static let serversMax = 3
    /// Names of the search list (resolv.conf(5)); further ones are left out.
    static let searchMax = 6
    /// Bytes of a `resolv.conf` that are read.
    static let fileBytesMax = 65_536
    static let port: UInt16 = 53
    /// Bounds of resolv.conf(5): greater numbers count as these.
    static let timeoutSecondsMax = 30
    static let attemptsMax = 5
    static let dotsMax = 15

    var servers: [SocketAddress] = []
    /// For an answer of one server.
    var timeoutNanoseconds: UInt64 = 2_000_000_000
    /// How often each server is asked.
    var attempts = 2
    /// Whether each lookup begins with another server.
    var rotates = false
    /// Domains in which a name is looked for that does not end with a dot.
    var search: [DomainName] = []
    /// Dots from which on a name is taken as it is before the search list is tried.
    var dots = 1

    /// Reads a `resolv.conf` (resolv.conf(5)).
    ///
    /// What is not understood is passed over, as the C library does: the file is not ours, and is
    /// written for it.
    init(resolvConf text: [UInt8]) {
        for line in text.split(separator: 0x0A) {
            let words = line.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }.map { [UInt8]($0) }
            guard words.count > 1, words[0][0] != 0x23, words[0][0] != 0x3B else { continue }
            if words[0] == Self.key("nameserver") {
                take(server: words[1])
            } else if words[0] == Self.key("search") || words[0] == Self.key("domain") {
                // The last one counts.
                search = []
                for word in words.dropFirst() where search.count < Self.searchMax {
                    if let name = DomainName(text: word) { search.append(name) }
                }
            } else if words[0] == Self.key("options") {
                for word in words.dropFirst() { take(option: word) }
            }
        }
        if servers.isEmpty {
            servers = [SocketAddress(IPAddress(v4: 0x7F00_0001), Self.port)]
        }
    }

    private mutating func take(server word: [UInt8]) {
        guard servers.count < Self.serversMax else { return }
        if let address = word.withBytes({ IPAddress($0) }) {
            servers.append(SocketAddress(address, Self.port))
        }
    }

    private mutating func take(option word: [UInt8]) {
        if word == Self.key("rotate") { rotates = true }
        if let number = Self.number(word, "timeout:") {
            let seconds = max(1, min(number, Self.timeoutSecondsMax))
            timeoutNanoseconds = UInt64(seconds) * 1_000_000_000
        }
        if let number = Self.number(word, "attempts:") {
            attempts = max(1, min(number, Self.attemptsMax))
        }
        if let number = Self.number(word, "ndots:") { dots = min(number, Self.dotsMax) }
    }

    private static func key(_ literal: StaticString) -> [UInt8] { [UInt8](Bytes(literal)) }

    private static func number(_ word: [UInt8], _ prefix: StaticString) -> Int? {
        word.withBytes { bytes -> Int? in
            guard bytes.hasPrefix(Bytes(prefix)) else { return nil }
            let digits = bytes.dropFirst(Bytes(prefix).count).decimal
            return digits.map { Int($0 > 1_000_000 ? 1_000_000 : $0) }
        }
    }

    /// The names to ask for in turn until one has records.
    ///
    /// - Parameter text: as in the manifest; nothing is added to one that ends with a dot.
    func candidates(for text: [UInt8]) -> [DomainName] {
        guard let name = DomainName(text: text) else { return [] }
        if text.last == 0x2E { return [name] }
        let searched = search.compactMap { name.below($0) }
        let dotCount = text.reduce(0) { $0 + ($1 == 0x2E ? 1 : 0) }
        return dotCount >= dots ? [name] + searched : searched + [name]
    }
}
