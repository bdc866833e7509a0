import CCache
import CSluice
import CachePolicy
import Synchronization
import TinyUFO

/// What stands at the beginning of an object's first block: all that an answer needs beside the
/// body, with addresses in the same block, so that nothing is built on a hit.
///
/// Written once, before anybody else sees it, but for the words that are said to be atomic.
struct ObjectHead: BitwiseCopyable {
    /// What an entry of the store is.
    enum Kind: UInt8 {
        case object = 1
        /// Says what the variants of a key vary by.
        case marker = 2
    }

    var kind = Kind.object.rawValue
    /// 1 when `s-maxage` gave the lifetime.
    var isShared: UInt8 = 0
    /// `ResponseDirectives.Flags`.
    var flags: UInt16 = 0
    var status: UInt32 = 0
    /// When it came, or was validated: nanoseconds of the monotonic clock.
    var storedAt: UInt64 = 0
    /// The same in seconds since 1970.
    var storedWall: Int64 = 0
    /// Seconds of its age when it came.
    var initialAge: Int64 = 0
    /// Seconds that it is fresh for.
    var lifetime: Int64 = 0
    /// Seconds behind it that it may be served for.
    var staleWhileRevalidate: Int64 = 0
    /// Likewise, when the origin fails.
    var staleIfError: Int64 = 0
    /// Of a marker: what the keys of the newest list's variants have in common, and no other's.
    var epoch: UInt64 = 0
    /// Atomic: bytes of the body; `UInt64.max` until that is known.
    var bodyLength = UInt64.max
    /// Atomic: when a soft purge made it stale; 0 for never.
    var staleSince: UInt64 = 0
    /// Atomic: when the origin failed to update it; 0 for never.
    var failedAt: UInt64 = 0
    /// Seconds since 1970; `timeNone` without a valid date.
    var lastModified = ObjectHead.timeNone
    /// Likewise.
    var date = ObjectHead.timeNone
    /// Empty without.
    var entityTag = sluice_slice()
    var contentType = sluice_slice()
    /// Of a marker: names of fields in lower case, each behind its length in one byte; the newest
    /// list, behind which others may lie in the block.
    var names = sluice_slice()
    var fields: UnsafePointer<sluice_field>?
    /// Of a marker: its lists.
    var fieldCount: UInt32 = 0
    /// How many of them, from the first one on, a 304 has.
    var notModifiedCount: UInt32 = 0
    /// How many of them stand before `content-type`.
    var withoutTypeCount: UInt32 = 0
    /// Where the body begins in the first block.
    var bodyOffset: UInt32 = 0

    static let timeNone = Int64.min
    /// Fields of an object that is stored.
    static let fieldsMax = 256
    /// Bytes of a head that is stored, with all its fields.
    static let byteCountMax = 65_536
}

/// Names of fields that responses of an address vary by, and what the variants' keys have of it.
struct VariantList: BitwiseCopyable {
    let names: Text
    let epoch: UInt64

    /// Bytes of a list that is not a marker's first, beside its names.
    static let overheadBytes = 16
}

/// Where a head lies: valid as long as somebody holds its block.
struct ObjectRef: BitwiseCopyable {
    let head: UnsafeMutablePointer<ObjectHead>

    /// - Parameter block: bytes of an object's first block.
    @inline(__always)
    init(_ block: UnsafeRawBufferPointer) {
        // Safe: whatever is in the store was made by `ObjectBuilder`, which begins with a head.
        head = UnsafeMutableRawPointer(mutating: block.baseAddress.unsafelyUnwrapped)
            .assumingMemoryBound(to: ObjectHead.self)
    }

    var isMarker: Bool { head.pointee.kind == ObjectHead.Kind.marker.rawValue }
    var status: Int { Int(head.pointee.status) }
    var fields: UnsafeBufferPointer<sluice_field> {
        UnsafeBufferPointer(start: head.pointee.fields, count: Int(head.pointee.fieldCount))
    }

    /// Nil until it is known.
    var bodyLength: UInt64? {
        let length = bodyLengthWord.pointee.load(ordering: .acquiring)
        return length == .max ? nil : length
    }

    func setBodyLength(_ length: UInt64) {
        bodyLengthWord.pointee.store(length, ordering: .releasing)
    }

    var staleSince: UInt64 { staleSinceWord.pointee.load(ordering: .relaxed) }

    func setStale(since now: UInt64) {
        staleSinceWord.pointee.store(max(now, 1), ordering: .relaxed)
    }

    var failedAt: UInt64 { failedAtWord.pointee.load(ordering: .relaxed) }

