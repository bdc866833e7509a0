import CSluice
import HTTP
import Sys
import Testing

@testable import PluginHost

struct EditsTests {
    private let views = HeaderView()
    private let exchange = Exchange(
        request: "GET /a HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nAccept: b\r\nX-Only: 2\r\n"
            + "accept: c\r\nx-one: 3\r\n\r\n",
        response: "HTTP/1.1 200 OK\r\nServer: s\r\nX-One: 1\r\nContent-Length: 0\r\n\r\n"
    )

    /// Applies the edits that `make` asks for.
    private func apply(
        toResponse: Bool = false,
        capacity: Int = 300,
        _ make: (inout sluice_edits) -> Void
    ) -> EditError? {
        var edits = sluice_edits()
        edits.capacity = UInt32(capacity)
        edits.ops = .allocate(capacity: capacity)
        defer { edits.ops.deallocate() }
        make(&edits)
        let editor = Edits(names: views.templates)
        let context = exchange.context
        return toResponse
            ? editor.apply(
                &edits,
                to: &context.pointee.response,
                known: (.max, .max),
                &context.pointee.arena
            )
            : editor.apply(
                &edits,
                to: &context.pointee.request,
                known: (.max, .max),
                &context.pointee.arena
            )
    }

    private var accept: Int { Int(FieldID.accept.rawValue) }

