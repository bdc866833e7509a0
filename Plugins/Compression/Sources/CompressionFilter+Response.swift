import SluiceSDK

/// What becomes of a response.
private enum Plan {
    /// It stays as it is, whoever asks.
    case none
    /// It stays as it is for this client.
    case varies
    case encode(Coding)
    case decode(Coding)
}

extension CompressionFilter {
    /// Notes what the client takes, and changes what the others behind this plugin see of it.
    func negotiate(_ exchange: borrowing Exchange<CompressionFilter>) {
        let fields = exchange.fields
        guard fields.contains(.acceptEncoding) else { return }
        let accepted = AcceptedCodings(fields)
        exchange.context.accepted = accepted
        if configuration.isBeforeCache {
            // A cache then has one variant for each coding, not for each way to list them.
            if let best = accepted.best(of: configuration.encodings) {
                exchange.edits.set(.acceptEncoding, best.name)
            } else {
                exchange.edits.remove(.acceptEncoding)
            }
        } else if configuration.asksPlain {
            exchange.edits.remove(.acceptEncoding)
        }
    }

    /// Decides what becomes of a response, and changes its head accordingly.
    func beginResponse(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        // A local reply may take the place of a response whose head has been here.
        endResponse(exchange)
        switch plan(exchange) {
        case .none: break
        case .varies: addVary(exchange)
        case .encode(let coding):
            addVary(exchange)
            if beginEncoding(exchange, coding) { return .next }
        case .decode(let coding):
            addVary(exchange)
            if beginDecoding(exchange, coding) { return .next }
        }
        // The body of the request may still be on its way through here.
        exchange.narrow(to: .requestBody)
        return .next
    }

    private func plan(_ exchange: borrowing Exchange<CompressionFilter>) -> Plan {
        let fields = exchange.fields
        switch fields.status {
        // A part of one representation is not a part of the other (RFC 9110 §14.2, §15.3.7).
        case ..<200, 204, 205, 206: return .none
        case 304: return planNotModified(fields)
        default: break
        }
        guard !fields.contains(.contentRange), let type = fields[.contentType],
            configuration.types.contains(type),
            !fields.list(.cacheControl, has: "no-transform")
        else { return .none }
        // A client may ask for no transformation as well (RFC 9111 §5.2.1.6).
        let mayChange = !exchange.requestFields.list(.cacheControl, has: "no-transform")
        let accepted = exchange.context.accepted
        var codings = ContentCodings()
        codings.read(fields)
        if codings.isEmpty {
            guard !configuration.encodings.isEmpty else { return .none }
            if let length = fields[.contentLength]?.decimal,
                length < configuration.minLength || length == 0
            {
                return .none
            }
            // HTTP/1.0 has no chunks: each encoded response would end its connection.
            guard mayChange, exchange.facts.httpVersion > 10,
                let best = accepted.best(of: configuration.encodings)
            else { return .varies }
            // Without a body there is nothing to encode; HEAD gets the head that GET would get.
            guard hasBody(exchange) else { return .varies }
            return .encode(best)
        }
        guard configuration.decodesResponses, let coding = codings.only, libraries.has(coding)
        else { return .none }
        guard mayChange, accepted.quality(of: coding) == 0, hasBody(exchange) else {
            return .varies
        }
        return .decode(coding)
    }

    private func hasBody(_ exchange: borrowing Exchange<CompressionFilter>) -> Bool {
        !exchange.isEndOfStream || exchange.requestFields.method == "HEAD"
    }

    /// 304 has the Vary that 200 would have had (RFC 9110 §15.4.5), as far as that can be seen.
    private func planNotModified(_ fields: Fields) -> Plan {
        guard let type = fields[.contentType] else { return .varies }
        return configuration.types.contains(type) ? .varies : .none
    }

    // MARK: The head

    private func addVary(_ exchange: borrowing Exchange<CompressionFilter>) {
        let fields = exchange.fields
        if fields.status == 304 { weakenKnownTag(exchange) }
        if fields.list(.vary, has: "accept-encoding") || fields.list(.vary, has: "*") { return }
        exchange.edits.append(.vary, "Accept-Encoding")
    }

    private func beginEncoding(
        _ exchange: borrowing Exchange<CompressionFilter>,
        _ coding: Coding
    ) -> Bool {
        if !exchange.isEndOfStream {
            let length = exchange.fields[.contentLength]?.decimal
            let encoder = exchange.worker.takeEncoder(coding, length: length)
            guard let encoder else { return false }
            exchange.context.encoder = encoder
            exchange.context.isDirty = false
        }
        exchange.edits.set(.contentEncoding, coding.name)
        changeRepresentation(exchange)
        return true
    }

