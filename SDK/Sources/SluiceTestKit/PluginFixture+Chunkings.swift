public import SluiceSDK

/// A body that came out differently when it came in other chunks.
public struct ChunkingDiffers: Error, Equatable, CustomStringConvertible {
    /// Which chunks, and what came out of them.
    public let description: String
}

extension PluginFixture {
    /// Sends a body through a body hook in every chunking, and compares what comes out.
    ///
    /// Chunks of 1, 2, 3 ... bytes and the whole, with the end on the last chunk and behind it,
    /// with plenty of room and with little. Where the host never gives as little as 64 bytes, the
    /// kit does, so that `Verdict.more` is needed often; a plugin whose pieces are longer needs
    /// more.
    ///
    /// A wait of the plugin must have ended when the hook returns, by `Token.resume` for example.
    ///
    /// - Parameters:
    ///   - body: what is sent.
    ///   - phase: `requestBody`, `upstreamBody` or `responseBody`.
    ///   - credits: bytes of room in a call, each tried with each chunking.
    ///   - request: makes a request, and runs the hooks that come before.
    /// - Returns: what came out, each time the same.
    /// - Throws: `ChunkingDiffers` for the first that is not the same as the whole, fails, or
    ///   breaks what the plugin said of the body's length.
    @discardableResult
    public func everyChunking(
        of body: [UInt8],
        _ phase: Phase,
        credits: [Int] = [65_536, 64],
        request makeRequest: () -> RequestFixture = { RequestFixture() }
    ) throws -> [UInt8] {
        var first: [UInt8]?
        for size in Self.chunkSizes(body.count) {
            for credit in credits {
                for endsBehind in [false, true] {
                    let name =
                        "chunks of \(size)\(endsBehind ? ", the end behind them" : ""), "
                        + "\(credit) bytes of room"
                    let request = makeRequest()
                    let output = try send(body, phase, request, size, credit, endsBehind, name)
                    requestEnd(request)
                    guard let first else {
                        first = output
                        continue
                    }
                    guard output == first else {
                        throw ChunkingDiffers(
                            description: "\(name): \(Self.text(output)) is not \(Self.text(first))"
                        )
                    }
                }
            }
        }
        return first ?? []
    }

    /// Sends a text through a body hook in every chunking; as for bytes.
    ///
    /// - Returns: what came out, each time the same.
    /// - Throws: `ChunkingDiffers`.
    @discardableResult
    public func everyChunking(
        of body: String,
        _ phase: Phase,
        credits: [Int] = [65_536, 64],
        request makeRequest: () -> RequestFixture = { RequestFixture() }
    ) throws -> String {
        let output = try everyChunking(
            of: Array(body.utf8),
            phase,
            credits: credits,
            request: makeRequest
        )
        return String(decoding: output, as: UTF8.self)
    }

    /// The whole first, which the others are compared with; of a long body not each size.
    static func chunkSizes(_ count: Int) -> [Int] {
        let whole = max(count, 1)
        let sizes = (1..<whole).filter { $0 <= 64 || $0 & ($0 - 1) == 0 || $0 & ($0 + 1) == 0 }
        return [whole] + sizes
    }

    private func send(
        _ body: [UInt8],
        _ phase: Phase,
        _ request: RequestFixture,
        _ size: Int,
        _ credit: Int,
        _ endsBehind: Bool,
        _ name: String
    ) throws -> [UInt8] {
        var chunks = stride(from: 0, to: body.count, by: size).map {
            Array(body[$0..<min($0 + size, body.count)])
        }
        if endsBehind || chunks.isEmpty { chunks.append([]) }
        for (index, chunk) in chunks.enumerated() {
            let isEnd = index == chunks.count - 1
            var verdict = self.body(phase, request, chunk, isEnd: isEnd, credit: credit)
            while verdict == .suspend, let next = resumed(request) { verdict = next }
            guard verdict == .next || verdict == .detach else {
                throw ChunkingDiffers(
                    description: "\(name): verdict \(verdict.rawValue), code \(request.errorCode) "
                        + (host.misuses.last ?? "")
                )
            }
        }
        if let fault = request.lengthFault(phase) {
            throw ChunkingDiffers(description: "\(name): \(fault)")
        }
        return request.output(phase)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.prefix(200), as: UTF8.self)
        return "\"\(text)\"" + (bytes.count > 200 ? "... of \(bytes.count) bytes" : "")
    }
}
