import CCache
import CSluice
import CachePolicy
import Testing
import TinyUFO

@testable import Cache

/// Heads as they lie in files: what was written is read, and nothing else ever is.
struct DiskHeadTests {
    private static let rules: UInt64 = 0x1122_3344_5566_7788
    private static let second: UInt64 = 1_000_000_000
    private let room = UnsafeMutablePointer<sluice_field>.allocate(
        capacity: ObjectHead.fieldsMax
    )

    private func head(storedAt: UInt64 = 50 * second, wall: Int64 = 1_000_000) -> ObjectHead {
        var head = ObjectHead()
        head.status = 203
        head.isShared = 1
        head.flags = 5
        head.storedAt = storedAt
        head.storedWall = wall
        head.initialAge = 7
        head.lifetime = 600
        head.staleWhileRevalidate = 8
        head.staleIfError = 9
        head.lastModified = -1
        head.date = 999_999
        return head
    }

    private func block(_ head: ObjectHead) -> ByteBlock {
        var builder = ObjectBuilder(room)
        let fields = [
            ("content-type", 26, "text/a"), ("x-empty", 0, ""), ("etag", 36, "\"e\""),
            ("surrogate-key", 75, "blue red"), ("vary", 38, "a"), ("content-encoding", 27, "br"),
        ]
        for (name, id, value) in fields { builder.add(text(name), id, text(value)) }
        guard let block = builder.make(head, bodyCapacity: 0) else {
            preconditionFailure("no block")
        }
        return block
    }

    /// The bytes of a head.
    private func bytes(_ head: ObjectHead) throws -> [UInt8] {
        let block = block(head)
        let written = try #require(DiskHead.write(ObjectRef(block.bytes), rules: Self.rules))
        defer { cache_free(written.baseAddress) }
        return Array(written)
    }

    private func read<Result>(
        _ bytes: [UInt8],
        rules: UInt64 = rules,
        staleSince: UInt64 = 0,
        monotonic: UInt64 = 60 * second,
        wall: Int64 = 1_000_010,
        _ body: (ObjectRef) throws -> Result
    ) rethrows -> Result? {
        let frame = DiskHead.Frame(bodyCount: 5_000, staleSince: staleSince, rules: rules)
        let made = bytes.withUnsafeBytes {
            DiskHead.read(
                $0,
                frame,
                now: .init(monotonic: monotonic, wall: UInt64(wall) * Self.second)
            )
        }
        guard let made else { return nil }
        defer { cache_free(made) }
        return try body(ObjectRef(UnsafeRawBufferPointer(start: made, count: 1)))
    }

