import CSluice
import HTTP
import Sys
import Testing

@testable import PluginHost

struct HeaderViewTests {
    private let views = HeaderView()

    private struct Seen: Equatable {
        var name: String
        var value: String
        var id: Int
        var flags: Int

        init(_ name: String, _ value: String, _ id: Int, _ flags: Int = 0) {
            self.name = name
            self.value = value
            self.id = id
            self.flags = flags
        }

        init(_ field: sluice_field) {
            name = Slice(field.name, Int(field.name_len)).text
            value = Slice(field.value, Int(field.value_len)).text
            id = Int(field.id)
            flags = Int(field.flags)
        }
    }

    private func view(
        _ exchange: Exchange,
        isRequest: Bool = true
    ) throws -> UnsafeMutablePointer<sluice_headers> {
        let context = exchange.context
        let made =
            isRequest
            ? views.make(
                &context.pointee.request,
                &context.pointee.requestView,
                &context.pointee.requestViewIsCurrent,
                &context.pointee.arena,
                secure: context.pointee.facts.secure
            )
            : views.make(
                &context.pointee.response,
                &context.pointee.responseView,
                &context.pointee.responseViewIsCurrent,
                &context.pointee.arena
            )
        return try #require(made)
    }

    private func fields(_ view: UnsafeMutablePointer<sluice_headers>) -> [Seen] {
        (0..<Int(view.pointee.count)).map { Seen(view.pointee.fields[$0]) }
    }

    /// Index of the first field of each id that has its bit.
    private func known(_ view: UnsafeMutablePointer<sluice_headers>) -> [Int: Int] {
        var found: [Int: Int] = [:]
        for id in 0..<128 {
            let bits = id < 64 ? view.pointee.known_bits.0 : view.pointee.known_bits.1
            guard bits >> UInt64(id % 64) & 1 == 1 else { continue }
            found[id] = withUnsafeBytes(of: &view.pointee.known_index) {
                Int($0.load(fromByteOffset: id * 2, as: UInt16.self))
            }
        }
        return found
    }

    private let pseudo = Int(SLUICE_FIELD_FLAG_PSEUDO)
    private let repeated = Int(SLUICE_FIELD_FLAG_REPEATED)
    private let sensitive = Int(SLUICE_FIELD_FLAG_SENSITIVE)

    @Test
    func `a request has its pseudo-fields first, then the fields in order`() throws {
        let exchange = Exchange(
            request: "POST /p?q HTTP/1.1\r\nX-Odd-NAME: V\r\nHOST: a.example:80\r\nCookie: a\r\n"
                + "Accept: b\r\naccept: c\r\nCOOKIE: d\r\nDNT: 1\r\nx-lower: e\r\n\r\n"
        )
        let view = try view(exchange)
        #expect(
            fields(view) == [
                Seen(":method", "POST", 1, pseudo), Seen(":scheme", "http", 2, pseudo),
                Seen(":authority", "a.example:80", 3, pseudo), Seen(":path", "/p?q", 4, pseudo),
                Seen("x-odd-name", "V", 0), Seen("host", "a.example:80", 8),
                Seen("cookie", "a", 49, sensitive), Seen("accept", "b", 22),
                Seen("accept", "c", 22, repeated), Seen("cookie", "d", 49, sensitive | repeated),
                Seen("dnt", "1", 109), Seen("x-lower", "e", 0),
            ]
        )
        #expect(known(view) == [1: 0, 2: 1, 3: 2, 4: 3, 8: 5, 49: 6, 22: 7, 109: 10])
        #expect(view.pointee.size == UInt32(MemoryLayout<sluice_headers>.size))
        #expect(view.pointee.status == 0)
        #expect(
            exchange.requestFields.hasPrefix("X-Odd-NAME: V\n"),
            "the message keeps its case"
        )
    }

    @Test func `the scheme of a request that came over TLS is https`() throws {
        let exchange = Exchange()
        exchange.context.pointee.facts.secure = 1
        #expect(fields(try view(exchange))[1] == Seen(":scheme", "https", 2, pseudo))
    }

    @Test(arguments: [100, 200, 404, 999])
    func `a response has its status as a field`(status: Int) throws {
        let exchange = Exchange(
            response: "HTTP/1.1 \(status) OK\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n"
        )
        let view = try view(exchange, isRequest: false)
        #expect(view.pointee.status == UInt32(status))
        #expect(
            fields(view) == [
                Seen(":status", "\(status)", 5, pseudo), Seen("set-cookie", "a", 50, sensitive),
                Seen("set-cookie", "b", 50, sensitive | repeated),
            ]
        )
        #expect(known(view) == [5: 0, 50: 1])
    }

    @Test
    func `fields of the connection are left out`() throws {
        let exchange = Exchange(
            request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
                + "Keep-Alive: 1\r\nX-End: 2\r\n\r\n"
        )
        let view = try view(exchange)
        #expect(fields(view).dropFirst(4).map(\.name) == ["host", "x-end"])
    }

    @Test
    func `added fields are seen, and dropped ones are not`() throws {
        let exchange = Exchange()
        let context = exchange.context
        for (id, name, value) in [
            (FieldID.unknown, "X-New", "1"), (.accept, "accept", "a"), (.accept, "accept", "b"),
        ] as [(FieldID, StaticString, StaticString)] {
            let isAdded = context.pointee.request.append(
                id: id,
                name: Slice(name),
                value: Slice(value),
                arena: &context.pointee.arena
            )
            #expect(isAdded)
        }
        var seen = fields(try view(exchange)).dropFirst(4)
        #expect(
            Array(seen) == [
                Seen("host", "a.example", 8), Seen("x-new", "1", 0), Seen("accept", "a", 22),
                Seen("accept", "b", 22, repeated),
            ]
        )
        context.pointee.request.drop(.accept)
        context.pointee.request.drop(.host)
        context.pointee.requestChanged()
        let anew = try view(exchange)
        seen = fields(anew).dropFirst(4)
        #expect(Array(seen) == [Seen("x-new", "1", 0)])
        #expect(known(anew) == [1: 0, 2: 1, 3: 2, 4: 3])
    }

    @Test
    func `a current view is not built again`() throws {
        let exchange = Exchange()
        let first = try view(exchange)
        exchange.context.pointee.request.drop(.host)
        #expect(fields(try view(exchange)).count == 5)
        exchange.context.pointee.requestChanged()
        let second = try view(exchange)
        #expect(second == first, "the same memory")
        #expect(fields(second).count == 4)
    }

    @Test
    func `without memory there is no view`() {
        let exchange = Exchange()
        let context = exchange.context
        while context.pointee.arena.allocate(1_024) != nil {}
        while context.pointee.arena.allocate(16) != nil {}
        let made = views.make(
            &context.pointee.request,
            &context.pointee.requestView,
            &context.pointee.requestViewIsCurrent,
            &context.pointee.arena
        )
        #expect(made == nil)
        #expect(!context.pointee.requestViewIsCurrent)
    }
}
