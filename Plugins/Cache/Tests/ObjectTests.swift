import CSluice
import CachePolicy
import Testing
import TinyUFO

@testable import Cache

struct ObjectTests {
    private let room = UnsafeMutablePointer<sluice_field>.allocate(
        capacity: ObjectHead.fieldsMax
    )

    private func object(_ fields: [(String, Int, String)], _ head: ObjectHead = ObjectHead())
        -> ByteBlock
    {
        var builder = ObjectBuilder(room)
        for (name, id, value) in fields { builder.add(text(name), id, text(value)) }
        guard let block = builder.make(head, bodyCapacity: 8) else {
            preconditionFailure("no block")
        }
        return block
    }

    private func isMade(_ builder: ObjectBuilder) -> Bool {
        builder.make(ObjectHead(), bodyCapacity: 0) != nil
    }

    @Test func `fields are in groups, and each points into the block`() {
        let block = object([
            ("content-type", 26, "text/a"), ("x-a", 0, "1"), ("content-encoding", 27, "br"),
            ("etag", 36, "\"e\""), ("x-a", 0, "2"), ("vary", 38, "a"), ("vary", 38, "b"),
        ])
        let object = ObjectRef(block.bytes)
        let names = object.fields.map { $0.nameText.string + "=" + $0.valueText.string }
        #expect(
            names == [
                "x-a=1", "etag=\"e\"", "x-a=2", "vary=a", "vary=b", "content-encoding=br",
                "content-type=text/a",
            ]
        )
        #expect(object.head.pointee.notModifiedCount == 5)
        #expect(object.head.pointee.withoutTypeCount == 6)
        #expect(Text(object.head.pointee.contentType).string == "text/a")
        #expect(Text(object.head.pointee.entityTag).string == "\"e\"")
        #expect(
            object.fields.map { $0.flags & UInt16(SLUICE_FIELD_FLAG_REPEATED) != 0 }
                == [false, false, false, false, true, false, false]
        )
        let range =
            UInt(bitPattern: block.bytes.baseAddress)..<UInt(bitPattern: block.bytes.baseAddress)
            + UInt(block.bytes.count)
        for field in object.fields {
            #expect(range.contains(UInt(bitPattern: field.name)))
            #expect(range.contains(UInt(bitPattern: field.value)))
        }
        #expect(Int(object.head.pointee.bodyOffset) == block.count)
        #expect(block.capacity == block.count + 8)
    }

    @Test func `has up to 256 fields and 64 KiB`() {
        var builder = ObjectBuilder(room)
        for _ in 0..<256 { builder.add("a", 0, "b") }
        #expect(isMade(builder) == true)
        builder.add("a", 0, "b")
        #expect(isMade(builder) == false)

        var large = ObjectBuilder(room)
        let beside = MemoryLayout<ObjectHead>.stride + MemoryLayout<sluice_field>.stride
        large.add("a", 0, text(String(repeating: "x", count: 65_536 - beside - 1)))
        #expect(isMade(large) == true)
        var over = ObjectBuilder(room)
        over.add("a", 0, text(String(repeating: "x", count: 65_536 - beside)))
        #expect(isMade(over) == false)
    }

    @Test func `tags are words of their fields`() {
        let block = object([
            ("surrogate-key", 75, "blue red  green"), ("cache-tag", 76, "one, two words,three"),
        ])
        let object = ObjectRef(block.bytes)
        for tag in ["blue", "red", "green", "one", "two words", "three"] {
            #expect(object.hasTag(text(tag)))
        }
        for tag in ["blu", "blue red", "two", "", "four"] { #expect(!object.hasTag(text(tag))) }
    }

    @Test func `age and staleness`() {
        var head = ObjectHead()
        head.storedAt = 10_000_000_000
        head.initialAge = 5
        head.lifetime = 60
        let block = object([], head)
        let object = ObjectRef(block.bytes)
        #expect(object.age(at: 10_000_000_000) == 5)
        #expect(object.age(at: 10_999_999_999) == 5)
        #expect(object.age(at: 11_000_000_000) == 6)
        #expect(object.age(at: 0) == 5)
        let none = RequestDirectives()
        let late: UInt64 = 64_999_999_999
        #expect(object.serving(at: late, markerStale: 0).outcome(none) == .fresh)
        let validate = Serving.Outcome.validate(staleIfError: false)
        #expect(object.serving(at: late + 1, markerStale: 0).outcome(none) == validate)
        // A soft purge of the address, and of the object.
        #expect(object.serving(at: late, markerStale: 20_000_000_000).outcome(none) == validate)
        #expect(object.serving(at: late, markerStale: 9_000_000_000).outcome(none) == .fresh)
        object.setStale(since: 30_000_000_000)
        #expect(object.serving(at: 30_000_000_000, markerStale: 0).outcome(none) == validate)
        #expect(object.serving(at: late, markerStale: 0).lifetime == 25)
    }

    @Test func `a length that is known later`() {
        let block = object([])
        let object = ObjectRef(block.bytes)
        #expect(object.bodyLength == nil)
        object.setBodyLength(7)
        #expect(object.bodyLength == 7)
    }

    @Test func `a marker has its names`() throws {
        let names = text("\u{3}x-a\u{6}accept")
        let list = VariantList(names: names, epoch: 5)
        guard let block = ObjectBuilder.marker(list, before: nil, now: 1) else {
            preconditionFailure("no block")
        }
        let marker = ObjectRef(block.bytes)
        #expect(marker.isMarker)
        #expect(marker.listCount == 1)
        #expect(marker.list(0).names == names)
        #expect(marker.list(0).epoch == 5)
    }

    @Test func `a marker keeps the lists before, up to the bound`() {
        let lists = ["\u{1}a", "\u{2}bc", "\u{3}def", "\u{1}g", "\u{1}h", "\u{2}ij"].map {
            text($0)
        }
        var blocks: [UnsafeMutableRawPointer] = []
        defer { for block in blocks { _ = ByteBlock(opaque: block) } }
        for (index, names) in lists.enumerated() {
            let list = VariantList(names: names, epoch: UInt64(index))
            let before = blocks.last.map { ObjectRef(BlockChain.bytes($0)) }
            guard let block = ObjectBuilder.marker(list, before: before, now: 1) else {
                preconditionFailure("no block")
            }
            let marker = ObjectRef(block.bytes)
            #expect(marker.listCount == min(index + 1, Variance.listsMax))
            for place in 0..<marker.listCount {
                #expect(marker.list(place).names == lists[index - place])
                #expect(marker.list(place).epoch == UInt64(index - place))
            }
            blocks.append(block.toOpaque())
        }
    }
}

