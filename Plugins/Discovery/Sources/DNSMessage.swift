/// A question as a message, and what a server answers to it (RFC 1035 §4.1).
struct DNSQuery: Equatable {
    /// Bytes of an answer by UDP that we take: what passes a network without fragments.
    static let udpBytesMax: UInt16 = 1_232
    private static let headerBytes = 12

    let id: UInt16
    let question: DNSQuestion
    /// Whether the message says that it understands EDNS; a server may not understand that.
    var hasOptions = true

    /// The message.
    var bytes: [UInt8] {
        var message: [UInt8] = []
        func append(_ word: UInt16) {
            message.append(UInt8(word >> 8))
            message.append(UInt8(word & 0xFF))
        }
        append(id)
        // One question, and please ask others for the answer (RD).
        append(0x0100)
        append(1)
        append(0)
        append(0)
        append(hasOptions ? 1 : 0)
        message += question.name.wire
        append(question.type)
        append(1)
        if hasOptions {
            message.append(0)
            append(RecordType.opt)
            append(Self.udpBytesMax)
            append(0)
            append(0)
            append(0)
        }
        return message
    }

    /// What a server answers.
    ///
    /// - Parameter isStream: whether it came by TCP, where nothing is truncated.
    /// - Throws: `foreign` for what does not answer this question, `malformed` for what does, and
    ///   is broken.
    func reply(_ bytes: [UInt8], isStream: Bool = false) throws(DNSFault) -> DNSReply {
        guard bytes.count >= Self.headerBytes else { throw .foreign }
        var reader = DNSReader(bytes)
        let id = try reader.word()
        let flags = try reader.word()
        let questions = try reader.word()
        let answers = Int(try reader.word())
        let authorities = Int(try reader.word())
        let additional = Int(try reader.word())
        // An answer (QR) to a standard query.
        guard id == self.id, flags & 0x8000 != 0, flags & 0x7800 == 0 else { throw .foreign }
        let code = Int(flags & 0x000F)
        if questions == 0, code != ResponseCode.success {
            // Some servers don't repeat a question that they did not understand.
            return DNSReply(code: code, isTruncated: false)
        }
        guard questions == 1 else { throw .foreign }
        guard repeats(&reader) else { throw .foreign }
        if flags & 0x0200 != 0 {
            guard !isStream else { throw .malformed(.truncatedStream) }
            return DNSReply(code: code, isTruncated: true)
        }
        var reply = DNSReply(code: code, isTruncated: false)
        try reply.read(&reader, answers, authorities, additional)
        return reply
    }

    /// Whether the question is this one.
    private func repeats(_ reader: inout DNSReader) -> Bool {
        do throws(DNSFault) {
            let name = try reader.name()
            let type = try reader.word()
            let kind = try reader.word()
            return name == question.name && type == question.type && kind == 1
        } catch {
            return false
        }
    }
}

/// What a server said.
struct DNSReply: Equatable {
    private(set) var code: Int
    /// Whether there is more than a datagram holds: then nothing of it is read.
    let isTruncated: Bool
    private(set) var answers: [DNSRecord]
    private(set) var authorities: [DNSRecord] = []
    private(set) var additional: [DNSRecord]

    init(
        code: Int,
        isTruncated: Bool = false,
        answers: [DNSRecord] = [],
        additional: [DNSRecord] = []
    ) {
        self.code = code
        self.isTruncated = isTruncated
        self.answers = answers
        self.additional = additional
    }

    fileprivate mutating func read(
        _ reader: inout DNSReader,
        _ answerCount: Int,
        _ authorityCount: Int,
        _ additionalCount: Int
    ) throws(DNSFault) {
        // Each takes bytes of the message, so the counts bound nothing and need no bound.
        for _ in 0..<answerCount {
            if let record = try Self.record(&reader) { answers.append(record) }
        }
        for _ in 0..<authorityCount {
            if let record = try Self.record(&reader) { authorities.append(record) }
        }
        var hasOptions = false
        for _ in 0..<additionalCount {
            switch try reader.record() {
            case .record(let record): additional.append(record)
            case .options(let codeHigh):
                guard !hasOptions else { throw .malformed(.edns) }
                hasOptions = true
                code |= codeHigh << 4
            case .other: break
            }
        }
        guard reader.isAtEnd else { throw .malformed(.trailing) }
    }

    private static func record(_ reader: inout DNSReader) throws(DNSFault) -> DNSRecord? {
        switch try reader.record() {
        case .record(let record): record
        case .options: throw .malformed(.edns)
        case .other: nil
        }
    }
}

/// What an answer means for its question.
enum DNSFinding: Equatable {
    /// Records of the type that was asked for, at the name that its aliases lead to, and the
    /// seconds that all of it may be kept.
    case records([DNSRecord], seconds: Int)
    /// There is none, and for how many seconds that may be kept; nil when the server does not say.
    case none(isNoSuchName: Bool, seconds: Int?)
    /// The server can't say.
    case failed(code: Int)
}

extension DNSReply {
    /// Aliases in a row that are followed.
    static let aliasesMax = 16

    /// What is answered to a question.
    func finding(for question: DNSQuestion) -> DNSFinding {
        guard code == ResponseCode.success || code == ResponseCode.noSuchName else {
            return .failed(code: code)
        }
        var name = question.name
        var seconds = UInt32.max
        for _ in 0...Self.aliasesMax {
            let found = answers.filter { $0.name == name && $0.type == question.type }
            if !found.isEmpty, code == ResponseCode.success {
                for record in found { seconds = min(seconds, record.timeToLive) }
                return .records(found, seconds: Int(seconds))
            }
            let alias = answers.first { $0.name == name && $0.type == RecordType.cname }
            guard let alias, case .alias(let target) = alias.content else {
                return .none(
                    isNoSuchName: code == ResponseCode.noSuchName,
                    seconds: negativeSeconds.map { min($0, Int(seconds)) }
                )
            }
            seconds = min(seconds, alias.timeToLive)
            name = target
        }
        // Aliases that lead in a circle are a fault of the zone.
        return .failed(code: ResponseCode.serverFailure)
    }

    /// For how long it may be kept that there is nothing: the lesser of the zone's record's own
    /// time and its minimum (RFC 2308 §5).
    private var negativeSeconds: Int? {
        for record in authorities {
            if case .zone(let minimum) = record.content {
                return Int(min(minimum >> 31 == 0 ? minimum : 0, record.timeToLive))
            }
        }
        return nil
    }
}