    @Test func `is read as it was written`() throws {
        let isRead: Void? = read(try bytes(head())) { object in
            let head = object.head.pointee
            #expect(object.status == 203 && !object.isMarker)
            #expect(head.isShared == 1 && head.flags == 5)
            #expect(head.storedAt == 50 * Self.second && head.storedWall == 1_000_000)
            #expect(head.initialAge == 7 && head.lifetime == 600)
            #expect(head.staleWhileRevalidate == 8 && head.staleIfError == 9)
            #expect(head.lastModified == -1 && head.date == 999_999)
            #expect(object.bodyLength == 5_000 && object.staleSince == 0)
            #expect(
                object.fields.map { $0.nameText.string + "=" + $0.valueText.string } == [
                    "x-empty=", "etag=\"e\"", "surrogate-key=blue red", "vary=a",
                    "content-encoding=br", "content-type=text/a",
                ]
            )
            #expect(object.fields.map { $0.id } == [0, 36, 75, 38, 27, 26])
            #expect(head.notModifiedCount == 4 && head.withoutTypeCount == 5)
            #expect(Text(head.contentType).string == "text/a")
            #expect(Text(head.entityTag).string == "\"e\"")
            #expect(object.hasTag("red") && !object.hasTag("re"))
            #expect(object.age(at: 60 * Self.second) == 17)
        }
        #expect(isRead != nil)
    }

    @Test func `a marker is read as it was written`() throws {
        let names = text("\u{3}x-a\u{1}b")
        guard
            let marker = ObjectBuilder.marker(
                VariantList(names: names, epoch: 42),
                before: nil,
                now: 50 * Self.second
            )
        else {
            Issue.record("no marker")
            return
        }
        ObjectRef(marker.bytes).head.pointee.storedWall = 1_000_000
        let written = try #require(DiskHead.write(ObjectRef(marker.bytes), rules: Self.rules))
        defer { cache_free(written.baseAddress) }
        let view = try #require(DiskHead.View(UnsafeRawBufferPointer(written)))
        #expect(view.isMarker && view.epoch == 42)
        let isRead: Void? = read(Array(written)) { object in
            #expect(object.isMarker && object.head.pointee.epoch == 42)
            #expect(Text(object.head.pointee.names).string == "\u{3}x-a\u{1}b")
        }
        #expect(isRead != nil)
        // The length of a name is wrong.
        var bytes = Array(written)
        bytes[DiskHead.fixedBytes] = 9
        #expect(read(bytes) { _ in } == nil)
    }

    @Test func `tags are seen without making a head`() throws {
        let bytes = try bytes(head())
        bytes.withUnsafeBytes { bytes in
            let view = DiskHead.View(bytes)
            #expect(view?.hasTag("blue") == true)
            #expect(view?.hasTag("blu") == false)
            #expect(view?.isMarker == false)
        }
    }

    @Test func `nothing shorter, longer or of other rules is read`() throws {
        let whole = try bytes(head())
        for count in 0..<whole.count {
            #expect(read(Array(whole[..<count])) { _ in } == nil, "\(count) bytes")
        }
        #expect(read(whole + [0]) { _ in } == nil)
        #expect(read(whole, rules: 1) { _ in } == nil)
    }

    @Test func `no bytes at all crash or leave their memory`() throws {
        let whole = try bytes(head())
        var generator = SystemRandomNumberGenerator()
        var state = generator.next()
        print("seed \(state)")
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            read(bytes) { object in
                for field in object.fields {
                    #expect(field.nameText.isToken)
                    #expect(!field.valueText.string.utf8.contains { $0 == 0x0D || $0 == 0x0A })
                }
                #expect((200..<600).contains(object.status))
                #expect(object.head.pointee.withoutTypeCount <= object.head.pointee.fieldCount)
                #expect(object.age(at: .max) >= 0)
                _ = object.serving(at: 1, markerStale: 0).outcome(RequestDirectives())
            }
        }
    }

    @Test(
        arguments: [
            (4, 3), (8, 0), (12, 255), (16, 6), (20, 7), (0, 2), (DiskHead.fixedBytes + 4, 0),
            (DiskHead.fixedBytes + 8, 200),
        ] as [(Int, UInt8)]
    )
    func `a number out of its range is no head`(offset: Int, value: UInt8) throws {
        var bytes = try bytes(head())
        bytes[offset] = value
        if offset == 8 { bytes[9] = 0 }
        #expect(read(bytes) { _ in } == nil)
    }

    @Test func `a field that would split a response is no field`() throws {
        let whole = try bytes(head())
        let at = try #require(whole.indices.last { whole[$0] == UInt8(ascii: "b") })
        for byte in [0x00, 0x0A, 0x0D, 0x7F] as [UInt8] {
            var bytes = whole
            bytes[at] = byte
            #expect(read(bytes) { _ in } == nil)
        }
    }

    @Test func `ages go on after a start of the machine`() throws {
        let bytes = try bytes(head(storedAt: 5_000 * Self.second))
        // 100 seconds later by the wall's clock, 30 after a start.
        let age = read(bytes, monotonic: 30 * Self.second, wall: 1_000_100) { object in
            object.age(at: 30 * Self.second)
        }
        #expect(age == 107)
        // The machine was not started, and the wall's clock was set an hour ahead.
        let ahead = read(bytes, monotonic: 5_010 * Self.second, wall: 1_003_600) { object in
            object.age(at: 5_010 * Self.second)
        }
        #expect(ahead == 3_607)
    }

    @Test(
        arguments: [(1_000_000, true), (999_998, true), (999_997, false), (0, false)]
            as [(Int64, Bool)]
    )
    func `what was stored in the future is not read`(wall: Int64, isRead: Bool) throws {
        let bytes = try bytes(head())
        #expect((read(bytes, wall: wall) { _ in } != nil) == isRead)
    }

    @Test(arguments: [(999_990, 7), (1_000_000, 7), (1_000_005, 12), (1_000_010, 17)])
    func `stale by order at once`(since: Int, lifetime: Int) throws {
        let since = UInt64(since) * Self.second
        let found = read(try bytes(head()), staleSince: since) { object in
            object.serving(at: 60 * Self.second, markerStale: 0).lifetime
        }
        #expect(found == Int64(lifetime))
    }

    @Test func `lifetimes of any length are read`() throws {
        var long = head()
        long.lifetime = .max
        let lifetime = read(try bytes(long)) { $0.head.pointee.lifetime }
        #expect(lifetime == ResponseDirectives.secondsMax)
        long.lifetime = -5
        #expect(read(try bytes(long)) { $0.head.pointee.lifetime } == -5)
    }
}
