import Testing

@testable import Discovery

/// Answers that are broken, forged or foreign: none is used, and none is read beyond its end.
struct HostileAnswerTests {
    typealias Message = DNSMessageTests.Message

    /// What an answer is refused for.
    struct Row: Sendable, CustomTestStringConvertible {
        let what: String
        let bytes: [UInt8]
        let fault: DNSFault
        var type = RecordType.a
        var isStream = false

        var testDescription: String { what }
    }

    private static func wire(_ text: String) -> [UInt8] { DNSMessageTests.wire(text) }

    private static func foreign(_ what: String, _ bytes: [UInt8]) -> Row {
        Row(what: what, bytes: bytes, fault: .foreign)
    }

    private static func broken(
        _ what: String,
        _ flaw: DNSFault.Flaw,
        _ message: Message,
        type: UInt16 = RecordType.a
    ) -> Row {
        Row(what: what, bytes: message.bytes, fault: .malformed(flaw), type: type)
    }

    static let foreignRows: [Row] = [
        foreign("nothing", []),
        foreign("one byte", [0x12]),
        foreign("half a header", Array(Message().bytes.prefix(11))),
        foreign("another id", Message(id: 0x1235).record4(1).bytes),
        foreign("the id's bytes swapped", Message(id: 0x3412).record4(1).bytes),
        foreign("a question", Message(flags: 0x0100).record4(1).bytes),
        foreign("a notification", Message(flags: 0xA180).record4(1).bytes),
        foreign("an update", Message(flags: 0xA980).record4(1).bytes),
        foreign("an opcode that nobody knows", Message(flags: 0xF980).record4(1).bytes),
        foreign("no question, but an answer", Message(questions: 0).bytes),
        foreign("two questions", Message(questions: 2).record4(1).bytes),
        foreign("65,535 questions", [0x12, 0x34, 0x81, 0x80, 255, 255, 0, 0, 0, 0, 0, 0]),
        foreign("another type", Message(type: RecordType.aaaa).record4(1).bytes),
        foreign("another name", Message(name: wire("app.exampl")).record4(1).bytes),
        foreign("a longer name", Message(name: wire("app.example.com")).record4(1).bytes),
        foreign("a name below", Message(name: wire("x.app.example")).record4(1).bytes),
        foreign("the root", Message(name: [0]).record4(1).bytes),
        foreign("a question that ends in its name", Array(Message().bytes.prefix(16))),
        foreign("a question that ends in its type", Array(Message().bytes.prefix(26))),
        foreign("a question that points at itself", Message(name: [0xC0, 12]).bytes),
        foreign("a question that points ahead", Message(name: [0xC0, 40]).bytes),
        foreign("a label that is too long", Message(name: [64] + wire("app.example")).bytes),
        foreign("dots in a label", Message(name: [11] + Array("app.example".utf8) + [0]).bytes),
        foreign(
            "another class",
            Array(Message().bytes.dropLast(1)) + [3] + Message().record4(1).bytes.dropFirst(29)
        ),
    ]

