import SluiceSDK

/// What an upstream's peers are looked up by.
struct DNSSource: Equatable {
    /// What is asked for.
    enum Kind: Equatable {
        case a
        case aaaa
        case any
        /// Also the port, the weight and the priority (RFC 2782).
        case service
    }

    /// As in the manifest.
    let name: [UInt8]
    let kind: Kind
    /// Of the peers; 0 for `service`, which brings its own.
    let port: UInt16
}

/// What a source says at one time.
struct Refresh: Equatable {
    var peers: [DiscoveredPeer]
    /// For how long it may be kept.
    var seconds: Int
    /// Whether nobody answered for one family, so that what was known of it must not be dropped.
    var lacksV4 = false
    var lacksV6 = false
    /// What was left out, for the log; empty for nothing.
    var note = ""
}

/// What came of a question to a source.
enum RefreshOutcome: Equatable {
    case peers(Refresh)
    /// There are decidedly none, and for how long that may be kept.
    case empty(seconds: Int?, String)
    case failed(RefreshFailure)
}

/// Makes peers of answers to questions.
///
/// How the questions are asked is the caller's: a test answers them itself.
struct DNSLookup {
    /// Targets of a service; each may need two questions.
    static let targetsMax = 256

    let source: DNSSource
    let candidates: [DomainName]
    let ask: ([DNSQuestion]) -> [DNSTransport.Outcome]

    /// Asks for everything, name by name, until one has records.
    func run() -> RefreshOutcome {
        var nothing = RefreshOutcome.empty(seconds: nil, "no name to ask for")
        for name in candidates {
            let outcome = source.kind == .service ? services(of: name) : hosts(of: name)
            guard case .empty = outcome else { return outcome }
            nothing = outcome
        }
        return nothing
    }

    // MARK: Addresses

    private var types: [UInt16] {
        switch source.kind {
        case .a: [RecordType.a]
        case .aaaa: [RecordType.aaaa]
        case .any, .service: [RecordType.a, RecordType.aaaa]
        }
    }

    /// What is known of one host.
    private struct Host {
        var addresses: [IPAddress] = []
        var seconds = Int.max
        /// The shortest time for which it may be kept that there is none of a family.
        var negativeSeconds: Int?
        var isNoSuchName = false
        var failure: String?
        var lacksV4 = false
        var lacksV6 = false

        mutating func take(_ question: DNSQuestion, _ outcome: DNSTransport.Outcome) {
            switch outcome {
            case .failed(let text): fail(question, text)
            case .reply(let reply):
                switch reply.finding(for: question) {
                case .records(let records, let seconds): take(records, seconds)
                case .none(let isNoSuchName, let seconds):
                    self.isNoSuchName = self.isNoSuchName || isNoSuchName
                    if let seconds { negativeSeconds = min(negativeSeconds ?? .max, seconds) }
                case .failed(let code): fail(question, ResponseCode.text(code))
                }
            }
        }

        mutating func take(_ records: [DNSRecord], _ seconds: Int) {
            for record in records {
                if case .address(let address) = record.content { addresses.append(address) }
            }
            self.seconds = min(self.seconds, seconds)
        }

        private mutating func fail(_ question: DNSQuestion, _ text: String) {
            failure = "\(question.text): \(text)"
            if question.type == RecordType.a { lacksV4 = true } else { lacksV6 = true }
        }
    }

    private func hosts(of name: DomainName) -> RefreshOutcome {
        let questions = types.map { DNSQuestion(name: name, type: $0) }
        var host = Host()
        for (question, outcome) in zip(questions, ask(questions)) { host.take(question, outcome) }
        if host.addresses.isEmpty {
            if let failure = host.failure { return .failed(RefreshFailure(failure)) }
            let reason = host.isNoSuchName ? "NXDOMAIN" : "no records"
            return .empty(seconds: host.negativeSeconds, "\(questions[0].text): \(reason)")
        }
        var refresh = Refresh(
            peers: host.addresses.map {
                DiscoveredPeer(address: SocketAddress($0, source.port).text)
            },
            seconds: host.seconds,
            lacksV4: host.lacksV4,
            lacksV6: host.lacksV6
        )
        if let failure = host.failure { refresh.note = failure }
        return .peers(refresh)
    }

    // MARK: Services

