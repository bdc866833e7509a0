import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// The hooks of a request's head, and what comes of any hook's verdict.
extension Worker {
    /// Prepares what the global plugins need; nothing to do without any.
    mutating func enterChain(_ exchange: UnsafeMutablePointer<Exchange>) {
        let chain = exchange.pointee.chain
        guard chain.pluginCount > 0 else { return }
        exchange.pointee.context.entered = chain.pluginCount
        exchange.pointee.context.leaving = chain.pluginCount
        fillFacts(exchange)
        exchange.pointee.context.globalContexts = makeContexts(
            exchange,
            chain.globalContextBytes
        )
    }

    mutating func enterRoute(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ route: UnsafePointer<RoutePlan>
    ) {
        if exchange.pointee.context.facts.time_start == 0 { fillFacts(exchange) }
        exchange.pointee.context.facts.route = sluice_slice(route.pointee.name)
        if let upstream = route.pointee.upstream {
            exchange.pointee.context.facts.upstream = sluice_slice(upstream.pointee.name)
        }
        exchange.pointee.context.routeContexts = makeContexts(
            exchange,
            route.pointee.chain.routeContextBytes
        )
    }

    private func makeContexts(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ count: Int
    ) -> UnsafeMutableRawPointer? {
        guard count > 0, let memory = exchange.pointee.context.arena.allocate(count) else {
            return nil
        }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        return memory
    }

    private mutating func fillFacts(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        let text = exchange.pointee.context.arena.allocate(
            UInt8.self,
            count: IPAddress.textBytesMax
        )
        exchange.pointee.context.facts.http_version =
            UInt32(exchange.pointee.head.minorVersion == 0 ? SLUICE_HTTP_1_0 : SLUICE_HTTP_1_1)
        exchange.pointee.context.facts.request_number = requestNumber
        if let text {
            if down.pointee.ip != lastIP || lastIPCount == 0 {
                lastIP = down.pointee.ip
                lastIPCount = lastIP.write(to: lastIPText)
            }
            text.update(from: lastIPText, count: IPAddress.textBytesMax)
            exchange.pointee.context.facts.client_address = sluice_slice(
                Slice(text, lastIPCount)
            )
        }
        exchange.pointee.context.facts.local_address = sluice_slice(
            exchange.pointee.listener.pointee.text
        )
        // Safe: 16 bytes of address in both.
        withUnsafeMutableBytes(of: &exchange.pointee.context.facts.client_ip) { to in
            to.storeBytes(of: down.pointee.ip.low, as: UInt64.self)
            to.storeBytes(of: down.pointee.ip.high, toByteOffset: 8, as: UInt64.self)
        }
        exchange.pointee.context.facts.client_family = UInt32(down.pointee.ip.family)
        exchange.pointee.context.facts.client_port = UInt32(down.pointee.port)
        exchange.pointee.context.facts.time_start = nowNanoseconds
        exchange.pointee.context.facts.time_now = nowNanoseconds
        exchange.pointee.context.facts.head_bytes_in = UInt32(exchange.pointee.head.byteCount)
        var connection = down
        if let session = down.pointee.session {
            exchange.pointee.context.facts.http_version = UInt32(SLUICE_HTTP_2)
            connection = session.pointee.owner
        }
        exchange.pointee.context.facts.connection_number = connection.pointee.number
        exchange.pointee.context.facts.connection_requests = connection.pointee.requests
        if connection.pointee.tls != nil { fillFacts(exchange, ofTLS: connection) }
    }

    /// Notes that the plugin at this place of the chain decided what the client gets.
    mutating func noteAnswer(_ exchange: UnsafeMutablePointer<Exchange>, position: Int) {
        let name = exchange.pointee.chain.plugins[position].name
        exchange.pointee.context.facts.answered_by = sluice_slice(name)
    }

    /// Notes why the host ends a request by itself, for `request_end`; the first reason stays.
    mutating func noteReason(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: StaticString) {
        guard exchange.pointee.context.facts.reason.len == 0 else { return }
        exchange.pointee.context.facts.reason = sluice_slice(reason)
    }

