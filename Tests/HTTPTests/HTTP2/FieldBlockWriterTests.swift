import HTTP
import Testing

/// Blocks as we send them, read by the peer's decoder.
struct FieldBlockWriterTests {
    private typealias Body = (
        _ out: UnsafeMutablePointer<UInt8>, _ room: Int, _ encoder: inout HPACKEncoder
    ) -> FieldBlock.Writer

    /// What a block holds that `body` writes; nil when it did not fit.
    private func block(room: Int, _ body: Body) -> [HeaderField]? {
        var encoder = HPACKEncoder()
        var hasOverflowed = false
        let bytes = written(room: room) { out in
            let writer = body(out, room, &encoder)
            hasOverflowed = writer.hasOverflowed
            return writer.count
        }
        guard !hasOverflowed else { return nil }
        var decoder = HPACKDecoder()
        let found = decode(bytes, with: &decoder)
        #expect(found.outcome == .complete)
        return found.fields.map { HeaderField($0.name, $0.value) }
    }

    private func add(
        _ list: [HeaderField],
        to writer: inout FieldBlock.Writer,
        _ encoder: inout HPACKEncoder
    ) {
        for item in list {
            withField(item) { raw in
                let (name, value) = (raw.name, raw.value)
                let (nameCount, valueCount) = (raw.nameCount, raw.valueCount)
                writer.field(raw.id, name, nameCount, value, valueCount, encoder: &encoder)
            }
        }
    }

    private func room(_ list: [HeaderField], pseudo: Int = 100) -> Int {
        let bytes = list.reduce(pseudo) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        return FieldBlock.writeRoom(headBytes: bytes, fieldCount: list.count)
    }

    private static let mixed = fields(
        """
        Server: sluice\nX-Custom-Name: a\nConnection: close\nkeep-alive: 5\nUpgrade: h2c
        Proxy-Connection: close\nTransfer-Encoding: chunked\ncontent-length: 5\nTE: trailers
        Host: b.example\nTrailer: x
        """
    )

    @Test(arguments: [UInt16(200), 302, 100, 999])
    func `a response has its status, and names in lower case`(status: UInt16) {
        let found = block(room: room(Self.mixed)) { out, room, encoder in
            var writer = FieldBlock.Writer(status: status, to: out, room: room, encoder: &encoder)
            add(Self.mixed, to: &writer, &encoder)
            return writer
        }
        let expected = """
            :status: \(status)\nserver: sluice\nx-custom-name: a\ncontent-length: 5
            host: b.example\ntrailer: x
            """
        #expect(found == fields(expected))
    }

    @Test
    func `trailers have no pseudo-fields`() {
        let list = fields("Grpc-Status: 0\nConnection: close\nte: trailers")
        let found = block(room: room(list)) { out, room, encoder in
            var writer = FieldBlock.Writer(trailersTo: out, room: room, encoder: &encoder)
            add(list, to: &writer, &encoder)
            return writer
        }
        #expect(found == fields("grpc-status: 0"))
    }

    @Test(arguments: [
        ("GET", "/a?b", ":method: GET\n:scheme: https\n:path: /a?b\n:authority: a.example:443"),
        ("GET", "", ":method: GET\n:scheme: https\n:path: /\n:authority: a.example:443"),
        ("OPTIONS", "", ":method: OPTIONS\n:scheme: https\n:path: *\n:authority: a.example:443"),
        ("OPTIONS", "*", ":method: OPTIONS\n:scheme: https\n:path: *\n:authority: a.example:443"),
        ("CONNECT", "", ":method: CONNECT\n:authority: a.example:443"),
    ])
    func `a request has its pseudo-fields and no Host`(
        method: String,
        path: String,
        expected: String
    ) {
        let found = request(method, path, upgrade: nil, then: Self.mixed)
        let rest = "server: sluice\nx-custom-name: a\ncontent-length: 5\nte: trailers\ntrailer: x"
        #expect(found == fields(expected + "\n" + rest))
        #expect(readRequest(found ?? []).outcome == .complete)
    }

    @Test
    func `an extended CONNECT names its protocol`() {
        let found = request("CONNECT", "/chat", upgrade: "websocket", then: fields("te: gzip"))
        let expected = """
            :method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /chat
            :authority: a.example:443
            """
        #expect(found == fields(expected))
        #expect(readRequest(found ?? [], allowsProtocol: true).outcome == .complete)
    }

    private func request(
        _ method: String,
        _ path: String,
        upgrade: StaticString?,
        then list: [HeaderField]
    ) -> [HeaderField]? {
        block(room: room(list)) { out, room, encoder in
            let authority = latin1("a.example:443")
            return latin1(method).withUnsafeBufferPointer { methodBytes in
                (latin1(path) + [0]).withUnsafeBufferPointer { pathBytes in
                    authority.withUnsafeBufferPointer { authorityBytes in
                        guard let method = methodBytes.baseAddress,
                            let path = pathBytes.baseAddress,
                            let authority = authorityBytes.baseAddress
                        else { preconditionFailure("no bytes") }
                        let target = FieldBlock.Target(
                            method: method,
                            methodCount: methodBytes.count,
                            isSecure: true,
                            authority: authority,
                            authorityCount: authorityBytes.count,
                            path: path,
                            pathCount: pathBytes.count - 1,
                            upgrade: upgrade
                        )
                        var writer = FieldBlock.Writer(
                            target,
                            to: out,
                            room: room,
                            encoder: &encoder
                        )
                        add(list, to: &writer, &encoder)
                        return writer
                    }
                }
            }
        }
    }

    @Test
    func `a parsed head is copied without what is dropped`() {
        let head = "HTTP/1.1 200 OK\r\nA: 1\r\nConnection: B\r\nB: 2\r\nSet-Cookie: c\r\n\r\n"
        var parsed = response(head)
        parsed.spans[0].flags |= FieldSpan.neverIndexed
        let room = FieldBlock.writeRoom(headBytes: head.utf8.count, fieldCount: 4)
        var encoder = HPACKEncoder()
        let bytes = written(room: room) { out in
            var writer = FieldBlock.Writer(status: 200, to: out, room: room, encoder: &encoder)
            parsed.bytes.withUnsafeBufferPointer { bytes in
                parsed.spans.withUnsafeBufferPointer { spans in
                    guard let base = bytes.baseAddress, let first = spans.baseAddress else {
                        return
                    }
                    writer.copyFields(base, first, count: spans.count, encoder: &encoder)
                }
            }
            return writer.count
        }
        var decoder = HPACKDecoder()
        let expected = [
            HeaderField(":status", "200"), HeaderField("a", "1", isNeverIndexed: true),
            HeaderField("set-cookie", "c", isNeverIndexed: true),
        ]
        #expect(decode(bytes, with: &decoder).fields == expected)
    }

    /// Memory of each size up to what is asked for: nothing is written past it.
    @Test
    func `a block that does not fit says so`() {
        let list = fields("Server: a\nX-Long-Name: \(String(repeating: "v", count: 50))")
        var fitting = 0
        for room in 0...room(list, pseudo: 3) {
            let found = block(room: room) { out, room, encoder in
                var writer = FieldBlock.Writer(status: 302, to: out, room: room, encoder: &encoder)
                add(list, to: &writer, &encoder)
                return writer
            }
            guard let found else { continue }
            fitting += 1
            #expect(found.count == 3)
        }
        #expect(fitting > 0)
    }
}
