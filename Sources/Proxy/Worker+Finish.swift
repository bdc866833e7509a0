import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// How exchanges and connections end.
extension Worker {
    /// Milliseconds that a client gets to take the last answer and close.
    private static let lingerMilliseconds: UInt64 = 2_000

    /// The response has been written whole.
    mutating func finish(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.isEnded, exchange.pointee.response != .drain else { return }
        if exchange.pointee.hasWaits {
            cancelWaits(exchange)
        }
        reportEnd(exchange)
        let reusable =
            !exchange.pointee.flags.contains(.closeUpstream)
            && exchange.pointee.requestBody.isFinished
            && exchange.pointee.requestBody.reader.isDone
        detachUpstream(exchange, reuse: reusable)
        if exchange.pointee.failover != nil { leaveUpstream(exchange) }
        if exchange.pointee.down.pointee.isStream {
            let down = exchange.pointee.down
            end(exchange)
            // A request that is not over yet is of no more use (RFC 9113 §8.1).
            endStream(down, .noError)
            return
        }
        if !exchange.pointee.requestBody.reader.isDone,
            !exchange.pointee.flags.contains(.closeDownstream)
        {
            exchange.pointee.response = .drain
            exchange.pointee.lastRead = now
            // Whatever held it up before: it is read from now on.
            exchange.pointee.requestBody.isBlocked = false
            drainRequestBody(exchange)
            return
        }
        next(exchange)
    }

    /// Counts the end of a request and runs `request_end`, once.
    @inline(__always)
    private mutating func reportEnd(_ exchange: UnsafeMutablePointer<Exchange>) {
        // Inlined: a request without such hooks pays for its counts alone.
        guard !exchange.pointee.flags.contains(.endReported) else { return }
        exchange.pointee.flags.insert(.endReported)
        countEnd(exchange)
        if exchange.pointee.cache != nil { endCache(exchange) }
        if exchange.pointee.chain.hookCount(.requestEnd) > 0
            || calls.worker.pointee.watchedCircuits != 0
        {
            tellEnd(exchange)
        }
    }

    /// The same of a request that ended before its response did.
    @inline(never)
    private mutating func reportLate(_ exchange: UnsafeMutablePointer<Exchange>) {
        reportEnd(exchange)
    }

    /// Runs `request_end`.
    @inline(never)
    private mutating func tellEnd(_ exchange: UnsafeMutablePointer<Exchange>) {
        defer {
            if calls.worker.pointee.watchedCircuits != 0 {
                calls.endRequest(exchange.pointee.chain, context(of: exchange))
            }
        }
        guard exchange.pointee.chain.hookCount(.requestEnd) > 0 else { return }
        exchange.pointee.context.facts.outcome = exchange.pointee.outcome
        exchange.pointee.context.facts.time_now = Clock.monotonicNanoseconds()
        exchange.pointee.context.facts.bytes_in = exchange.pointee.requestBody.byteCount
        _ = calls.run(
            .requestEnd,
            of: exchange.pointee.chain,
            positions: 0..<exchange.pointee.context.entered,
            context(of: exchange),
            flags: 0
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
    }

    /// Reads the rest of a request that was answered early, and throws it away.
    mutating func drainRequestBody(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        let limit = exchange.pointee.listener.pointee.settings.limits.drainBytes
        while !exchange.pointee.requestBody.reader.isDone {
            var bytes = scratch
            var count = 0
            if let input = waitingInput(down) {
                (bytes, count) = input
            } else {
                guard down.pointee.flags.contains(.readable) else {
                    armBody(exchange)
                    return
                }
                count = down.receive(scratch, Self.headReadBytes)
                guard count > 0 else {
                    if count == Syscall.wouldBlock { continue }
                    end(exchange)
                    close(down)
                    return
                }
            }
            exchange.pointee.lastRead = now
            var result = BodyReader.Result()
            guard readMessage(exchange, bytes, count, &result) else { return }
            exchange.pointee.drained &+= result.consumed
            if exchange.pointee.drained > limit {
                exchange.pointee.flags.insert(.closeDownstream)
                break
            }
        }
        if down.pointee.inputCount == 0 { freeInput(down) }
        next(exchange)
    }

    /// Gives the client's connection to its next request, or ends it.
    private mutating func next(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        let isClean =
            exchange.pointee.requestBody.reader.isDone
            && exchange.pointee.outcome == UInt32(SLUICE_OUTCOME_COMPLETE)
        let closes = exchange.pointee.flags.contains(.closeDownstream)
        let idle = exchange.pointee.listener.pointee.settings.timeouts.idle
        end(exchange)
        down.pointee.state = .idle
        let hasRest = restOwner == down && restCount > 0
        let hasInput = down.pointee.inputCount > 0 || hasRest
        if closes {
            if down.pointee.isAbsent || isClean, !hasInput, !down.pointee.flags.contains(.readable)
            {
                close(down)
            } else {
                beginLingering(down)
            }
            return
        }
        let leaves = isDraining && !keepsIdle || down.pointee.flags.contains(.leaves)
        if leaves, !hasInput {
            close(down)
            return
        }
        timers.set(timer(of: down), deadline: now &+ UInt64(idle))
        if down.pointee.inputCount > 0 || down.pointee.flags.contains(.readable) { enqueue(down) }
    }

    /// Frees what an exchange holds; its memory is taken back after the batch.
    private mutating func end(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.isEnded else { return }
        if exchange.pointee.hasWaits {
            cancelWaits(exchange)
        }
        if !exchange.pointee.flags.contains(.endReported) { reportLate(exchange) }
        if exchange.pointee.context.calloutCount > 0 { endCallouts(of: exchange) }
        detachUpstream(exchange, reuse: false)
        if exchange.pointee.failover != nil { leaveUpstream(exchange) }
        if exchange.pointee.requestBody.holdsMemory { release(&exchange.pointee.requestBody) }
        if exchange.pointee.responseBody.holdsMemory { release(&exchange.pointee.responseBody) }
        releaseReplay(exchange)
        exchange.pointee.flags.insert(.ended)
        leave(exchange)
        exchange.pointee.down.pointee.exchange = nil
        exchange.pointee.nextDead = deadExchanges
        deadExchanges = exchange
    }

    // MARK: Ends that are not whole

    /// Ends an exchange so that the client can't take what it got for a whole response.
    mutating func cut(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        // Where the connection's end would mean the body's end, only a reset says otherwise. A
        // body with a length or with chunks shows by itself that it is cut.
        let body = exchange.pointee.responseBody
        let isDelimited =
            body.writing == .chunked
            || body.reader.kind == .length
                && exchange.pointee.outcome != UInt32(SLUICE_OUTCOME_RESET)
        if !isDelimited, down.pointee.fd >= 0 { Syscall.resetOnClose(down.pointee.fd) }
        if exchange.pointee.outcome == UInt32(SLUICE_OUTCOME_COMPLETE) {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_UPSTREAM_CUT)
        }
        end(exchange)
        close(down)
    }

