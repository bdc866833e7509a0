extension Engine {
    /// Sends a body through the proxy in every chunking and compares what arrives.
    ///
    /// Pieces of 1, 2, 3, 7 ... bytes and the whole, with a known length and in the chunked coding,
    /// each as a request of its own.
    ///
    /// - Parameters:
    ///   - ofResponse: whether it is the response's body, else the request's.
    ///   - fields: of the message with the body.
    /// - Returns: what arrived, each time the same.
    /// - Throws: `Failure` for the first that is not the same as the whole, or does not arrive.
    @discardableResult
    public func everyChunking(
        of body: [UInt8],
        ofResponse: Bool,
        _ fields: KeyValuePairs<String, String> = [:]
    ) throws(Failure) -> [UInt8] {
        var first: [UInt8]?
        for size in Self.sizes(body.count) {
            for isChunked in [false, true] {
                let name = "pieces of \(size)\(isChunked ? ", chunked" : "")"
                let pieces = EngineBody.split(body, size: size, isChunked: isChunked)
                let output =
                    ofResponse
                    ? try response(pieces, fields, name) : try request(pieces, fields, name)
                guard let whole = first else {
                    first = output
                    continue
                }
                guard output == whole else {
                    let (text, other) = (Self.text(output), Self.text(whole))
                    throw Failure(description: "\(name): \(text) is not \(other)")
                }
            }
        }
        return first ?? []
    }

    private func request(
        _ body: EngineBody,
        _ fields: KeyValuePairs<String, String>,
        _ name: String
    ) throws(Failure) -> [UInt8] {
        let before = origin.requests.count
        let exchange = try request("POST", "/", fields, body: body)
        guard origin.requests.count > before else {
            throw Failure(description: "\(name): no whole request arrived at the origin")
        }
        if exchange.response == nil { try origin.respond(200) }
        exchange.close()
        try move()
        return origin.requests[before].body
    }

    private func response(
        _ body: EngineBody,
        _ fields: KeyValuePairs<String, String>,
        _ name: String
    ) throws(Failure) -> [UInt8] {
        let exchange = try request("GET", "/")
        try origin.respond(200, fields, body: body)
        guard let response = exchange.response else {
            throw Failure(description: "\(name): no whole response arrived at the client")
        }
        exchange.close()
        try move()
        return response.body
    }

    /// The whole first, then pieces from small to large.
    private static func sizes(_ count: Int) -> [Int] {
        [max(count, 1)] + [1, 2, 3, 5, 7, 16, 61, 256, 1_000, 4_096].filter { $0 < count }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.prefix(200), as: UTF8.self)
        return "\"\(text)\"\(bytes.count > 200 ? "... (\(bytes.count) bytes)" : "")"
    }

    /// Repeats a scenario, each time with all clients leaving at another wait of the plugin: at the
    /// first, the second, and so on until the scenario has no more.
    ///
    /// What the scenario throws once the clients are gone is left out.
    ///
    /// - Parameters:
    ///   - open: makes the engine of each round.
    ///   - scenario: what the clients and origins do.
    /// - Returns: at how many waits the clients left.
    /// - Throws: `Failure` when something is left over at the end of a round, or a request that
    ///   began has no `request_end`.
    @discardableResult
    public static func cancelEverywhere(
        open: () throws -> Engine,
        _ scenario: (Engine) throws -> Void
    ) throws -> Int {
        for round in 1...1_000 {
            let engine = try open()
            engine.cancelsAtWait = UInt64(round)
            do {
                try scenario(engine)
            } catch {
                if engine.counts.waitsBegun < UInt64(round) { throw error }
            }
            let isOver = engine.counts.waitsBegun < UInt64(round)
            for exchange in engine.exchanges { exchange.close() }
            try engine.move()
            let calls = engine.counts.calls
            let (begun, ended) = (calls["request_headers"], calls["request_end"])
            if let begun, let ended, begun != ended {
                throw Failure(
                    description: "left at wait \(round): \(begun) requests began, \(ended) ended"
                )
            }
            try engine.close()
            if isOver { return round - 1 }
        }
        throw Failure(description: "the scenario waits more than 1,000 times")
    }
}
