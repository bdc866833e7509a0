import SluiceSDK
import Testing

@testable import Discovery

/// Peers made of answers, which the test gives itself.
struct DNSLookupTests {
    /// What a scripted server says of names and types.
    struct Zone {
        var records: [(name: String, type: UInt16, content: DNSRecord.Content, seconds: UInt32)] =
            []
        var additional: [DNSRecord] = []
        /// Questions that nobody answers, as "A of x".
        var failing: Set<String> = []
        var isNoSuchName = false

        mutating func add(_ name: String, _ address: String, seconds: UInt32 = 60) {
            guard let ip = Array(address.utf8).withBytes({ IPAddress($0) }) else { return }
            let type = ip.isV4 ? RecordType.a : RecordType.aaaa
            records.append((name, type, .address(ip), seconds))
        }

        mutating func add(
            _ name: String,
            _ target: String,
            _ port: UInt16,
            priority: UInt16 = 0,
            weight: UInt16 = 1,
            seconds: UInt32 = 60
        ) throws {
            let host = target == "." ? .root : try #require(DNSLookupTests.name(target))
            let service = ServiceRecord(
                priority: priority,
                weight: weight,
                port: port,
                target: host
            )
            records.append((name, RecordType.srv, .service(service), seconds))
        }

        func answer(_ question: DNSQuestion) -> DNSTransport.Outcome {
            if failing.contains(question.text) { return .failed("no answer") }
            let code = isNoSuchName ? ResponseCode.noSuchName : ResponseCode.success
            let own = records.filter { $0.name == question.name.text && $0.type == question.type }
            return .reply(
                DNSReply(
                    code: code,
                    answers: own.map {
                        DNSRecord(
                            name: question.name,
                            type: $0.type,
                            timeToLive: $0.seconds,
                            content: $0.content
                        )
                    },
                    additional: question.type == RecordType.srv ? additional : []
                )
            )
        }
    }

    static func name(_ text: String) -> DomainName? { DomainName(text: Array(text.utf8)) }

    static func run(
        _ zone: Zone,
        _ kind: DNSSource.Kind = .any,
        names: [String] = ["app.example"],
        asked: ((DNSQuestion) -> Void)? = nil
    ) -> RefreshOutcome {
        let port: UInt16 = kind == .service ? 0 : 80
        return DNSLookup(
            source: DNSSource(name: [], kind: kind, port: port),
            candidates: names.compactMap { name($0) },
            ask: { questions in
                for question in questions { asked?(question) }
                return questions.map { zone.answer($0) }
            }
        ).run()
    }

    static func refresh(_ outcome: RefreshOutcome) throws -> Refresh {
        guard case .peers(let refresh) = outcome else {
            throw RefreshFailure("no peers: \(outcome)")
        }
        return refresh
    }

    static func lines(_ refresh: Refresh) -> [String] {
        refresh.peers.map { peer in
            let address = String(decoding: peer.address, as: UTF8.self)
            return "\(address) \(peer.weight) \(peer.priority)"
        }
    }

    @Test func `both families are joined, and the least time counts`() throws {
        var zone = Zone()
        zone.add("app.example", "192.0.2.1", seconds: 30)
        zone.add("app.example", "2001:db8::1", seconds: 20)
        let refresh = try Self.refresh(Self.run(zone))
        #expect(Self.lines(refresh) == ["192.0.2.1:80 1 0", "[2001:db8::1]:80 1 0"])
        #expect(refresh.seconds == 20)
        #expect(try Self.lines(Self.refresh(Self.run(zone, .a))) == ["192.0.2.1:80 1 0"])
        #expect(try Self.lines(Self.refresh(Self.run(zone, .aaaa))) == ["[2001:db8::1]:80 1 0"])
    }

    @Test func `a family that nobody answers for is told`() throws {
        var zone = Zone()
        zone.add("app.example", "192.0.2.1")
        zone.failing = ["AAAA of app.example"]
        let refresh = try Self.refresh(Self.run(zone))
        #expect(refresh.lacksV6)
        #expect(!refresh.lacksV4)
        #expect(refresh.note == "AAAA of app.example: no answer")
    }

    @Test func `no address and a failure is a failure`() {
        var zone = Zone()
        zone.failing = ["AAAA of app.example"]
        #expect(Self.run(zone) == .failed(RefreshFailure("AAAA of app.example: no answer")))
    }