    /// The client closed, or does not take its response.
    mutating func clientGone(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.isEnded else { return }
        if exchange.pointee.cache != nil, goesOnAlone(exchange) { return }
        let down = exchange.pointee.down
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_CLIENT_GONE)
        end(exchange)
        if down.pointee.isStream {
            // Nothing failed here: nobody waits for it any more (RFC 9113 §7).
            endStream(down, .cancel)
        } else {
            close(down)
        }
    }

    /// Ends an exchange of a stream without an answer; its outcome is set already.
    mutating func abandon(_ exchange: UnsafeMutablePointer<Exchange>) { end(exchange) }

    /// A client's connection is broken, whatever it was in.
    mutating func lose(_ down: UnsafeMutablePointer<Downstream>) {
        if let session = down.pointee.session {
            closeSession(session)
        } else if let exchange = down.pointee.exchange {
            clientGone(exchange)
        } else {
            close(down)
        }
    }

    /// Looks at a client that said it will send no more; true when its exchange was ended for it.
    mutating func clientWentAway(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let down = exchange.pointee.down
        if down.pointee.flags.contains(.failed) {
            clientGone(exchange)
            return true
        }
        guard exchange.pointee.requestBody.reader.isDone,
            exchange.pointee.response == .head || exchange.pointee.response == .none
                || exchange.pointee.response == .waiting || exchange.pointee.response == .body,
            exchange.pointee.listener.pointee.settings.halfClose == .abort,
            down.pointee.inputCount == 0
        else { return false }
        clientGone(exchange)
        return true
    }

    // MARK: Lingering

    /// Closes after the client has seen the answer: closing with unread input would reset the
    /// connection and could take the answer away (RFC 9112 §9.6).
    mutating func beginLingering(_ down: UnsafeMutablePointer<Downstream>) {
        if restOwner == down { restCount = 0 }
        freeInput(down)
        down.wire.finishSending(&down.pointee.flags)
        down.pointee.state = .lingering
        down.pointee.flags.insert(.readable)
        timers.cancel(timer(of: down))
        timers.set(timer(of: down), deadline: now &+ Self.lingerMilliseconds)
        enqueue(down)
    }

    /// Reads and throws away until the client closes.
    mutating func linger(_ down: UnsafeMutablePointer<Downstream>) {
        for _ in 0..<Self.turnsMax {
            let count = down.receive(scratch, Self.scratchBytes)
            if count == Syscall.wouldBlock { return }
            if count <= 0 {
                close(down)
                return
            }
        }
        enqueue(down)
    }
}