    static let lengthRows: [Row] = [
        broken("an answer that is not there", .short, Message()),
        broken("fewer answers than said", .short, Message(answers: 2).record4(1)),
        broken("65,535 answers", .short, Message(answers: 65_535).record4(1)),
        broken("65,535 authorities", .short, Message(authorities: 65_535).record4(1)),
        broken("65,535 more", .short, Message(additional: 65_535).record4(1)),
        broken("a record that ends in its name", .short, Message().with([3, 0x61])),
        broken("a record that ends in a pointer", .short, Message().with([0xC0])),
        broken("a record that ends in its type", .short, Message().with([0xC0, 12, 0])),
        broken("a record that ends in its class", .short, Message().with([0xC0, 12, 0, 1, 0])),
        broken(
            "a record that ends in its time",
            .short,
            Message().with([0xC0, 12, 0, 1, 0, 1, 0, 0])
        ),
        broken(
            "a record that ends in its length",
            .short,
            Message().with([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0])
        ),
        broken("data of no length", .length, Message().record(RecordType.a, [])),
        broken("an address of 3 bytes", .length, Message().record(RecordType.a, [1, 2, 3])),
        broken("an address of 5 bytes", .length, Message().record(RecordType.a, [1, 2, 3, 4, 5])),
        broken(
            "more length than bytes",
            .short,
            Message().record(RecordType.a, [1, 2, 3, 4], length: 5)
        ),
        broken(
            "65,535 bytes of data",
            .short,
            Message().record(RecordType.a, [1, 2, 3, 4], length: 65_535)
        ),
        broken(
            "less length than an address",
            .length,
            Message().record(RecordType.a, [1, 2, 3, 4], length: 2)
        ),
        broken("IPv4 as IPv6", .length, Message().record(RecordType.aaaa, [1, 2, 3, 4])),
        broken(
            "an IPv6 address of 17 bytes",
            .length,
            Message().record(RecordType.aaaa, [UInt8](repeating: 1, count: 17))
        ),
        broken("bytes behind the end", .trailing, Message().record4(1).with([0])),
        broken("a record more than said", .trailing, Message().record4(1).record4(2)),
        broken(
            "length that hides a record's end",
            .short,
            Message(answers: 2).record(16, [1], length: 12).record4(1)
        ),
        broken(
            "a service of 6 bytes",
            .short,
            Message(type: RecordType.srv).record(RecordType.srv, [0, 1, 0, 1, 0, 80]),
            type: RecordType.srv
        ),
        broken(
            "a service with bytes behind its target",
            .length,
            Message(type: RecordType.srv)
                .record(RecordType.srv, [0, 1, 0, 1, 0, 80] + wire("a.example") + [0]),
            type: RecordType.srv
        ),
        broken(
            "a service whose target runs out of its data",
            .length,
            Message(answers: 2, type: RecordType.srv)
                .record(RecordType.srv, [0, 1, 0, 1, 0, 80, 3], length: 7)
                .record(RecordType.a, [1, 2, 3, 4], name: [0]),
            type: RecordType.srv
        ),
        broken("an alias without a target", .short, Message().record(RecordType.cname, [])),
        broken(
            "an alias with bytes behind it",
            .length,
            Message().record(RecordType.cname, wire("a.example") + [7])
        ),
        broken(
            "a zone that is cut off",
            .short,
            Message(answers: 0, authorities: 1).record(RecordType.soa, [0, 0, 1, 2, 3])
        ),
        broken(
            "a zone with bytes behind it",
            .length,
            Message(answers: 0, authorities: 1)
                .record(RecordType.soa, [0, 0] + [UInt8](repeating: 0, count: 21))
        ),
    ]

    static let nameRows: [Row] = [
        broken(
            "a pointer to itself",
            .pointer,
            Message().record(1, [1, 2, 3, 4], name: [0xC0, 29])
        ),
        broken("a pointer ahead", .pointer, Message().record(1, [1, 2, 3, 4], name: [0xC0, 60])),
        broken(
            "a pointer behind the end",
            .pointer,
            Message().record(1, [1, 2, 3, 4], name: [0xFF, 0xFF])
        ),
        broken(
            "a label, and a pointer to it",
            .pointer,
            Message().record(1, [1, 2, 3, 4], name: [1, 0x61, 0xC0, 29])
        ),
        broken(
            "two pointers in a circle",
            .pointer,
            Message(answers: 2)
                .record(16, [0xC0, 43, 0xC0, 41])
                .record(1, [1, 2, 3, 4], name: [0xC0, 41])
        ),
        broken(
            "a pointer within the piece that it ends",
            .pointer,
            Message().record(1, [1, 2, 3, 4], name: [2, 0x61, 0x62, 0xC0, 30])
        ),
        broken("a label of kind 01", .label, Message().record(1, [1, 2, 3, 4], name: [0x41, 0])),
        broken("a label of kind 10", .label, Message().record(1, [1, 2, 3, 4], name: [0x80, 0])),
        broken(
            "a label of 64 bytes",
            .label,
            Message().record(1, [1, 2, 3, 4], name: [64] + [UInt8](repeating: 0x61, count: 65))
        ),
        broken(
            "a label that runs out of the message",
            .short,
            Message().with([63] + [UInt8](repeating: 0x61, count: 10))
        ),
        broken(
            "a name of 256 bytes",
            .nameLength,
            Message().record(1, [1, 2, 3, 4], name: longName(last: 62))
        ),
        broken(
            "a name that pointers make too long",
            .nameLength,
            Message(answers: 2)
                .record(16, longName(last: 50))
                .record(
                    1,
                    [1, 2, 3, 4],
                    name: [20] + [UInt8](repeating: 0x62, count: 20) + [0xC0, 41]
                )
        ),
        broken(
            "an alias to a circle",
            .pointer,
            Message().record(RecordType.cname, [0xC0, 41])
        ),
        broken(
            "a service whose target points ahead",
            .pointer,
            Message(type: RecordType.srv).record(RecordType.srv, [0, 1, 0, 1, 0, 80, 0xC0, 90]),
            type: RecordType.srv
        ),
    ]

