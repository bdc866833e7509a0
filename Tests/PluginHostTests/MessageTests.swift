import HTTP
import Sys
import Testing

@testable import PluginHost

struct MessageTests {
    private let exchange = Exchange(
        request: "GET /a HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\naccept:\t*/*\r\nX-Two:2\r\n"
            + "ACCEPT: text/html\r\n\r\n"
    )

    private func add(_ id: FieldID, _ name: StaticString, _ value: StaticString) -> Bool {
        exchange.context.pointee.request.append(
            id: id,
            name: Slice(name),
            value: Slice(value),
            arena: &exchange.context.pointee.arena
        )
    }

    private func drop(_ id: FieldID) { exchange.context.pointee.request.drop(id) }

    private var request: Message { exchange.context.pointee.request }

    @Test
    func `an untouched head is written as it was received`() {
        #expect(
            exchange.requestFields
                == "Host: a.example\nX-One: 1\naccept:\t*/*\nX-Two:2\nACCEPT: text/html\n"
        )
    }

    @Test
    func `added fields come at the end, in order`() {
        #expect(add(.unknown, "X-Three", "3"))
        #expect(add(.accept, "accept", ""))
        #expect(
            exchange.requestFields
                == "Host: a.example\nX-One: 1\naccept:\t*/*\nX-Two:2\nACCEPT: text/html\n"
                + "X-Three: 3\naccept: \n"
        )
    }

    @Test
    func `a dropped id takes all its fields, received and added`() {
        #expect(add(.accept, "accept", "b"))
        #expect(request.has(.accept))
        drop(.accept)
        #expect(!request.has(.accept))
        #expect(exchange.requestFields == "Host: a.example\nX-One: 1\nX-Two:2\n")
        #expect(add(.accept, "accept", "c"))
        #expect(request.has(.accept))
        #expect(exchange.requestFields == "Host: a.example\nX-One: 1\nX-Two:2\naccept: c\n")
        drop(.host)
        #expect(exchange.requestFields == "X-One: 1\nX-Two:2\naccept: c\n")
    }

    @Test
    func `fields are dropped by what their name says`() {
        #expect(add(.unknown, "x-three", "3"))
        exchange.context.pointee.request.drop { name, count in
            Slice(name, count).text.lowercased().hasPrefix("x-t")
        }
        #expect(
            exchange.requestFields
                == "Host: a.example\nX-One: 1\naccept:\t*/*\nACCEPT: text/html\n"
        )
    }

    @Test
    func `a message without fields writes none`() {
        for id in [FieldID.host, .accept] { drop(id) }
        exchange.context.pointee.request.drop { _, _ in true }
        #expect(exchange.requestFields == "")
    }

    @Test
    func `the received value stays, dropped or not`() {
        #expect(request.received(.host)?.text == "a.example")
        drop(.host)
        #expect(request.received(.host)?.text == "a.example")
        #expect(request.received(.accept)?.text == "*/*")
        #expect(request.received(.cookie) == nil)
    }

    @Test
    func `fields may be added up to a bound`() {
        for index in 0..<Message.addedMax {
            #expect(add(.unknown, "x", "y"), "field \(index)")
        }
        #expect(request.addedCount == Message.addedMax)
        #expect(!add(.unknown, "x", "y"))
        #expect(request.addedCount == Message.addedMax)
        #expect(exchange.requestFields.hasSuffix(String(repeating: "x: y\n", count: 256)))
    }

    @Test(arguments: [
        (Message.addedMax - 1, true), (Message.addedMax, true), (Message.addedMax + 1, false),
    ])
    func `room is made at once`(count: Int, isRoom: Bool) {
        let made = exchange.context.pointee.request.reserve(
            count,
            &exchange.context.pointee.arena
        )
        #expect(made == isRoom)
    }

    @Test
    func `fields added before survive growth`() {
        for _ in 0..<8 { #expect(add(.unknown, "a", "1")) }
        #expect(add(.unknown, "b", "2"))
        #expect(exchange.requestFields.hasSuffix(String(repeating: "a: 1\n", count: 8) + "b: 2\n"))
    }

    @Test
    func `without memory nothing is added`() {
        while exchange.context.pointee.arena.allocate(1_024) != nil {}
        while exchange.context.pointee.arena.allocate(16) != nil {}
        #expect(!add(.unknown, "x", "y"))
        #expect(request.addedCount == 0)
    }

    @Test
    func `a length replaces those before it`() {
        let exchange = exchange.context
        for length in [UInt64(7), 0, .max] {
            #expect(
                exchange.pointee.request.setContentLength(length, arena: &exchange.pointee.arena)
            )
        }
        let lines = self.exchange.requestFields.split(separator: "\n")
        #expect(
            lines.filter { $0.hasPrefix("content-length") }
                == ["content-length: \(UInt64.max)"]
        )
    }

    @Test
    func `without memory there is no length at all`() {
        #expect(add(.contentLength, "content-length", "5"))
        while exchange.context.pointee.arena.allocate(1) != nil {}
        // Room for the field, but none for its digits.
        #expect(
            !exchange.context.pointee.request.setContentLength(
                6,
                arena: &exchange.context.pointee.arena
            )
        )
        #expect(!request.has(.contentLength))
    }
}