    @Test func `no address and no failure is an answer`() {
        var zone = Zone()
        #expect(Self.run(zone) == .empty(seconds: nil, "A of app.example: no records"))
        zone.isNoSuchName = true
        #expect(Self.run(zone) == .empty(seconds: nil, "A of app.example: NXDOMAIN"))
    }

    @Test func `names are tried in turn until one has records`() throws {
        var zone = Zone()
        zone.add("b.example", "192.0.2.2")
        zone.add("c.example", "192.0.2.3")
        let names = ["a.example", "b.example", "c.example"]
        let refresh = try Self.refresh(Self.run(zone, .a, names: names))
        #expect(Self.lines(refresh) == ["192.0.2.2:80 1 0"])
        // A failure is no answer, so it is not passed over.
        zone.failing = ["A of a.example"]
        #expect(Self.run(zone, .a, names: names) == .failed("A of a.example: no answer"))
    }

    // MARK: Services

    @Test func `services have ports, weights and priorities of their own`() throws {
        var zone = Zone()
        try zone.add("app.example", "a.example", 8_080, priority: 1, weight: 0)
        try zone.add("app.example", "a.example", 8_081, priority: 2, weight: 7, seconds: 9)
        zone.add("a.example", "192.0.2.1", seconds: 8)
        zone.add("a.example", "2001:db8::1")
        let refresh = try Self.refresh(Self.run(zone, .service))
        #expect(
            Self.lines(refresh) == [
                "192.0.2.1:8080 1 1", "[2001:db8::1]:8080 1 1", "192.0.2.1:8081 7 2",
                "[2001:db8::1]:8081 7 2",
            ]
        )
        #expect(refresh.seconds == 8)
    }

    @Test func `what came with the services is not asked for`() throws {
        var zone = Zone()
        try zone.add("app.example", "a.example", 80)
        zone.additional = [
            DNSRecord(
                name: try #require(Self.name("a.example")),
                type: RecordType.a,
                timeToLive: 5,
                content: .address(IPAddress(v4: 0xC000_0209))
            )
        ]
        var asked: [String] = []
        let refresh = try Self.refresh(Self.run(zone, .service) { asked.append($0.text) })
        #expect(Self.lines(refresh) == ["192.0.2.9:80 1 0"])
        #expect(refresh.seconds == 5)
        #expect(asked == ["SRV of app.example", "AAAA of a.example"])
    }

    @Test func `a service that is not offered is an answer`() throws {
        var zone = Zone()
        try zone.add("app.example", ".", 80)
        #expect(
            Self.run(zone, .service)
                == .empty(seconds: 60, "SRV of app.example: the service is not offered")
        )
    }

    @Test func `hosts without an address and ports of 0 are left out`() throws {
        var zone = Zone()
        try zone.add("app.example", "a.example", 80)
        try zone.add("app.example", "b.example", 0)
        try zone.add("app.example", "c.example", 80)
        zone.add("b.example", "192.0.2.2")
        zone.add("c.example", "192.0.2.3")
        let refresh = try Self.refresh(Self.run(zone, .service))
        #expect(Self.lines(refresh) == ["192.0.2.3:80 1 0"])
        zone.records.removeLast()
        let text = "SRV of app.example: c.example has no address"
        #expect(Self.run(zone, .service) == .empty(seconds: 60, text))
    }

    @Test func `a host that nobody knows anything of is a failure`() throws {
        var zone = Zone()
        try zone.add("app.example", "a.example", 80)
        try zone.add("app.example", "b.example", 80)
        zone.add("b.example", "192.0.2.2")
        zone.failing = ["A of a.example", "AAAA of a.example"]
        #expect(Self.run(zone, .service) == .failed("AAAA of a.example: no answer"))
        zone.failing = ["SRV of app.example"]
        #expect(Self.run(zone, .service) == .failed("SRV of app.example: no answer"))
    }

    @Test(arguments: [(256, true), (257, false)])
    func `targets have a bound`(count: Int, fits: Bool) throws {
        var zone = Zone()
        for index in 0..<count {
            try zone.add("app.example", "n\(index).example", 80)
            zone.add("n\(index).example", "10.0.\(index / 256).\(index % 256)")
        }
        let outcome = Self.run(zone, .service)
        if fits {
            #expect(try Self.refresh(outcome).peers.count == count)
        } else {
            #expect(outcome == .failed("SRV of app.example: 257 targets; there may be 256"))
        }
    }
}

extension RefreshOutcome {
    static func failed(_ message: String) -> RefreshOutcome { .failed(RefreshFailure(message)) }
}