    /// The same with a text that is made for it; nothing to do where no plugin is told of the end.
    mutating func noteReason(_ exchange: UnsafeMutablePointer<Exchange>, text: String) {
        guard exchange.pointee.context.facts.reason.len == 0,
            exchange.pointee.chain.hookCount(.requestEnd) > 0
        else { return }
        var text = text
        text.withUTF8 { bytes in
            guard let start = bytes.baseAddress,
                let kept = exchange.pointee.context.keep(start, bytes.count)
            else { return }
            exchange.pointee.context.facts.reason = sluice_slice(kept)
        }
    }

    /// Runs `request_headers` of some plugins; false when the request was answered or cut.
    mutating func runRequestHooks(
        _ exchange: UnsafeMutablePointer<Exchange>,
        positions: Range<Int>,
        from first: Int = 0,
        _ resumption: Resumption? = nil
    ) -> Bool {
        let chain = exchange.pointee.chain
        if calls.worker.pointee.watchedCircuits != 0, resumption == nil, first == 0 {
            guard passesCircuits(exchange, chain, positions) else { return false }
        }
        guard chain.hookCount(.requestHeaders) > 0 else { return true }
        let flags = exchange.pointee.head.framing.isNone ? UInt32(SLUICE_ARGS_EOS) : 0
        let outcome = calls.run(
            .requestHeaders,
            of: chain,
            from: first,
            positions: positions,
            context(of: exchange),
            flags: flags,
            resumption: resumption
        )
        return settle(outcome, exchange, .requestHeaders)
    }

    /// Leaves out plugins whose circuits are open; false when one of them is closed to requests
    /// without it, and so the request was answered.
    @inline(never)
    private mutating func passesCircuits(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ chain: PhaseChain,
        _ positions: Range<Int>
    ) -> Bool {
        let skipped = calls.skipped(chain, positions, request: context(of: exchange))
        guard skipped != 0 else { return true }
        exchange.pointee.context.detached |= skipped
        exchange.pointee.context.absent |= skipped
        for position in positions where skipped & 1 << UInt64(position) != 0 {
            let status = chain.plugins[position].failureStatus
            guard status != 0 else { continue }
            exchange.pointee.context.leaving = min(exchange.pointee.context.leaving, position)
            noteAnswer(exchange, position: position)
            reply(exchange, status, reason: "a plugin that fails too often is left out")
            return false
        }
        return true
    }

    /// Acts on what a request phase came to; true when the request goes on.
    mutating func settle(
        _ outcome: PhaseOutcome,
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase
    ) -> Bool {
        if let failure = calls.failure { logFailure(failure, exchange) }
        switch outcome {
        case .proceed: return true
        case .respond(let position):
            replyOfPlugin(exchange, position: position)
        case .reset(let position):
            exchange.pointee.context.leaving = 0
            exchange.pointee.context.entered = max(
                exchange.pointee.context.entered,
                position &+ 1
            )
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
            noteAnswer(exchange, position: position)
            cut(exchange)
        case .failed(let position, let status):
            exchange.pointee.context.leaving = min(exchange.pointee.context.leaving, position)
            noteAnswer(exchange, position: position)
            exchange.pointee.cache?.pointee.giveUp()
            reply(exchange, status, reason: "a plugin failed")
        case .suspended(let index): _ = wait(exchange, phase, index: index)
        case .held: break
        }
        return false
    }

    @inline(__always)
    func context(
        of exchange: UnsafeMutablePointer<Exchange>
    ) -> UnsafeMutablePointer<RequestContext> {
        // Safe: the context is the first member.
        UnsafeMutableRawPointer(exchange).assumingMemoryBound(to: RequestContext.self)
    }

    mutating func logFailure(
        _ failure: HookFailure,
        _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        let name = exchange.pointee.chain.plugins[failure.position].name
        log.write(1) { line in
            line.text("plugin ")
            line.escaped(name.bytes, name.count)
            line.text(" failed in phase ")
            line.number(failure.phase.rawValue)
            line.text(", verdict ")
            line.number(Int(failure.verdict))
            line.text(", code ")
            line.number(Int(failure.code))
            if let edit = failure.edit {
                line.text(", edit refused: ")
                line.text("\(edit)")
            }
        }
    }
}
