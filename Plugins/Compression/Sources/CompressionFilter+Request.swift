import SluiceSDK

extension CompressionFilter {
    /// Gets ready to decode a request's body, or refuses it.
    func beginRequest(
        _ exchange: borrowing Exchange<CompressionFilter>,
        _ limits: DecodingLimits
    ) -> Verdict {
        let fields = exchange.fields
        guard fields.contains(.contentEncoding) else { return .next }
        var codings = ContentCodings()
        codings.read(fields)
        guard !codings.isEmpty, !fields.list(.cacheControl, has: "no-transform") else {
            return .next
        }
        guard !codings.isStrange, codings.first.map({ libraries.has($0) }) != false,
            codings.second.map({ libraries.has($0) }) != false,
            let last = codings.second ?? codings.first
        else { return refuseCoding(exchange) }
        let pool = exchange.worker
        // What was applied last comes off first.
        guard let decoder = pool.takeDecoder(last) else { return tooBusy(exchange) }
        exchange.context.request.first = decoder
        if codings.second != nil, let first = codings.first {
            guard let inner = pool.takeDecoder(first) else { return tooBusy(exchange) }
            exchange.context.request.second = inner
        }
        exchange.edits.remove(.contentEncoding)
        exchange.setBodyPolicy(.unknown)
        validators.remove(fields, exchange.edits)
        return .next
    }

    /// Decodes a chunk of a request's body.
    func decodeRequest(
        _ exchange: borrowing Exchange<CompressionFilter>,
        _ limits: DecodingLimits
    ) -> Verdict {
        let decoding = exchange.context.request
        guard decoding.first != nil else { return .next }
        let (chunk, output, pool) = (exchange.chunk, exchange.output, exchange.worker)
        output.drop()
        var step = Step(state: .wantsRoom)
        output.fill { room, capacity in
            step = pool.decode(decoding, chunk.data, limits, room, capacity)
            return step.produced
        }
        switch step.state {
        case .done: break
        case .wantsRoom: return exchange.more(consumed: step.consumed)
        case .tooLarge:
            return exchange.respond(status: 413, body: "the decoded body is too large\n")
        case .ended, .failed:
            return exchange.respond(status: 400, body: "the body is not in its Content-Encoding\n")
        }
        guard chunk.isEnd else { return .next }
        guard pool.isWhole(decoding) else {
            return exchange.respond(status: 400, body: "the encoded body is cut off\n")
        }
        pool.give(&exchange.context.request)
        return .next
    }

    /// 415 says what would be taken (RFC 9110 §15.5.16).
    private func refuseCoding(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        exchange.replyEdits.set(.acceptEncoding, configuration.decodable)
        return exchange.respond(status: 415, body: "this Content-Encoding is not taken\n")
    }

    private func tooBusy(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        exchange.replyEdits.set(.retryAfter, "1")
        return exchange.respond(status: 503, body: "too many bodies are being decoded\n")
    }
}
