import CSluice
import CachePolicy
import SluiceSDK
import TinyUFO

/// What of a request makes its key.
///
/// The primary key is an address: scheme, host, path and query. What else requests differ by, of
/// the configuration or of `Vary`, makes variants behind it, so that an address can be forgotten
/// with all of them.
struct KeyRules {
    /// Which parameters of a query count.
    enum Query: BitwiseCopyable {
        case all
        /// Those alone.
        case keep(List<Bytes>)
        /// All but those.
        case drop(List<Bytes>)
    }

    var query = Query.all
    /// Whether the order of parameters does not count.
    var isSorted = false
    /// Fields that every key has, in lower case.
    let headers: List<Bytes>
    let cookies: List<Bytes>
    var hasDevice = false

    /// Bytes of a key; requests with longer ones go past the cache.
    static let byteCountMax = 8_192
    /// Parameters of a query that are sorted; one with more stays as it is.
    static let parametersMax = 64
    /// Names of parameters, fields or cookies in the configuration.
    static let namesMax = 64

    /// Whether there are variants of every address.
    var hasExtras: Bool { !headers.isEmpty || !cookies.isEmpty || hasDevice }

    init(_ value: ConfigurationValue?, _ host: Host) throws(PluginError) {
        try value?.allowKeys(["query", "headers", "cookies", "device"])
        headers = try Self.names("headers", of: value, host, isField: true)
        cookies = try Self.names("cookies", of: value, host, isField: false)
        hasDevice = try value?.bool("device") ?? false
        guard let query = try value?.member("query") else { return }
        try query.allowKeys(["keep", "drop", "sort"])
        isSorted = try query.bool("sort") ?? false
        if try query.member("keep") != nil {
            if let drop = try query.member("drop") { throw drop.error("does not go with \"keep\"") }
            self.query = .keep(try Self.names("keep", of: query, host, isField: false))
        } else if try query.member("drop") != nil {
            self.query = .drop(try Self.names("drop", of: query, host, isField: false))
        }
    }

    private static func names(
        _ key: StaticString,
        of value: ConfigurationValue?,
        _ host: Host,
        isField: Bool
    ) throws(PluginError) -> List<Bytes> {
        var names: [Bytes] = []
        for element in try value?.array(key) ?? [] {
            let name = try element.string()
            guard !name.isEmpty, name.count <= 128 else {
                throw element.error("no name of 1 to 128 characters")
            }
            if isField {
                guard name.isToken else { throw element.error("no name of a field") }
                names.append(host.memory.copy(lowercase(String(name))))
            } else {
                names.append(name)
            }
        }
        guard names.count <= namesMax else {
            throw PluginError(path: "key", "more than \(namesMax) names")
        }
        return host.memory.list(names)
    }

    private static func lowercase(_ text: String) -> String {
        String(decoding: text.utf8.map { lowered($0) }, as: UTF8.self)
    }

    /// Different for rules that make different keys.
    func fingerprint(_ hash: KeyHash) -> UInt64 {
        var text = "\(isSorted) \(hasDevice)"
        switch query {
        case .all: text += " all"
        case .keep(let names): for name in names { text += " keep " + String(name) }
        case .drop(let names): for name in names { text += " drop " + String(name) }
        }
        for name in headers { text += "\nheader " + String(name) }
        for name in cookies { text += "\ncookie " + String(name) }
        return text.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
    }

    // MARK: The primary key

    /// Writes an address; false when it is too long.
    ///
    /// - Parameters:
    ///   - authority: with or without a port; letters of any case.
    ///   - target: path and query.
    func write(
        scheme: Text,
        authority: Text,
        target: Text,
        to key: inout KeyWriter
    ) {
        key.append(scheme)
        key.append("://")
        let port: Text = scheme == "https" ? ":443" : ":80"
        var authority = authority
        if authority.count > port.count, authority.dropFirst(authority.count - port.count) == port {
            authority = authority[0..<authority.count - port.count]
        }
        key.append(lowercase: authority)
        guard let mark = target.firstIndex(of: 0x3F) else { return key.append(target) }
        if case .all = query, !isSorted { return key.append(target) }
        key.append(target[0..<mark])
        write(query: target.dropFirst(mark + 1), to: &key)
    }