struct KeyTests {
    private func key(_ write: (inout KeyWriter) -> Void) -> String? {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: KeyRules.byteCountMax)
        defer { room.deallocate() }
        var writer = KeyWriter(room)
        write(&writer)
        return writer.isOver ? nil : Text(writer.bytes).string
    }

    @Test func `a key has a bound`() {
        let most = text(String(repeating: "x", count: KeyRules.byteCountMax))
        #expect(key { $0.append(most) }?.utf8.count == KeyRules.byteCountMax)
        #expect(
            key { writer in
                writer.append(most)
                writer.append(byte: 0x78)
            } == nil
        )
    }

    @Test func `names of a list come once`() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: Variance.nameBytesMax)
        defer { room.deallocate() }
        var bytes = 0
        var count = 0
        for name in ["Accept", "x-a", "ACCEPT"] {
            #expect(KeyRules.add(text(name), to: room, &bytes, &count))
        }
        #expect(Text(UnsafePointer(room), count: bytes).string == "\u{6}accept\u{3}x-a")
        for index in 0..<14 { #expect(KeyRules.add(text("n\(index)"), to: room, &bytes, &count)) }
        #expect(count == Variance.namesMax)
        #expect(!KeyRules.add(text("more"), to: room, &bytes, &count))
        #expect(KeyRules.add(text("x-A"), to: room, &bytes, &count))
    }

    @Test(arguments: [
        ("Mozilla/5.0 (X11; Linux x86_64)", Device.desktop), ("", .desktop),
        ("Mozilla/5.0 (iPhone; CPU) Mobile", .mobile), ("(Linux; Android 14) Mobile", .mobile),
        ("(Linux; Android 14) Safari", .tablet), ("(iPad; CPU OS 17) Mobile", .tablet),
    ])
    func `devices`(agent: String, device: Device) { #expect(Device(text(agent)) == device) }

    @Test(arguments: [
        ("http://a/b?c#d", "http", "a", "/b?c"), ("https://a:1", "https", "a:1", "/"),
    ])
    func `addresses`(line: String, scheme: String, authority: String, target: String) throws {
        let address = try #require(Address(text(line)))
        #expect(address.scheme.string == scheme)
        #expect(address.authority.string == authority)
        #expect(address.target.string == target)
    }

    @Test(arguments: ["", "/a", "ftp://a/", "http:///b", "http://a?b", "//a/b"])
    func `what is no address`(line: String) { #expect(Address(text(line)) == nil) }

    @Test(
        arguments: [
            ("/x", "/x"), ("x?y", "/d/x?y"), ("http://H/x#f", "/x"), ("http://other/x", nil),
            ("https://h/x", nil), ("//h/x", nil), ("../x", nil), ("mailto:x", nil), ("", nil),
        ] as [(String, String?)]
    )
    func `references of the same origin`(reference: String, target: String?) {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: KeyRules.byteCountMax)
        defer { room.deallocate() }
        let base = Address(scheme: "http", authority: "h", target: "/d/e?f")
        #expect(base.resolve(text(reference), room)?.target.string == target)
    }
}
