import CSluice

extension Host {
    /// Whether lines of this level are written now; ask before building a message.
    public func logs(_ level: LogLevel) -> Bool {
        guard let services else { return false }
        return services.pointee.core.pointee.log_level(services.pointee.handle) >= level.rawValue
    }

    /// Writes one line, prefixed by the host with the instance's name.
    public func log(_ level: LogLevel, _ message: Bytes) {
        guard let services else { return }
        services.pointee.core.pointee.log(
            services.pointee.handle,
            level.rawValue,
            message.slice
        )
    }

    /// Writes one line, built only when the level is written.
    public func log(_ level: LogLevel, _ message: () -> String) {
        guard logs(level) else { return }
        var text = message()
        text.withUTF8 { utf8 in
            guard let start = utf8.baseAddress else { return }
            log(level, Bytes(start, count: utf8.count))
        }
    }

    /// Writes one line with `name=value` behind the message, built only when the level is written.
    ///
    ///     host.log(.warn, "slow answer") { pairs in
    ///         pairs.add("peer", exchange.facts.peer)
    ///         pairs.add("ms", 1_200)
    ///     }
    ///
    /// Allocates nothing.
    public func log(_ level: LogLevel, _ message: Bytes, _ pairs: (inout Pairs) -> Void) {
        guard let services, logs(level) else { return }
        withPairs { list in
            pairs(&list)
            services.pointee.core.pointee.log_pairs(
                services.pointee.handle,
                level.rawValue,
                message.slice,
                list.start,
                UInt32(list.count)
            )
        }
    }
}

/// Names with values: of a line of the log, or the fields of a callout.
public struct Pairs: ~Copyable {
    /// Pairs that there is room for.
    public static var countMax: Int { 16 }
    static let digitsMax = 20

    let start: UnsafeMutablePointer<sluice_pair>
    // Where numbers are written, `digitsMax` bytes a pair.
    let digits: UnsafeMutablePointer<UInt8>
    /// Number of pairs.
    public private(set) var count = 0
    var isOver = false

    init(start: UnsafeMutablePointer<sluice_pair>, digits: UnsafeMutablePointer<UInt8>) {
        self.start = start
        self.digits = digits
    }

    /// Adds one; after 16 there is no room.
    ///
    /// - Parameters:
    ///   - name: valid until the closure's caller returns, as is `value`.
    ///   - value: never a secret.
    public mutating func add(_ name: Bytes, _ value: Bytes) {
        guard count < Pairs.countMax else {
            isOver = true
            return
        }
        // Safe: there is room for `countMax` pairs.
        (start + count).initialize(to: sluice_pair(name: name.slice, value: value.slice))
        count += 1
    }

    /// Adds one with a number in decimal digits.
    public mutating func add(_ name: Bytes, _ number: Int) {
        let end = digits + (count + 1) * Pairs.digitsMax
        guard count < Pairs.countMax else {
            isOver = true
            return
        }
        var place = end
        var rest = number.magnitude
        repeat {
            // Safe: 64 bits have at most 19 digits and a sign.
            place -= 1
            place.pointee = UInt8(0x30 + rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 {
            place -= 1
            place.pointee = 0x2D
        }
        add(name, Bytes(UnsafePointer(place), count: end - place))
    }
}

/// Gives a list of pairs that lies on the stack.
func withPairs<Result>(_ body: (inout Pairs) -> Result) -> Result {
    let pairBytes = Pairs.countMax * MemoryLayout<sluice_pair>.stride
    let byteCount = pairBytes + Pairs.countMax * Pairs.digitsMax
    return withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) { room in
        // Safe: pairs come first, then the digits, both as long as said above.
        let start = room.baseAddress.unsafelyUnwrapped
        var pairs = Pairs(
            start: start.bindMemory(to: sluice_pair.self, capacity: Pairs.countMax),
            digits: (start + pairBytes).assumingMemoryBound(to: UInt8.self)
        )
        return body(&pairs)
    }
}