    func setFailed(at now: UInt64) {
        failedAtWord.pointee.store(max(now, 1), ordering: .relaxed)
    }

    // Safe: the words are in the head, aligned, and used as atomics alone once others see it.
    private var bodyLengthWord: UnsafeMutablePointer<Atomic<UInt64>> {
        Self.word(&head.pointee.bodyLength)
    }

    private var staleSinceWord: UnsafeMutablePointer<Atomic<UInt64>> {
        Self.word(&head.pointee.staleSince)
    }

    private var failedAtWord: UnsafeMutablePointer<Atomic<UInt64>> {
        Self.word(&head.pointee.failedAt)
    }

    private static func word(
        _ place: UnsafeMutablePointer<UInt64>
    ) -> UnsafeMutablePointer<Atomic<UInt64>> {
        UnsafeMutableRawPointer(place).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Seconds.
    func age(at now: UInt64) -> Int64 {
        let stored = head.pointee.storedAt
        let resident = now > stored ? Int64((now - stored) / 1_000_000_000) : 0
        return min(head.pointee.initialAge + resident, ResponseDirectives.secondsMax)
    }

    /// A marker's lists, the newest first.
    var listCount: Int { Int(head.pointee.fieldCount) }

    /// - Parameter index: 0 up to `listCount`.
    func list(_ index: Int) -> VariantList {
        precondition(index < listCount, "list \(index) of \(listCount)")
        var names = Text(head.pointee.names)
        var epoch = head.pointee.epoch
        for _ in 0..<index {
            // Safe: `ObjectBuilder.marker` wrote epoch, count and names behind those before.
            let next = UnsafeRawPointer(names.start + names.count)
            epoch = next.loadUnaligned(as: UInt64.self)
            let count = next.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            let start = next + VariantList.overheadBytes
            names = Text(start.assumingMemoryBound(to: UInt8.self), count: Int(count))
        }
        return VariantList(names: names, epoch: epoch)
    }

    var flags: ResponseDirectives.Flags { .init(rawValue: head.pointee.flags) }

    /// - Parameters:
    ///   - now: nanoseconds of the monotonic clock.
    ///   - markerStale: when the key was made stale; 0 for never.
    func serving(at now: UInt64, markerStale: UInt64) -> Serving {
        let since = max(staleSince, markerStale)
        var lifetime = head.pointee.lifetime
        if since != 0, since >= head.pointee.storedAt { lifetime = min(lifetime, age(at: since)) }
        return Serving(
            lifetime: lifetime,
            age: age(at: now),
            flags: flags,
            staleWhileRevalidate: head.pointee.staleWhileRevalidate,
            staleIfError: head.pointee.staleIfError,
            isShared: head.pointee.isShared != 0
        )
    }

    var validators: Validators {
        var validators = Validators()
        validators.entityTag = Text(head.pointee.entityTag)
        let modified = head.pointee.lastModified
        validators.lastModified = modified == ObjectHead.timeNone ? nil : modified
        validators.date = head.pointee.date == ObjectHead.timeNone ? nil : head.pointee.date
        return validators
    }

    /// The value of the first field of an id.
    func value(_ id: Int) -> Text? {
        for field in fields where Int(field.id) == id { return field.valueText }
        return nil
    }

    /// Whether one of its tags is this one.
    func hasTag(_ tag: Text) -> Bool {
        if tag.isEmpty { return false }
        for field in fields {
            switch Int(field.id) {
            case Int(SLUICE_FIELD_SURROGATE_KEY):
                if hasWord(field.valueText, tag, 0x20) { return true }
            case Int(SLUICE_FIELD_CACHE_TAG):
                if hasWord(field.valueText, tag, 0x2C) { return true }
            default: break
            }
        }
        return false
    }

    private func hasWord(_ list: Text, _ word: Text, _ separator: UInt8) -> Bool {
        var rest = list
        while !rest.isEmpty {
            let end = rest.firstIndex(of: separator) ?? rest.count
            if rest[0..<end].trimmed == word { return true }
            rest = rest.dropFirst(min(end + 1, rest.count))
        }
        return false
    }
}

extension sluice_field {
    var nameText: Text {
        name.map { Text($0, count: Int(name_len)) } ?? .empty
    }

    var valueText: Text {
        value.map { Text($0, count: Int(value_len)) } ?? .empty
    }
}

extension Text {
    init(_ slice: sluice_slice) {
        self = slice.ptr.map { Text($0, count: Int(slice.len)) } ?? .empty
    }

    var slice: sluice_slice { sluice_slice(ptr: start, len: UInt64(count)) }

    var raw: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}