    static let optionRows: [Row] = [
        broken(
            "options as an answer",
            .edns,
            Message().with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        ),
        broken(
            "options as an authority",
            .edns,
            Message(answers: 0, authorities: 1).with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        ),
        broken(
            "options twice",
            .edns,
            Message(answers: 0, additional: 2)
                .with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
                .with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        ),
        broken(
            "options with a name",
            .edns,
            Message(answers: 0, additional: 1).record(RecordType.opt, [])
        ),
        broken(
            "options that are too long",
            .short,
            Message(answers: 0, additional: 1).with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 9])
        ),
        Row(
            what: "truncated on a stream",
            bytes: Message(flags: 0x8380).record4(1).bytes,
            fault: .malformed(.truncatedStream),
            isStream: true
        ),
    ]

    /// A name of three labels of 63 bytes and a last one: 255 bytes when that has 61.
    private static func longName(last: Int) -> [UInt8] {
        var name: [UInt8] = []
        for count in [63, 63, 63, last] {
            name += [UInt8(count)] + [UInt8](repeating: 0x61, count: count)
        }
        return name + [0]
    }

    static let rows = foreignRows + lengthRows + nameRows + optionRows

    @Test func `there are many rows`() { #expect(Self.rows.count >= 60) }

    @Test(arguments: rows) func `is refused`(row: Row) throws {
        let query = DNSQuery(
            id: DNSMessageTests.id,
            question: try DNSMessageTests.question(row.type)
        )
        #expect(throws: row.fault) { try query.reply(row.bytes, isStream: row.isStream) }
    }

    @Test func `a name of 255 bytes is read`() throws {
        let message = Message().record(1, [1, 2, 3, 4], name: Self.longName(last: 61))
        #expect(try DNSMessageTests.reply(message).answers.count == 1)
    }

    @Test func `no beginning of an answer is an answer`() throws {
        let data: [UInt8] = [0, 10, 0, 5, 0x1F, 0x90] + Self.wire("node.example")
        let message = Message(additional: 2, type: RecordType.srv)
            .record(RecordType.srv, data)
            .record(RecordType.a, [192, 0, 2, 3], name: Self.wire("node.example"))
            .with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        let query = DNSQuery(
            id: DNSMessageTests.id,
            question: try DNSMessageTests.question(RecordType.srv)
        )
        #expect(throws: Never.self) { try query.reply(message.bytes) }
        for count in 0..<message.bytes.count {
            #expect(throws: DNSFault.self) { try query.reply(Array(message.bytes.prefix(count))) }
        }
    }

    @Test func `random changes of an answer end the same way every time`() throws {
        let message = Message(answers: 3)
            .record(RecordType.cname, Self.wire("b.example"))
            .record(RecordType.a, [192, 0, 2, 9], name: Self.wire("b.example"))
            .record(RecordType.aaaa, [UInt8](repeating: 7, count: 16), name: [0xC0, 41])
        let query = DNSQuery(id: DNSMessageTests.id, question: try DNSMessageTests.question())
        var seed: UInt64 = 0x5EED
        func random(_ bound: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % bound
        }
        for _ in 0..<20_000 {
            var bytes = message.bytes
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            if random(4) == 0 { bytes.removeLast(random(bytes.count)) }
            // Either an answer or a fault; reading beyond the end would end the process.
            let first = try? query.reply(bytes)
            #expect(first == (try? query.reply(bytes)))
            if let first { _ = first.finding(for: query.question) }
        }
    }
}
