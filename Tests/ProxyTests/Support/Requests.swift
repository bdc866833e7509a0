import HTTP
import PluginHost
import Sys

/// A parsed request head with its memory.
final class Request {
    private(set) var message: Message
    private var arena: Arena
    private let block = UnsafeMutableRawPointer.allocate(byteCount: 8_192, alignment: 16)

    /// - Parameters:
    ///   - host: the value of Host.
    ///   - fields: lines that each end with CRLF.
    init(_ host: String, _ target: String = "/", method: String = "GET", fields: String = "") {
        let text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n"
        arena = Arena(block: block, count: 8_192)
        guard let copy = arena.copy(Array(text.utf8), text.utf8.count),
            let spans = arena.allocate(FieldSpan.self, count: 100)
        else { preconditionFailure("no room for \(text)") }
        var head = RequestHead()
        let outcome = HeadParser.parseRequest(
            copy,
            count: text.utf8.count,
            limits: HeadLimits(),
            fields: spans,
            into: &head
        )
        precondition(outcome == .complete, "\(outcome): \(text)")
        message = Message(isRequest: true, head: UnsafePointer(copy), fields: spans)
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.method = Slice(copy + Int(head.methodStart), Int(head.methodLength))
        message.path = Slice(copy + Int(head.pathStart), Int(head.targetLength))
        message.authority = Slice(copy + Int(head.authorityStart), Int(head.authorityLength))
    }

    deinit {
        arena.release()
        block.deallocate()
    }

    func drop(_ id: FieldID) { message.drop(id) }

    func dropAll() { message.drop { _, _ in true } }

    func add(_ id: FieldID, _ name: StaticString, _ value: StaticString) {
        let isAdded = message.append(id: id, name: Slice(name), value: Slice(value), arena: &arena)
        precondition(isAdded, "no room for a field")
    }

    func setAuthority(_ text: StaticString) { message.authority = Slice(text) }
}