    @Test(arguments: [0, Int(FieldID.accept.rawValue)], ["Accept", "accept", "ACCEPT"])
    func `a known field is edited by its id or its name`(id: Int, name: String) {
        let name = id == 0 ? name : ""
        #expect(apply { $0.add(SLUICE_EDIT_SET, id: id, name: name, value: "n") } == nil)
        let others = "Host: a.example\nX-One: 1\nX-Only: 2\nx-one: 3\n"
        let written = id == 0 ? name : "accept"
        #expect(exchange.requestFields == others + "\(written): n\n")
        #expect(apply { $0.add(SLUICE_EDIT_APPEND, id: id, name: name, value: "m") } == nil)
        #expect(exchange.requestFields == others + "\(written): n\n\(written): m\n")
        #expect(apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, id: id, name: name) } == nil)
        #expect(exchange.requestFields == others + "\(written): n\n\(written): m\n")
        #expect(apply { $0.add(SLUICE_EDIT_REMOVE, id: id, name: name) } == nil)
        #expect(exchange.requestFields == others)
        #expect(
            apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, id: id, name: name, value: "o") } == nil
        )
        #expect(exchange.requestFields == others + "\(written): o\n")
    }

    @Test(arguments: ["X-One", "x-one", "X-ONE"])
    func `an unknown field is edited by its name in any case`(name: String) {
        let others = "Host: a.example\nAccept: b\nX-Only: 2\naccept: c\n"
        #expect(apply { $0.add(SLUICE_EDIT_SET, name: name, value: "n") } == nil)
        #expect(exchange.requestFields == others + "\(name): n\n")
        #expect(apply { $0.add(SLUICE_EDIT_APPEND, name: "x-ONE", value: "m") } == nil)
        #expect(exchange.requestFields == others + "\(name): n\nx-ONE: m\n")
        #expect(apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, name: name, value: "o") } == nil)
        #expect(exchange.requestFields == others + "\(name): n\nx-ONE: m\n")
        #expect(apply { $0.add(SLUICE_EDIT_REMOVE, name: name) } == nil)
        #expect(exchange.requestFields == others)
        #expect(apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, name: name, value: "p") } == nil)
        #expect(exchange.requestFields == others + "\(name): p\n")
    }

    @Test
    func `a received field keeps an absent one from being added`() {
        #expect(apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, name: "x-only", value: "n") } == nil)
        #expect(apply { $0.add(SLUICE_EDIT_ADD_IF_ABSENT, id: accept, value: "n") } == nil)
        #expect(exchange.requestFields.contains(": n") == false)
    }

    @Test
    func `edits of one hook see those before them`() {
        let error = apply {
            $0.add(SLUICE_EDIT_REMOVE, id: accept)
            $0.add(SLUICE_EDIT_ADD_IF_ABSENT, id: accept, value: "1")
            $0.add(SLUICE_EDIT_ADD_IF_ABSENT, id: accept, value: "2")
            $0.add(SLUICE_EDIT_SET, name: "Accept", value: "3")
            $0.add(SLUICE_EDIT_SET, id: accept, value: "4")
        }
        #expect(error == nil)
        #expect(
            exchange.requestFields
                == "Host: a.example\nX-One: 1\nX-Only: 2\nx-one: 3\naccept: 4\n"
        )
    }

    @Test(arguments: [("x-o", ""), ("X-ON", ""), ("x-one", "X-Only: 2\n"), ("x-onlyy", "all")])
    func `fields are removed by prefix in any case`(prefix: String, left: String) {
        #expect(apply { $0.add(SLUICE_EDIT_APPEND, name: "X-One-Added") } == nil)
        #expect(apply { $0.add(SLUICE_EDIT_REMOVE_PREFIX, name: prefix) } == nil)
        let all =
            "Host: a.example\nX-One: 1\nAccept: b\nX-Only: 2\naccept: c\nx-one: 3\n"
            + "X-One-Added: \n"
        let expected = "Host: a.example\nAccept: b\n" + left + "accept: c\n"
        #expect(exchange.requestFields == (left == "all" ? all : expected))
    }

    @Test(arguments: ["h", "host", "c", "content-", "Content-Length", "t"])
    func `a prefix never removes fields of the host`(prefix: String) {
        for toResponse in [false, true] {
            let error = apply(toResponse: toResponse) {
                $0.add(SLUICE_EDIT_REMOVE_PREFIX, name: prefix)
            }
            #expect(error == nil)
        }
        #expect(exchange.requestFields.hasPrefix("Host: a.example\n"))
        #expect(exchange.responseFields.hasSuffix("Content-Length: 0\n"))
    }

    @Test
    func `a request's line is edited`() {
        let error = apply {
            $0.add(SLUICE_EDIT_SET_METHOD, value: "PURGE")
            $0.add(SLUICE_EDIT_SET_PATH, value: "/b?c=d")
            $0.add(SLUICE_EDIT_SET_AUTHORITY, value: "b.example:8080")
        }
        #expect(error == nil)
        let request = exchange.context.pointee.request
        #expect(request.method.text == "PURGE")
        #expect(request.path.text == "/b?c=d")
        #expect(request.authority.text == "b.example:8080")
        #expect(request.isAuthorityChanged)
        #expect(!exchange.requestFields.contains("Host"), "the host writes it")
        #expect(request.epoch == 1)
    }

    @Test(arguments: [(199, false), (200, true), (599, true), (600, false), (0, false)])
    func `a response's status is edited within its range`(status: Int, isAllowed: Bool) {
        let error = apply(toResponse: true) { $0.add(SLUICE_EDIT_SET_STATUS, id: status) }
        #expect(error == (isAllowed ? nil : .badStatus))
        #expect(exchange.context.pointee.response.status == (isAllowed ? UInt16(status) : 200))
    }

    @Test(arguments: [SLUICE_EDIT_SET_METHOD, SLUICE_EDIT_SET_PATH, SLUICE_EDIT_SET_AUTHORITY])
    func `the line of a request is none of a response's`(op: Int) {
        #expect(apply(toResponse: true) { $0.add(op, value: "/") } == .wrongMessage)
        #expect(
            apply { $0.add(SLUICE_EDIT_SET_STATUS, id: 200) } == .wrongMessage
        )
    }

    @Test
    func `a name of a known id needs no text, whatever stands there`() {
        let error = apply {
            $0.add(SLUICE_EDIT_SET, id: accept, value: "n")
            $0.ops[0].name = sluice_slice(ptr: nil, len: .max)
            $0.add(SLUICE_EDIT_SET_PATH, value: "/b")
            $0.ops[1].name = sluice_slice(ptr: nil, len: 1 << 62)
        }
        #expect(error == nil)
        #expect(exchange.requestFields.hasSuffix("accept: n\n"))
        #expect(exchange.context.pointee.request.path.text == "/b")
    }
}
