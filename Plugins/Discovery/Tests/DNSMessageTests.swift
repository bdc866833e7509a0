import SluiceSDK
import Testing

@testable import Discovery

/// Answers as bytes, good ones and hostile ones.
struct DNSMessageTests {
    static let name = DomainName(text: Array("app.example".utf8))
    static let id: UInt16 = 0x1234

    /// Piece by piece: what a server sends.
    struct Message {
        var bytes: [UInt8]

        /// A header with the question, as a server repeats it.
        init(
            flags: UInt16 = 0x8180,
            answers: Int = 1,
            authorities: Int = 0,
            additional: Int = 0,
            type: UInt16 = RecordType.a,
            id: UInt16 = DNSMessageTests.id,
            questions: Int = 1,
            name: [UInt8]? = nil
        ) {
            bytes = []
            for word in [Int(id), Int(flags), questions, answers, authorities, additional] {
                bytes += [UInt8(word >> 8), UInt8(word & 0xFF)]
            }
            for _ in 0..<questions {
                bytes += name ?? DNSMessageTests.name?.wire ?? []
                bytes += [UInt8(type >> 8), UInt8(type & 0xFF), 0, 1]
            }
        }

        func with(_ more: [UInt8]) -> Message {
            var message = self
            message.bytes += more
            return message
        }

        /// A record whose name points to the question's.
        func record(
            _ type: UInt16,
            _ data: [UInt8],
            seconds: UInt32 = 60,
            name: [UInt8] = [0xC0, 12],
            kind: UInt8 = 1,
            length: Int? = nil
        ) -> Message {
            let length = length ?? data.count
            let time = [24, 16, 8, 0].map { UInt8(seconds >> $0 & 0xFF) }
            return with(name + [UInt8(type >> 8), UInt8(type & 0xFF), 0, kind])
                .with(time + [UInt8(length >> 8), UInt8(length & 0xFF)] + data)
        }

        func record4(_ last: UInt8, seconds: UInt32 = 60) -> Message {
            record(RecordType.a, [192, 0, 2, last], seconds: seconds)
        }
    }

    static func wire(_ text: String) -> [UInt8] {
        DomainName(text: Array(text.utf8))?.wire ?? []
    }

