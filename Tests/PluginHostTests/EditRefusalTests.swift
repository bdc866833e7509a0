import CSluice
import HTTP
import Testing

@testable import PluginHost

/// Edits that are refused; none of the others of the same hook is then applied.
struct EditRefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var op: Int
        var id = 0
        var name = ""
        var value = ""
        var error: EditError

        var testDescription: String { "\(op) \(id) \(name.prefix(20)) \(value.prefix(20))" }
    }

    private let views = HeaderView()
    private let exchange = Exchange()

    private func expectRefused(_ edit: Case) {
        var edits = sluice_edits()
        edits.capacity = 3
        edits.ops = .allocate(capacity: 3)
        defer { edits.ops.deallocate() }
        edits.add(SLUICE_EDIT_SET, name: "x-before", value: "1")
        edits.add(edit.op, id: edit.id, name: edit.name, value: edit.value)
        edits.add(SLUICE_EDIT_SET_PATH, value: "/after")
        let context = exchange.context
        let before = exchange.requestFields
        let error = Edits(names: views.templates).apply(
            &edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
        #expect(error == edit.error)
        #expect(exchange.requestFields == before)
        #expect(context.pointee.request.path.text == "/")
        #expect(context.pointee.request.epoch == 0)
    }

    @Test(arguments: [
        "", "a b", "a:", "a\r", "a\n", "\u{e9}", "(", String(repeating: "n", count: 257), ":path",
    ])
    func `a name that is no token`(name: String) {
        for op in [
            SLUICE_EDIT_SET, SLUICE_EDIT_APPEND, SLUICE_EDIT_ADD_IF_ABSENT, SLUICE_EDIT_REMOVE,
            SLUICE_EDIT_REMOVE_PREFIX,
        ] {
            expectRefused(Case(op: op, name: name, error: .badName))
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 124, 127, 128, 256 + 22, 65_536 + 22, 1 << 31])
    func `an id that stands for no field`(id: Int) {
        for op in [SLUICE_EDIT_SET, SLUICE_EDIT_REMOVE] {
            expectRefused(Case(op: op, id: id, value: "v", error: .badName))
        }
    }

    @Test(arguments: [
        " v", "v ", "a\rb", "a\nb", "a\u{0}b", "\u{7f}", "\u{1b}",
        String(repeating: "v", count: 65_536),
    ])
    func `a value that may not be written`(value: String) {
        for op in [SLUICE_EDIT_SET, SLUICE_EDIT_APPEND, SLUICE_EDIT_ADD_IF_ABSENT] {
            expectRefused(Case(op: op, name: "x", value: value, error: .badValue))
            expectRefused(
                Case(op: op, id: Int(FieldID.accept.rawValue), value: value, error: .badValue)
            )
        }
    }

    @Test
    func `a value of nothing that has a length`() {
        var edits = sluice_edits()
        edits.capacity = 1
        edits.ops = .allocate(capacity: 1)
        defer { edits.ops.deallocate() }
        edits.add(SLUICE_EDIT_SET, name: "x")
        edits.ops[0].value = sluice_slice(ptr: nil, len: 1)
        let context = exchange.context
        let error = Edits(names: views.templates).apply(
            &edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
        #expect(error == .badValue)
    }

    @Test(arguments: [
        "Host", "Connection", "CONTENT-LENGTH", "transfer-encoding", "TE", "Trailer", "Upgrade",
        "Keep-Alive", "Proxy-Connection",
    ])
    func `fields that only the host writes, by name or id`(name: String) {
        let id = Int(FieldNames.id(Array(name.utf8), count: name.utf8.count).rawValue)
        #expect(id >= 8)
        for op in [
            SLUICE_EDIT_SET, SLUICE_EDIT_APPEND, SLUICE_EDIT_ADD_IF_ABSENT, SLUICE_EDIT_REMOVE,
        ] {
            expectRefused(Case(op: op, name: name, value: "1", error: .connectionField))
            expectRefused(Case(op: op, id: id, value: "1", error: .connectionField))
        }
    }

    @Test(arguments: [
        Case(op: 0, error: .unknownOperation), Case(op: 10, error: .unknownOperation),
        Case(op: 1 << 31, error: .unknownOperation),
        Case(op: SLUICE_EDIT_SET_METHOD, value: "", error: .badValue),
        Case(op: SLUICE_EDIT_SET_METHOD, value: "G T", error: .badValue),
        Case(op: SLUICE_EDIT_SET_PATH, value: "", error: .badTarget),
        Case(op: SLUICE_EDIT_SET_PATH, value: "a", error: .badTarget),
        Case(op: SLUICE_EDIT_SET_PATH, value: "/a b", error: .badTarget),
        Case(op: SLUICE_EDIT_SET_PATH, value: "/a\r\nx: y", error: .badTarget),
        Case(op: SLUICE_EDIT_SET_AUTHORITY, value: "", error: .badValue),
        Case(op: SLUICE_EDIT_SET_AUTHORITY, value: "a b", error: .badValue),
        Case(op: SLUICE_EDIT_SET_AUTHORITY, value: "a@b", error: .badValue),
        Case(op: SLUICE_EDIT_SET_AUTHORITY, value: "a:99999", error: .badValue),
        Case(op: SLUICE_EDIT_SET_STATUS, id: 200, error: .wrongMessage),
    ])
    func `operations with bad operands`(edit: Case) {
        expectRefused(edit)
    }

    @Test(
        arguments: [
            (Message.addedMax - 1, nil), (Message.addedMax, nil), (Message.addedMax + 1, .tooMany),
        ] as [(Int, EditError?)]
    )
    func `more fields than may be added`(count: Int, error: EditError?) {
        var edits = sluice_edits()
        edits.capacity = UInt32(count)
        edits.ops = .allocate(capacity: count)
        defer { edits.ops.deallocate() }
        for _ in 0..<count { edits.add(SLUICE_EDIT_APPEND, name: "x", value: "y") }
        let context = exchange.context
        let found = Edits(names: views.templates).apply(
            &edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
        #expect(found == error)
        #expect(context.pointee.request.addedCount == (error == nil ? count : 0))
    }

    @Test
    func `more edits than there is room for`() {
        var edits = sluice_edits()
        edits.capacity = 1
        edits.ops = .allocate(capacity: 2)
        defer { edits.ops.deallocate() }
        edits.add(SLUICE_EDIT_APPEND, name: "x")
        edits.add(SLUICE_EDIT_APPEND, name: "x")
        let context = exchange.context
        let error = Edits(names: views.templates).apply(
            &edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
        #expect(error == .tooMany)
    }

    @Test
    func `values that the request's memory can't hold`() {
        var edits = sluice_edits()
        edits.capacity = 16
        edits.ops = .allocate(capacity: 16)
        defer { edits.ops.deallocate() }
        let value = String(repeating: "v", count: 65_535)
        for _ in 0..<9 { edits.add(SLUICE_EDIT_APPEND, name: "x", value: value) }
        let context = exchange.context
        let error = Edits(names: views.templates).apply(
            &edits,
            to: &context.pointee.request,
            known: (.max, .max),
            &context.pointee.arena
        )
        #expect(error == .outOfMemory)
        #expect(context.pointee.request.addedCount == 0)
    }
}
