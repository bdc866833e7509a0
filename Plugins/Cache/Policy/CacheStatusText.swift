/// Writes a member of `Cache-Status` (RFC 9211) into memory of a fixed size.
///
/// What does not fit is left out at a parameter's border.
package struct CacheStatusText: ~Copyable {
    /// Why a request went on (RFC 9211 §2.2).
    package enum Forward: UInt8, BitwiseCopyable, Sendable {
        case bypass = 1
        case method
        case uriMiss
        case varyMiss
        case miss
        case request
        case stale

        var text: Text {
            switch self {
            case .bypass: "; fwd=bypass"
            case .method: "; fwd=method"
            case .uriMiss: "; fwd=uri-miss"
            case .varyMiss: "; fwd=vary-miss"
            case .miss: "; fwd=miss"
            case .request: "; fwd=request"
            case .stale: "; fwd=stale"
            }
        }
    }

    private let start: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    package private(set) var count = 0

    /// - Parameters:
    ///   - start: `capacity` bytes that stay as long as the text is used.
    ///   - name: of the cache; a token or a quoted-string.
    package init(_ start: UnsafeMutablePointer<UInt8>, capacity: Int, name: Text) {
        self.start = start
        self.capacity = capacity
        append(name)
    }

    package var text: Text { Text(UnsafePointer(start), count: count) }

    package mutating func addHit() { append("; hit") }
    package mutating func add(_ forward: Forward) { append(forward.text) }
    package mutating func addStored() { append("; stored") }
    package mutating func addCollapsed() { append("; collapsed") }
    package mutating func add(forwardStatus: Int) {
        append("; fwd-status=", Int64(forwardStatus))
    }

    /// Seconds that it is fresh for; below 0 when it is stale.
    package mutating func add(timeToLive: Int64) { append("; ttl=", timeToLive) }

    /// A token that says more.
    package mutating func add(detail: Text) {
        guard count + 9 + detail.count <= capacity else { return }
        append("; detail=")
        append(detail)
    }

    private mutating func append(_ text: Text) {
        guard count + text.count <= capacity else { return }
        // Safe: there is room.
        (start + count).update(from: text.start, count: text.count)
        count += text.count
    }

    private mutating func append(_ name: Text, _ number: Int64) {
        guard count + name.count + 20 <= capacity else { return }
        append(name)
        count += Decimal.write(number, to: start + count)
    }
}

/// Decimal digits.
package enum Decimal {
    /// - Parameter room: 20 bytes.
    /// - Returns: how many bytes were written.
    @discardableResult
    package static func write(_ number: Int64, to room: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 1
        var rest = number.magnitude
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        if number < 0 { count += 1 }
        var place = count
        rest = number.magnitude
        repeat {
            // Safe: 64 bits have at most 19 digits and a sign.
            place -= 1
            room[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 { room[0] = 0x2D }
        return count
    }
}
