import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// What comes out of a body's last plugin: kept while the head is, and written.
extension Worker {
    /// Bytes that are written at once: what the receiver does not take fits a block.
    private static let runBytes = 131_072

    /// Gives what came out of the last stage to the receiver.
    mutating func deliver(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ run: StageRun
    ) -> BodyProgress {
        if transform.pointee.holder >= 0 {
            transform.pointee.heldOut.append(run.bytes, run.count)
            transform.pointee.heldFlags |= run.flags
            let most = exchange.pointee.listener.pointee.settings.limits.holdBytes
            guard
                run.releases || run.flags & UInt32(SLUICE_BODY_EOS) != 0
                    || transform.pointee.heldOut.count > most
            else { return .more }
            releaseHead(exchange, transform)
            guard exchange.pointee.response == .body, !exchange.pointee.isEnded else {
                return .left
            }
            return exchange.pointee.responseBody.hasHeld ? .blocked : .more
        }
        let isEnd = run.flags & UInt32(SLUICE_BODY_EOS) != 0
        let count = transform.pointee.dropsAll ? 0 : run.count
        transform.pointee.produced &+= Int64(count)
        guard lengthIsRight(exchange, way, transform, ends: isEnd) else { return .left }
        if isCollecting(exchange, way) || !transform.pointee.outRest.isEmpty {
            transform.pointee.outRest.append(run.bytes, count)
            transform.pointee.outEnds = isEnd
            guard isCollecting(exchange, way) else { return .more }
            return isEnd || isFull(exchange, transform) ? .done : .more
        }
        return write(exchange, way, transform, run.bytes, count, isEnd: isEnd)
    }

    func isCollecting(_ exchange: UnsafeMutablePointer<Exchange>, _ way: BodyWay) -> Bool {
        way == .request && exchange.pointee.response == .collect
    }

    /// Compares what came out so far with what the head says; when plugins made another length of
    /// it, the exchange is answered or cut.
    mutating func lengthIsRight(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        ends: Bool
    ) -> Bool {
        let (expected, produced) = (transform.pointee.expected, transform.pointee.produced)
        guard expected >= 0, produced > expected || ends && produced < expected else {
            return true
        }
        let name: StaticString = way == .request ? "request" : "response"
        log.write(1) { line in
            line.text("plugins changed the length of a ")
            line.text(name)
            line.text("'s body without saying so: its head says ")
            line.number(Int(expected))
            line.text(", it has ")
            line.number(Int(produced))
            line.text(" or more")
        }
        exchange.pointee.flags.insert([.closeUpstream, .closeDownstream])
        if exchange.pointee.flags.contains(.responseStarted) {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
            noteReason(exchange, "a plugin broke the length of a body")
            cut(exchange)
        } else {
            reply(exchange, 500, reason: "a plugin broke the length of a body")
        }
        return false
    }

    mutating func writeRest(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>
    ) -> BodyProgress {
        let isEnd = transform.pointee.outEnds
        var rest = transform.pointee.outRest
        transform.pointee.outRest = WaitingBytes()
        transform.pointee.outEnds = false
        let progress = write(
            exchange,
            way,
            transform,
            rest.isEmpty ? UnsafePointer(scratch) : UnsafePointer(rest.first),
            rest.count,
            isEnd: isEnd
        )
        rest.release()
        return progress
    }

    /// Writes to the receiver; what it does not take is kept.
    private mutating func write(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        isEnd: Bool
    ) -> BodyProgress {
        var at = 0
        repeat {
            let length = min(count &- at, Self.runBytes)
            let isLast = isEnd && at &+ length == count
            let headCount = transform.pointee.pendingHead
            transform.pointee.pendingHead = 0
            let written = writeRun(
                exchange,
                way,
                headCount: headCount,
                bytes + at,
                length,
                isEnd: isLast
            )
            guard let written else { return .left }
            at &+= length
            if isLast { transform.pointee.isDone = true }
            guard written else {
                transform.pointee.outRest.append(bytes + at, count &- at)
                transform.pointee.outEnds = isEnd && !isLast
                return .blocked
            }
        } while at < count
        return isEnd ? .done : .more
    }

    /// Writes one run: true when it was taken, false when the receiver is to be waited for, nil
    /// when the exchange took another way.
    private mutating func writeRun(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        headCount: Int,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        isEnd: Bool
    ) -> Bool? {
        if way == .request {
            guard let up = exchange.pointee.up else { return nil }
            switch sendToPeer(exchange, up, headCount: headCount, bytes, count, isEnd: isEnd) {
            case .done: return true
            case .blocked: return false
            case .failed: return nil
            }
        }
        let written = emitResponse(
            exchange,
            headCount: headCount,
            data: bytes,
            count: count,
            isEnd: isEnd
        )
        switch written {
        case .done: return true
        case .blocked: return false
        case .failed: return nil
        }
    }

    /// Sends a head whose body has nothing to send yet.
    mutating func writePendingHead(_ exchange: UnsafeMutablePointer<Exchange>, _ way: BodyWay) {
        guard !exchange.pointee.isEnded,
            let transform = pipe(exchange, way).pointee.transform,
            transform.pointee.pendingHead > 0
        else { return }
        let headCount = transform.pointee.pendingHead
        transform.pointee.pendingHead = 0
        _ = writeRun(exchange, way, headCount: headCount, scratch, 0, isEnd: false)
    }

    // MARK: Trailers

    /// Makes the section that the body's end comes with, where the receiver can have one.
    mutating func prepareTrailers(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>
    ) {
        let pipe = pipe(exchange, way)
        guard pipe.pointee.writing == .chunked, transform.pointee.count > 0,
            let memory = exchange.pointee.context.arena.allocate(
                MemoryLayout<TrailerSection>.stride
            ),
            let fields = exchange.pointee.context.arena.allocate(
                FieldSpan.self,
                count: ChunkLimits.trailerFieldsMax
            )
        else { return }
        var message = Message(isRequest: false, head: UnsafePointer(scratch), fields: fields)
        if let trailer = pipe.pointee.trailer {
            var consumed = 0
            var fieldCount = 0
            let outcome = HeadParser.parseTrailers(
                trailer.bytes,
                count: pipe.pointee.trailerCount,
                fields: fields,
                fieldCount: &fieldCount,
                consumed: &consumed
            )
            if outcome == .complete {
                message.head = UnsafePointer(trailer.bytes)
                message.fieldCount = fieldCount
                message.fieldsEnd = consumed &- 2
            }
        }
        let section = memory.bindMemory(to: TrailerSection.self, capacity: 1)
        section.initialize(to: TrailerSection(message))
        transform.pointee.trailers = section
    }
}
