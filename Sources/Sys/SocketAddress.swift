public import CLinux
import Glibc

/// An address of a socket: IPv4, IPv6 or Unix.
public struct SocketAddress: Equatable, @unchecked Sendable {
    // Safe: plain bytes without pointers.
    public var storage = sockaddr_storage()
    public var length: UInt32 = 0

    public init() {}

    /// Whether two are the same, byte for byte.
    public static func == (one: SocketAddress, other: SocketAddress) -> Bool {
        guard one.length == other.length else { return false }
        let count = Int(min(one.length, UInt32(MemoryLayout<sockaddr_storage>.size)))
        return withUnsafeBytes(of: one.storage) { one in
            withUnsafeBytes(of: other.storage) { one[..<count].elementsEqual($0[..<count]) }
        }
    }

    /// The family's constant: AF_INET, AF_INET6 or AF_UNIX.
    public var family: Int32 { Int32(storage.ss_family) }

    public var isUnix: Bool { family == AF_UNIX }

    /// Bytes that a Unix socket's path may have.
    public static let unixPathBytesMax = 107

    /// A Unix address.
    ///
    /// - Parameter unixPath: 1 to 107 bytes without NUL.
    public init?(unixPath: String) {
        let bytes = Array(unixPath.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.unixPathBytesMax, !bytes.contains(0) else {
            return nil
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            path.copyBytes(from: bytes)
        }
        // Safe: sockaddr_storage is large enough and aligned for every address.
        withUnsafeMutableBytes(of: &storage) { to in
            withUnsafeBytes(of: &address) { to.copyMemory(from: $0) }
        }
        length = UInt32(MemoryLayout<sa_family_t>.size + bytes.count + 1)
    }

    /// Numeric host and port, brackets already taken off an IPv6 host.
    public init?(numericHost: String, port: UInt16) {
        guard let found = Self.resolve(numericHost, port: port, flags: AI_NUMERICHOST).first else {
            return nil
        }
        self = found
    }

    /// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path"; no names.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            self.init(unixPath: String(text.dropFirst("unix:".count)))
            return
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = UInt16(text[text.utf8.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(numericHost: String(host), port: port)
    }

    /// All addresses of a name, in the resolver's order; blocks.
    ///
    /// Empty when there is none.
    public static func resolve(name: String, port: UInt16) -> [SocketAddress] {
        resolve(name, port: port, flags: AI_ADDRCONFIG)
    }

    private static func resolve(_ host: String, port: UInt16, flags: Int32) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_flags = flags | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var result: [SocketAddress] = []
        var entry = list
        while let current = entry {
            var address = SocketAddress()
            let size = Int(current.pointee.ai_addrlen)
            withUnsafeMutableBytes(of: &address.storage) { to in
                to.copyMemory(
                    from: UnsafeRawBufferPointer(start: current.pointee.ai_addr, count: size)
                )
            }
            address.length = UInt32(size)
            result.append(address)
            entry = current.pointee.ai_next
        }
        return result
    }

    /// Port in host order; 0 for a Unix address.
    public var port: UInt16 {
        var copy = self
        return withUnsafeBytes(of: &copy.storage) { bytes in
            isUnix ? 0 : UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        }
    }

    /// The same address with another port; a Unix address stays as it is.
    public func replacing(port: UInt16) -> SocketAddress {
        guard !isUnix else { return self }
        var copy = self
        withUnsafeMutableBytes(of: &copy.storage) { bytes in
            bytes[2] = UInt8(port >> 8)
            bytes[3] = UInt8(truncatingIfNeeded: port)
        }
        return copy
    }

    /// The address alone: 4 or 16 bytes, the rest zero, and 4, 6 or 0 for a Unix socket.
    ///
    /// An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    public var ip: IPAddress {
        var copy = self
        return withUnsafeBytes(of: &copy.storage) { bytes in
            var ip = IPAddress()
            if family == AF_INET {
                ip.family = 4
                ip.low = UInt64(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            } else if family == AF_INET6 {
                ip.family = 6
                ip.low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                ip.high = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                if ip.low == 0, UInt32(truncatingIfNeeded: ip.high) == IPAddress.mappedPrefix {
                    ip.family = 4
                    ip.low = ip.high >> 32
                    ip.high = 0
                }
            }
            return ip
        }
    }

    /// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path".
    public var text: String {
        if isUnix {
            var copy = self
            let path = withUnsafeBytes(of: &copy.storage) { bytes in
                String(decoding: bytes[2..<Int(length)].prefix { $0 != 0 }, as: UTF8.self)
            }
            return "unix:" + path
        }
        return ip.family == 4 ? "\(ip.text):\(port)" : "[\(ip.text)]:\(port)"
    }
}

/// An IP address in network order, 16 bytes that compare and hash fast.
public struct IPAddress: Equatable, Hashable, Sendable {
    public var low: UInt64 = 0
    public var high: UInt64 = 0
    /// 4, 6, or 0 where there is none.
    public var family: UInt8 = 0

    public init() {}

    /// Bytes 8 to 11 of an IPv4-mapped address, as a little-endian word.
    fileprivate static let mappedPrefix: UInt32 = 0xffff_0000

    /// Bytes that `write` may need.
    public static let textBytesMax = 46

    public var text: String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.textBytesMax) { buffer in
            guard let to = buffer.baseAddress else { return "" }
            let count = write(to: to)
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// Writes the address as text and returns its length; "unix:" where there is none.
    public func write(to out: UnsafeMutablePointer<UInt8>) -> Int {
        var copy = self
        switch family {
        case 4:
            var at = 0
            for index in 0..<4 {
                if index > 0 {
                    out[at] = UInt8(ascii: ".")
                    at &+= 1
                }
                var byte = Int(truncatingIfNeeded: low >> UInt64(index &* 8)) & 0xff
                if byte >= 100 {
                    out[at] = UInt8(truncatingIfNeeded: 48 &+ byte / 100)
                    out[at &+ 1] = UInt8(truncatingIfNeeded: 48 &+ byte / 10 % 10)
                    at &+= 2
                    byte %= 10
                } else if byte >= 10 {
                    out[at] = UInt8(truncatingIfNeeded: 48 &+ byte / 10)
                    at &+= 1
                    byte %= 10
                }
                out[at] = UInt8(truncatingIfNeeded: 48 &+ byte)
                at &+= 1
            }
            return at
        case 6:
            return withUnsafeBytes(of: &copy) { bytes in
                // Safe: `low` and `high` are the first 16 bytes; the text fits 46 with its NUL.
                out.withMemoryRebound(to: CChar.self, capacity: Self.textBytesMax) { text in
                    guard inet_ntop(AF_INET6, bytes.baseAddress, text, 46) != nil else { return 0 }
                    return strlen(text)
                }
            }
        default:
            let none: StaticString = "unix:"
            out.update(from: none.utf8Start, count: none.utf8CodeUnitCount)
            return none.utf8CodeUnitCount
        }
    }
}
