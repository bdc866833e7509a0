import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Request bodies that go through plugins: what their heads say, and those that a plugin wants
/// whole before a peer is chosen.
extension Worker {
    /// Makes the way of a request's body, and sets what the request's head says about it.
    mutating func prepareRequestBody(_ exchange: UnsafeMutablePointer<Exchange>) {
        let wishes = exchange.pointee.context.bodyWishes
        let policy = wishes?.pointee.requestPolicy ?? .same
        guard
            let transform = makeTransform(
                exchange,
                nil,
                .requestBody,
                positions: 0..<exchange.pointee.chain.pluginCount,
                isNeeded: policy != .same
            )
        else { return }
        exchange.pointee.requestBody.transform = transform
        if case .length(let count) = exchange.pointee.head.framing {
            transform.pointee.expected = count
        }
        switch policy {
        case .same: break
        case .unknown:
            transform.pointee.expected = -1
            exchange.pointee.context.request.drop(.contentLength)
            exchange.pointee.requestBody.writing = .chunked
        case .exact, .drop:
            let length = policy == .drop ? 0 : wishes?.pointee.requestLength ?? 0
            transform.pointee.dropsAll = policy == .drop
            setRequestLength(exchange, transform, length)
        }
        for stage in 0..<transform.pointee.count
        where transform.pointee.stages[stage].collects > 0 {
            exchange.pointee.response = .collect
        }
    }

    private func setRequestLength(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ length: UInt64
    ) {
        transform.pointee.expected = Int64(length)
        let isSet = exchange.pointee.context.request.setContentLength(
            length,
            arena: &exchange.pointee.context.arena
        )
        exchange.pointee.requestBody.writing = isSet ? .plain : .chunked
        exchange.pointee.context.requestChanged()
    }

    /// Reads the body for a plugin that wants all of it, before a peer is chosen.
    mutating func collectRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        if exchange.pointee.flags.contains(.awaitsContinue) {
            // No peer is there yet to ask the client for its body (RFC 9110 §10.1.1).
            exchange.pointee.flags.remove(.awaitsContinue)
            guard sendContinue(exchange) else { return }
        }
        while exchange.pointee.response == .collect, !exchange.pointee.isEnded {
            switch goOnBody(exchange, .request) {
            case .more: break
            case .done:
                goOnCollected(exchange)
                return
            case .blocked, .waiting, .left: return
            }
            guard awaitsWhole(exchange) else {
                goOnCollected(exchange)
                return
            }
            guard readCollected(exchange) else { return }
        }
    }

    /// Whether a plugin still waits for the rest of the body, and what the others made of it is
    /// not too much to keep.
    private func awaitsWhole(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let transform = exchange.pointee.requestBody.transform, !transform.pointee.isFed,
            !isFull(exchange, transform)
        else { return false }
        for index in 0..<transform.pointee.count {
            let stage = transform.pointee.stages + index
            if stage.pointee.collects > 0, stage.pointee.offset == 0,
                exchange.pointee.context.isInterested(
                    stage.pointee.phase,
                    position: stage.pointee.position
                )
            {
                return true
            }
        }
        return false
    }

    /// Whether what came out of the plugins is as much as is kept before a peer is chosen.
    func isFull(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ transform: UnsafeMutablePointer<BodyTransform>
    ) -> Bool {
        let most = exchange.pointee.listener.pointee.settings.limits.bodyBufferBytes
        return transform.pointee.outRest.count >= most
    }

    private mutating func sendContinue(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let count = HeadWriter.copy("HTTP/1.1 100 Continue\r\n\r\n", to: out)
        let written = emitResponse(
            exchange,
            headCount: count,
            data: scratch,
            count: 0,
            isEnd: false
        )
        return written != .failed
    }

    /// Reads the next bytes and gives them to the plugins; false when there are none for now.
    private mutating func readCollected(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let down = exchange.pointee.down
        var bytes = scratch
        var count = 0
        if let input = waitingInput(down) {
            (bytes, count) = input
        } else if !down.pointee.isStream || !down.pointee.flags.contains(.ended) {
            guard down.pointee.flags.contains(.readable) else {
                armBody(exchange)
                return false
            }
            guard readRequestBody(exchange, &bytes, &count) else { return false }
        }
        var result = BodyReader.Result()
        guard readMessage(exchange, bytes, count, &result) else { return false }
        guard countRequestBody(exchange, result.dataCount) else { return false }
        let progress = feed(
            exchange,
            .request,
            bytes + result.dataStart,
            result.dataCount,
            isEnd: exchange.pointee.requestBody.reader.isDone,
            flush: !down.pointee.flags.contains(.readable)
        )
        return progress == .more || progress == .done
    }

    /// All of the body has gone through the plugins, or none of them waits for all of it any more.
    private mutating func goOnCollected(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let transform = exchange.pointee.requestBody.transform else { return }
        exchange.pointee.response = .none
        if transform.pointee.outEnds, exchange.pointee.requestBody.writing == .chunked,
            transform.pointee.trailers == nil
                || transform.pointee.trailers?.pointee.message.fieldBytesMax == 0
        {
            // Its length is known now, and peers like it better than chunks.
            setRequestLength(
                exchange,
                transform,
                UInt64(transform.pointee.outRest.count)
            )
        }
        if exchange.pointee.down.pointee.inputCount == 0 { freeInput(exchange.pointee.down) }
        attempt(exchange)
    }
}