    static func question(_ type: UInt16 = RecordType.a) throws -> DNSQuestion {
        DNSQuestion(name: try #require(name), type: type)
    }

    static func reply(
        _ message: Message,
        _ type: UInt16 = RecordType.a,
        isStream: Bool = false
    ) throws -> DNSReply {
        try DNSQuery(id: id, question: question(type)).reply(message.bytes, isStream: isStream)
    }

    static func finding(_ message: Message, _ type: UInt16 = RecordType.a) throws -> DNSFinding {
        try reply(message, type).finding(for: question(type))
    }

    static func addresses(_ finding: DNSFinding) -> [String] {
        guard case .records(let records, _) = finding else { return [] }
        return records.map { record in
            guard case .address(let address) = record.content else { return "?" }
            return String(decoding: address.text, as: UTF8.self)
        }
    }

    // MARK: Questions

    @Test func `a question asks for recursion and says what fits`() throws {
        let query = DNSQuery(id: 0xABCD, question: try Self.question(RecordType.srv))
        let bytes = query.bytes
        #expect(Array(bytes[0..<12]) == [0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1])
        #expect(Array(bytes[12..<25]) == Self.wire("app.example"))
        #expect(Array(bytes[25..<29]) == [0, 33, 0, 1])
        #expect(Array(bytes[29...]) == [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        var plain = query
        plain.hasOptions = false
        #expect(plain.bytes.count == 29)
        #expect(plain.bytes[11] == 0)
    }

    // MARK: Good answers

    @Test func `addresses are read with the least of their times`() throws {
        let message = Message(answers: 2).record4(1, seconds: 300).record4(2, seconds: 20)
        let finding = try Self.finding(message)
        #expect(Self.addresses(finding) == ["192.0.2.1", "192.0.2.2"])
        guard case .records(_, let seconds) = finding else { return }
        #expect(seconds == 20)
    }

    @Test func `an IPv6 address is read`() throws {
        let data: [UInt8] = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        let message = Message(type: RecordType.aaaa).record(RecordType.aaaa, data)
        #expect(Self.addresses(try Self.finding(message, RecordType.aaaa)) == ["2001:db8::1"])
    }

    @Test func `aliases are followed and count for the time`() throws {
        let message = Message(answers: 3)
            .record(RecordType.cname, Self.wire("b.example"), seconds: 7)
            .record(RecordType.cname, Self.wire("c.example"), name: Self.wire("b.example"))
            .record(RecordType.a, [192, 0, 2, 9], name: Self.wire("c.example"))
        let finding = try Self.finding(message)
        #expect(Self.addresses(finding) == ["192.0.2.9"])
        guard case .records(_, let seconds) = finding else { return }
        #expect(seconds == 7)
    }

    @Test func `aliases in a circle are a failure`() throws {
        let message = Message(answers: 2)
            .record(RecordType.cname, Self.wire("b.example"))
            .record(RecordType.cname, [0xC0, 12], name: Self.wire("b.example"))
        #expect(try Self.finding(message) == .failed(code: ResponseCode.serverFailure))
    }

    @Test(arguments: [(16, true), (17, false)])
    func `a chain of aliases has a bound`(count: Int, isFollowed: Bool) throws {
        var message = Message(answers: count + 1)
        for index in 0..<count {
            let name = index == 0 ? [0xC0, 12] : Self.wire("n\(index).example")
            message = message.record(
                RecordType.cname,
                Self.wire("n\(index + 1).example"),
                name: name
            )
        }
        message = message.record(
            RecordType.a,
            [192, 0, 2, 1],
            name: Self.wire("n\(count).example")
        )
        #expect((Self.addresses(try Self.finding(message)).count == 1) == isFollowed)
    }

    @Test func `records of other names and kinds are passed over`() throws {
        let message = Message(answers: 4)
            .record(RecordType.a, [192, 0, 2, 7], name: Self.wire("other.example"))
            .record(16, [1, 0x61])
            .record(RecordType.a, [192, 0, 2, 8], kind: 3)
            .record4(1)
        #expect(Self.addresses(try Self.finding(message)) == ["192.0.2.1"])
    }

    @Test func `names are the same in any case`() throws {
        let message = Message(name: [3] + Array("aPP".utf8) + [7] + Array("EXAMPLE".utf8) + [0])
        #expect(Self.addresses(try Self.finding(message.record4(1))) == ["192.0.2.1"])
    }

    @Test func `a time with the highest bit counts as none`() throws {
        let finding = try Self.finding(Message().record4(1, seconds: 0x8000_0001))
        guard case .records(_, let seconds) = finding else { return }
        #expect(seconds == 0)
    }

    @Test func `services come with the addresses beside them`() throws {
        let data: [UInt8] = [0, 10, 0, 5, 0x1F, 0x90] + Self.wire("node.example")
        let message = Message(additional: 2, type: RecordType.srv)
            .record(RecordType.srv, data)
            .record(RecordType.a, [192, 0, 2, 3], name: Self.wire("node.example"))
            .with([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
        let reply = try Self.reply(message, RecordType.srv)
        #expect(reply.additional.count == 1)
        guard case .records(let records, _) = reply.finding(for: try Self.question(RecordType.srv)),
            case .service(let service) = try #require(records.first).content
        else {
            Issue.record("no service")
            return
        }
        #expect((service.priority, service.weight, service.port) == (10, 5, 8_080))
        #expect(service.target.text == "node.example")
    }

    @Test(arguments: [(600, 30, 30), (5, 30, 5), (600, 0x9000_0000, 0)] as [(UInt32, UInt32, Int)])
    func `there being none is kept for as long as the zone says`(
        seconds: UInt32,
        minimum: UInt32,
        wanted: Int
    ) throws {
        let times = [24, 16, 8, 0].map { UInt8(minimum >> $0 & 0xFF) }
        let data = [0, 0] + [UInt8](repeating: 0, count: 16) + times
        for code: UInt16 in [0, 3] {
            let message = Message(flags: 0x8180 | code, answers: 0, authorities: 1)
                .record(RecordType.soa, data, seconds: seconds, name: Self.wire("example"))
            #expect(try Self.finding(message) == .none(isNoSuchName: code == 3, seconds: wanted))
        }
    }

    @Test func `there being none without a zone has no time`() throws {
        #expect(
            try Self.finding(Message(answers: 0)) == .none(isNoSuchName: false, seconds: nil)
        )
    }

    @Test(arguments: [2, 4, 5, 9]) func `codes of failure are told`(code: Int) throws {
        let message = Message(flags: 0x8180 | UInt16(code), answers: 0)
        #expect(try Self.finding(message) == .failed(code: code))
    }

    @Test func `EDNS brings the upper bits of the code`() throws {
        let message = Message(answers: 0, additional: 1)
            .with([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0])
        #expect(try Self.finding(message) == .failed(code: 16))
    }

    @Test func `a question that was not understood need not be repeated`() throws {
        let message = Message(flags: 0x8181, answers: 0, questions: 0)
        #expect(try Self.reply(message).code == ResponseCode.formatError)
    }

    @Test func `of a truncated answer nothing is read`() throws {
        let message = Message(flags: 0x8380, answers: 9).with([0xC0])
        let reply = try Self.reply(message)
        #expect(reply.isTruncated)
        #expect(reply.answers == [])
    }
}