    private func write(query text: Text, to key: inout KeyWriter) {
        typealias Range = (offset: Int, count: Int)
        withUnsafeTemporaryAllocation(of: Range.self, capacity: Self.parametersMax) { room in
            var count = 0
            var at = 0
            var separator: UInt8 = 0x3F
            while at <= text.count {
                var end = at
                while end < text.count, text[end] != 0x26 { end += 1 }
                let parameter = text[at..<end]
                if end > at, counts(parameter) {
                    if isSorted, count < Self.parametersMax {
                        insert((at, end - at), room, &count, text)
                    } else {
                        key.append(byte: separator)
                        key.append(parameter)
                        separator = 0x26
                    }
                }
                at = end + 1
            }
            for index in 0..<count {
                key.append(byte: separator)
                key.append(text[room[index].offset..<room[index].offset + room[index].count])
                separator = 0x26
            }
        }
    }

    /// Sorts by insertion, which keeps the order of equal names.
    private func insert(
        _ range: (offset: Int, count: Int),
        _ room: UnsafeMutableBufferPointer<(offset: Int, count: Int)>,
        _ count: inout Int,
        _ text: Text
    ) {
        let name = name(text[range.offset..<range.offset + range.count])
        var place = count
        while place > 0 {
            let other = room[place - 1]
            guard isLess(name, self.name(text[other.offset..<other.offset + other.count])) else {
                break
            }
            room[place] = other
            place -= 1
        }
        room[place] = range
        count += 1
    }

    private func isLess(_ left: Text, _ right: Text) -> Bool {
        for offset in 0..<min(left.count, right.count) where left[offset] != right[offset] {
            return left[offset] < right[offset]
        }
        return left.count < right.count
    }

    private func name(_ parameter: Text) -> Text {
        parameter[0..<(parameter.firstIndex(of: 0x3D) ?? parameter.count)]
    }

    private func counts(_ parameter: Text) -> Bool {
        switch query {
        case .all: true
        case .keep(let names): matches(name(parameter), names)
        case .drop(let names): !matches(name(parameter), names)
        }
    }

    /// Whether a name is in the list, whose entries may end with "*".
    private func matches(_ name: Text, _ names: List<Bytes>) -> Bool {
        for entry in names {
            let pattern = Text(entry)
            if pattern[pattern.count - 1] == 0x2A {
                if name.hasPrefix(pattern[0..<pattern.count - 1]) { return true }
            } else if name == pattern {
                return true
            }
        }
        return false
    }
}

extension Text {
    @inline(__always)
    init(_ bytes: Bytes) { self.init(bytes.start, count: bytes.count) }

    @inline(__always)
    var bytes: Bytes { Bytes(start, count: count) }
}

/// Writes a key into memory of the worker.
struct KeyWriter {
    private let start: UnsafeMutablePointer<UInt8>
    private(set) var count = 0
    /// Whether it is longer than keys may be.
    private(set) var isOver = false

    /// - Parameter start: room for `KeyRules.byteCountMax` bytes.
    init(_ start: UnsafeMutablePointer<UInt8>) { self.start = start }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    @inline(__always)
    mutating func append(_ text: Text) {
        guard text.count <= KeyRules.byteCountMax - count else {
            isOver = true
            return
        }
        // Safe: there is room.
        (start + count).update(from: text.start, count: text.count)
        count += text.count
    }

    mutating func append(byte: UInt8) {
        guard count < KeyRules.byteCountMax else {
            isOver = true
            return
        }
        start[count] = byte
        count += 1
    }

    @inline(__always)
    mutating func append(lowercase text: Text) {
        guard text.count <= KeyRules.byteCountMax - count else {
            isOver = true
            return
        }
        for offset in 0..<text.count { start[count + offset] = lowered(text.start[offset]) }
        count += text.count
    }

    mutating func append(word number: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) {
            append(byte: UInt8(truncatingIfNeeded: number >> UInt64(shift)))
        }
    }
}