    private func beginDecoding(
        _ exchange: borrowing Exchange<CompressionFilter>,
        _ coding: Coding
    ) -> Bool {
        if !exchange.isEndOfStream {
            guard let decoder = exchange.worker.takeDecoder(coding) else { return false }
            exchange.context.decoder = Decoding(first: decoder)
        }
        exchange.edits.remove(.contentEncoding)
        changeRepresentation(exchange)
        return true
    }

    /// What is true of another sequence of bytes goes.
    private func changeRepresentation(_ exchange: borrowing Exchange<CompressionFilter>) {
        let fields = exchange.fields
        exchange.setBodyPolicy(.unknown)
        if fields.contains(.acceptRanges) { exchange.edits.remove(.acceptRanges) }
        validators.remove(fields, exchange.edits)
        // Both are the same thing to a reader, and not the same bytes (RFC 9110 §8.8.1).
        if let tag = fields[.etag], !tag.hasPrefix("W/") { setWeakTag(exchange, tag) }
    }

    private func setWeakTag(_ exchange: borrowing Exchange<CompressionFilter>, _ tag: Bytes) {
        var weak = exchange.writer(capacity: tag.count + 2)
        weak.append("W/")
        weak.append(tag)
        exchange.edits.set(.etag, weak.bytes)
    }

    /// A client that asked by the weak tag has the encoded bytes, and a strong one in 304 would not
    /// be theirs (RFC 9111 §4.3.4).
    private func weakenKnownTag(_ exchange: borrowing Exchange<CompressionFilter>) {
        guard let tag = exchange.fields[.etag], tag.hasPrefix("\"") else { return }
        let asked = exchange.requestFields
        guard asked.contains(.ifNoneMatch) else { return }
        for field in asked where field.id == .ifNoneMatch {
            var rest = field.value
            while let end = rest.firstIndex(of: UInt8(ascii: "W")) {
                rest = rest.dropFirst(end)
                if rest.hasPrefix("W/"), rest.dropFirst(2).hasPrefix(tag) {
                    return setWeakTag(exchange, tag)
                }
                rest = rest.dropFirst(1)
            }
        }
    }

    // MARK: The body

    func responseChunk(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        if let encoder = exchange.context.encoder { return encodeChunk(exchange, encoder) }
        if exchange.context.decoder.first != nil { return decodeChunk(exchange) }
        return .next
    }

    /// Lets everything out when the sender pauses: what is kept back for the sake of a better ratio
    /// would make an event late by as long as the pause is.
    private func encodeChunk(
        _ exchange: borrowing Exchange<CompressionFilter>,
        _ encoder: StreamPointer
    ) -> Verdict {
        let (chunk, output, pool) = (exchange.chunk, exchange.output, exchange.worker)
        let data = chunk.data
        if !data.isEmpty { exchange.context.isDirty = true }
        output.drop()
        let operation: EncoderOperation
        if chunk.isEnd {
            operation = .finish
        } else if chunk.isFlush {
            guard exchange.context.isDirty else { return .next }
            operation = .flush
        } else {
            operation = .process
        }
        var step = Step(state: .wantsRoom)
        output.fill { room, capacity in
            step = pool.encode(encoder, data, operation, room, capacity)
            return step.produced
        }
        switch step.state {
        case .done: break
        case .wantsRoom: return exchange.more(consumed: step.consumed)
        default: return exchange.fail(.encoder)
        }
        if operation != .process { exchange.context.isDirty = false }
        if operation == .finish { endResponse(exchange) }
        return .next
    }

    private func decodeChunk(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        let (chunk, output, pool) = (exchange.chunk, exchange.output, exchange.worker)
        let decoding = exchange.context.decoder
        output.drop()
        var step = Step(state: .wantsRoom)
        output.fill { room, capacity in
            step = pool.decode(decoding, chunk.data, .none, room, capacity)
            return step.produced
        }
        switch step.state {
        case .done: break
        case .wantsRoom: return exchange.more(consumed: step.consumed)
        default: return exchange.fail(.decoder)
        }
        guard chunk.isEnd else { return .next }
        guard pool.isWhole(decoding) else { return exchange.fail(.decoder) }
        endResponse(exchange)
        return .next
    }

    func endResponse(_ exchange: borrowing Exchange<CompressionFilter>) {
        if let encoder = exchange.context.encoder {
            exchange.context.encoder = nil
            exchange.worker.give(encoder)
        }
        if exchange.context.decoder.first != nil {
            exchange.worker.give(&exchange.context.decoder)
        }
    }
}

extension FailureCode {
    /// An encoder failed.
    static let encoder = FailureCode(rawValue: 1_000)
    /// A response is not in the coding that it says.
    static let decoder = FailureCode(rawValue: 1_001)
}