    private func services(of name: DomainName) -> RefreshOutcome {
        let question = DNSQuestion(name: name, type: RecordType.srv)
        guard let outcome = ask([question]).first else { return .empty(seconds: nil, "") }
        guard case .reply(let reply) = outcome else {
            guard case .failed(let text) = outcome else { return .empty(seconds: nil, "") }
            return .failed(RefreshFailure("\(question.text): \(text)"))
        }
        switch reply.finding(for: question) {
        case .failed(let code):
            return .failed(RefreshFailure("\(question.text): \(ResponseCode.text(code))"))
        case .none(let isNoSuchName, let seconds):
            let reason = isNoSuchName ? "NXDOMAIN" : "no records"
            return .empty(seconds: seconds, "\(question.text): \(reason)")
        case .records(let records, let seconds):
            return peers(of: records, question, seconds, reply.additional)
        }
    }

    private func peers(
        of records: [DNSRecord],
        _ question: DNSQuestion,
        _ seconds: Int,
        _ additional: [DNSRecord]
    ) -> RefreshOutcome {
        var services: [ServiceRecord] = []
        for record in records {
            if case .service(let service) = record.content, service.target != .root {
                services.append(service)
            }
        }
        // "." says that the service is decidedly not there (RFC 2782).
        guard !services.isEmpty else {
            return .empty(seconds: seconds, "\(question.text): the service is not offered")
        }
        guard services.count <= Self.targetsMax else {
            let text = "\(services.count) targets; there may be \(Self.targetsMax)"
            return .failed(RefreshFailure("\(question.text): \(text)"))
        }
        var names: [DomainName] = []
        for service in services where !names.contains(service.target) {
            names.append(service.target)
        }
        let hosts = hosts(named: names, additional)
        return refresh(services, seconds, names, hosts, question)
    }

    private func refresh(
        _ services: [ServiceRecord],
        _ seconds: Int,
        _ names: [DomainName],
        _ hosts: [Host],
        _ question: DNSQuestion
    ) -> RefreshOutcome {
        var refresh = Refresh(peers: [], seconds: seconds)
        for service in services {
            guard let index = names.firstIndex(of: service.target) else { continue }
            let host = hosts[index]
            if let failure = host.failure {
                // Of a host that nobody knows anything of, all that was known must stay.
                guard !host.addresses.isEmpty else { return .failed(RefreshFailure(failure)) }
                refresh.note = failure
            } else if host.addresses.isEmpty {
                refresh.note = "\(service.target.text) has no address"
                refresh.seconds = min(refresh.seconds, host.negativeSeconds ?? refresh.seconds)
                continue
            }
            refresh.lacksV4 = refresh.lacksV4 || host.lacksV4
            refresh.lacksV6 = refresh.lacksV6 || host.lacksV6
            refresh.seconds = min(refresh.seconds, host.seconds)
            guard service.port > 0 else {
                refresh.note = "\(service.target.text) has port 0"
                continue
            }
            refresh.peers += host.addresses.map {
                DiscoveredPeer(
                    address: SocketAddress($0, service.port).text,
                    weight: max(1, Int(service.weight)),
                    priority: Int(service.priority)
                )
            }
        }
        guard !refresh.peers.isEmpty else {
            return .empty(seconds: refresh.seconds, "\(question.text): \(refresh.note)")
        }
        return .peers(refresh)
    }

    /// The addresses of hosts: from what came with the services, and asked for where a family is
    /// missing there.
    private func hosts(named names: [DomainName], _ additional: [DNSRecord]) -> [Host] {
        var hosts = [Host](repeating: Host(), count: names.count)
        var questions: [DNSQuestion] = []
        var owners: [Int] = []
        for (index, name) in names.enumerated() {
            for type in types {
                let known = additional.filter { $0.name == name && $0.type == type }
                if known.isEmpty {
                    questions.append(DNSQuestion(name: name, type: type))
                    owners.append(index)
                } else {
                    let least = known.reduce(UInt32.max) { min($0, $1.timeToLive) }
                    hosts[index].take(known, Int(least))
                }
            }
        }
        guard !questions.isEmpty else { return hosts }
        for (place, outcome) in ask(questions).enumerated() where place < owners.count {
            hosts[owners[place]].take(questions[place], outcome)
        }
        return hosts
    }
}
