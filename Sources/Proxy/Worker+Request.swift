import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// From a client's bytes to a request that has a route.
extension Worker {
    /// Reads and begins requests until one is being served or there is nothing to read.
    mutating func readRequests(_ down: UnsafeMutablePointer<Downstream>) {
        var turns = Self.turnsMax
        // Bytes behind the last request are looked at before any more is read.
        if down.pointee.inputCount > 0, down.pointee.state == .idle, let input = down.pointee.input
        {
            let bytes = input + Int(down.pointee.inputStart)
            guard parse(down, bytes, down.pointee.inputCount) else { return }
        }
        while down.pointee.flags.contains(.readable) {
            guard turns > 0 else {
                enqueue(down)
                return
            }
            turns &-= 1
            let (to, room) = inputRoom(down)
            let count = down.receive(to, room)
            guard count > 0 else {
                if count != Syscall.wouldBlock { close(down) }
                return
            }
            let parsed: Bool
            if let input = down.pointee.input {
                down.pointee.inputEnd &+= UInt32(count)
                parsed = parse(
                    down,
                    input + Int(down.pointee.inputStart),
                    down.pointee.inputCount
                )
            } else {
                parsed = parse(down, scratch, count)
            }
            guard parsed else { return }
        }
    }

    /// Where the next bytes of a head go: behind those that came before, or into the scratch.
    private mutating func inputRoom(
        _ down: UnsafeMutablePointer<Downstream>
    ) -> (UnsafeMutablePointer<UInt8>, Int) {
        guard let input = down.pointee.input else { return (scratch, Self.headReadBytes) }
        let end = Int(down.pointee.inputEnd)
        let capacity = Int(down.pointee.inputCapacity)
        if end < capacity { return (input + end, capacity &- end) }
        // A head is refused at its bound, so a larger block is always to be had.
        let count = down.pointee.inputCount
        let block = buffers.take(count &+ 1)
        block.bytes.update(from: input + Int(down.pointee.inputStart), count: count)
        buffers.give(Block(bytes: input, capacity: capacity))
        down.pointee.input = block.bytes
        down.pointee.inputCapacity = UInt32(block.capacity)
        down.pointee.inputStart = 0
        down.pointee.inputEnd = UInt32(count)
        return (block.bytes + count, block.capacity &- count)
    }

    /// Parses a head and begins its exchange.
    ///
    /// - Parameter bytes: in the scratch, or in the connection's input.
    /// - Returns: whether more must be read; false when an exchange began or the connection ended.
    private mutating func parse(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        let listener = listeners + Int(down.pointee.listener)
        if listener.pointee.speaksHTTP2, down.pointee.flags.contains(.fresh) {
            switch H2Connection.matchPreface(bytes, count) {
            case .whole:
                beginSession(down, bytes, count)
                return false
            case .part:
                keepInput(down, bytes, count)
                return true
            case .none:
                guard listener.pointee.speaksHTTP1 else {
                    log.write(3) { line in
                        line.text("closed: HTTP/2 is spoken here, and the client does not begin")
                        line.text(" with its preface; client ")
                        line.address(down.pointee.ip, port: down.pointee.port)
                    }
                    close(down)
                    return false
                }
            }
        }
        // A head that drips in is parsed once, when its end is there.
        if down.pointee.state == .head, count < listener.pointee.head.headBytesMax,
            !down.pointee.scanner.found(in: bytes, count: count)
        {
            return true
        }
        var head = RequestHead()
        switch HeadParser.parseRequest(
            bytes,
            count: count,
            limits: listener.pointee.head,
            fields: requestFields,
            into: &head
        )
        {
        case .complete:
            begin(down, bytes, count, head)
            return false
        case .incomplete:
            if down.pointee.state == .idle {
                down.pointee.state = .head
                // A new connection's time began when it was accepted.
                if !down.pointee.flags.contains(.fresh) {
                    timers.set(
                        timer(of: down),
                        deadline: now &+ UInt64(listener.pointee.settings.timeouts.head)
                    )
                }
                _ = down.pointee.scanner.found(in: bytes, count: count)
            }
            keepInput(down, bytes, count)
            return true
        case .invalid(let error):
            refuse(down, error, bytes, count)
            return false
        }
    }

    // MARK: Beginning

    private mutating func begin(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int,
        _ head: RequestHead
    ) {
        let headCount = Int(head.byteCount)
        guard let exchange = makeExchange(down, bytes, head) else {
            close(down)
            return
        }
        if down.pointee.input == nil {
            rest = bytes + headCount
            restCount = count &- headCount
            restOwner = down
        } else {
            down.pointee.inputStart &+= UInt32(headCount)
            if down.pointee.inputCount == 0 { freeInput(down) }
        }
        down.pointee.scanner = HeadEndScanner()
        start(exchange)
        keepRest(down)
    }

    /// Puts what is left behind a head into the connection, before the scratch is used again.
    mutating func keepRest(_ down: UnsafeMutablePointer<Downstream>) {
        guard restOwner == down else { return }
        restOwner = nil
        guard !down.pointee.flags.contains(.dead), restCount > 0 else { return }
        keepInput(down, rest, restCount)
        if down.pointee.state == .idle { enqueue(down) }
    }

    /// Bytes of a client that were read and not used yet; nil when there are none.
    @inline(__always)
    func waitingInput(
        _ down: UnsafeMutablePointer<Downstream>
    ) -> (bytes: UnsafeMutablePointer<UInt8>, count: Int)? {
        if restOwner == down, restCount > 0 { return (rest, restCount) }
        guard let input = down.pointee.input, down.pointee.inputCount > 0 else { return nil }
        return (input + Int(down.pointee.inputStart), down.pointee.inputCount)
    }

    /// An exchange with its own copy of the head.
    mutating func makeExchange(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafePointer<UInt8>,
        _ head: RequestHead
    ) -> UnsafeMutablePointer<Exchange>? {
        guard let exchange = exchanges.take() else { return nil }
        let used = MemoryLayout<Exchange>.stride
        var arena = Arena(
            block: UnsafeMutableRawPointer(exchange) + ((used &+ 63) & ~63),
            count: Exchange.blockBytes &- ((used &+ 63) & ~63)
        )
        let fieldCount = Int(head.fieldCount)
        guard let copy = arena.copy(bytes, Int(head.byteCount)),
            let fields = arena.allocate(FieldSpan.self, count: fieldCount)
        else {
            arena.release()
            exchanges.give(exchange)
            return nil
        }
        UnsafeMutableRawPointer(fields).copyMemory(
            from: requestFields,
            byteCount: fieldCount &* MemoryLayout<FieldSpan>.stride
        )
        guard let message = requestMessage(head, copy, fields, &arena) else {
            arena.release()
            exchanges.give(exchange)
            return nil
        }
        Exchange.prepare(
            exchange,
            down: down,
            listener: listeners + Int(down.pointee.listener),
            generation: enterGeneration(down),
            head: head,
            now: now,
            row: unroutedRow
        )
        exchange.pointee.begunAt = nowNanoseconds
        ownRow.add(WorkerWords.inFlight)
        if calls.worker.pointee.isCounting { unsampled &-= 1 }
        RequestContext.prepare(
            context(of: exchange),
            arena: arena,
            request: message,
            worker: calls.worker
        )
        if unsampled == 0 {
            unsampled = HookSampling.period
            exchange.pointee.context.timing.insert(.sampled)
        }
        down.pointee.exchange = exchange
        down.pointee.state = .exchange
        down.pointee.flags.remove(.fresh)
        down.pointee.requests &+= 1
        requestNumber &+= 1
        let limits = exchange.pointee.listener.pointee.settings.limits
        if !head.flags.contains(.keepAlive) || isDraining
            || down.pointee.flags.contains(.leaves)
            || Int(down.pointee.requests) >= limits.requests
        {
            exchange.pointee.flags.insert(.closeDownstream)
        }
        if head.flags.contains(.expectContinue), !head.framing.isNone {
            exchange.pointee.flags.insert(.awaitsContinue)
        }
        exchange.pointee.requestBody.reader = BodyReader(head.framing)
        exchange.pointee.requestBody.writing = head.framing.isChunked ? .chunked : .plain
        return exchange
    }

    /// A message over the copy of a head; nil when the arena's bound is reached.
    @inline(__always)
    private func requestMessage(
        _ head: RequestHead,
        _ copy: UnsafePointer<UInt8>,
        _ fields: UnsafeMutablePointer<FieldSpan>,
        _ arena: inout Arena
    ) -> Message? {
        var message = Message(isRequest: true, head: copy, fields: fields)
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.method = Slice(copy + Int(head.methodStart), Int(head.methodLength))
        message.path = Slice(copy + Int(head.pathStart), Int(head.targetLength))
        if head.pathLength == 0, head.method != .connect {
            // "http://example.com?x" is "/?x" (RFC 9112 §3.2.1).
            guard let path = arena.allocate(UInt8.self, count: Int(head.targetLength) &+ 1) else {
                return nil
            }
            path[0] = UInt8(ascii: "/")
            (path + 1).update(from: message.path.bytes, count: message.path.count)
            message.path = Slice(path, message.path.count &+ 1)
        }
        message.authority = Slice(copy + Int(head.authorityStart), Int(head.authorityLength))
        return message
    }

    /// Checks what the host itself answers, runs the request's hooks and finds its route.
    mutating func start(_ exchange: UnsafeMutablePointer<Exchange>) {
        enterChain(exchange)
        guard !answersByPolicy(exchange) else { return }
        let count = exchange.pointee.chain.pluginCount
        guard runRequestHooks(exchange, positions: 0..<count) else { return }
        route(exchange)
    }

    /// Finds the route of a request whose global hooks have run, and runs the route's.
    private mutating func route(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.insert(.routed)
        guard
            let route = exchange.pointee.generation.pointee.routes.match(
                exchange.pointee.context.request,
                listener: Int(places[Int(exchange.pointee.down.pointee.listener)].order)
            )
        else {
            reply(exchange, 404, reason: "no route")
            return
        }
        let chain = route.pointee.chain
        exchange.pointee.chain = chain
        exchange.pointee.upstream = route.pointee.upstream
        exchange.pointee.row = route.pointee.meter.row(index)
        if chain.pluginCount > 0 { enterRoute(exchange, route) }
        if chain.pluginCount > chain.globalCount {
            exchange.pointee.context.entered = chain.pluginCount
            exchange.pointee.context.leaving = chain.pluginCount
            guard runRequestHooks(exchange, positions: chain.globalCount..<chain.pluginCount)
            else { return }
        }
        if chain.cache != nil {
            lookUp(exchange)
        } else {
            goUpstream(exchange)
        }
    }

    /// Sends a request whose hooks have all run, and that no cache answers.
    mutating func goUpstream(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.upstream != nil else {
            reply(exchange, 404, reason: "no upstream, and no plugin answered")
            return
        }
        if !exchange.pointee.head.framing.isNone,
            exchange.pointee.chain.hookCount(.requestBody) > 0
                || exchange.pointee.context.bodyWishes != nil
        {
            prepareRequestBody(exchange)
            guard exchange.pointee.response != .collect else {
                collectRequest(exchange)
                return
            }
        }
        attempt(exchange)
    }

    /// A hook of the request's head has waited.
    mutating func resumeRequest(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ index: Int,
        _ resumption: Resumption
    ) {
        let chain = exchange.pointee.chain
        let isRouted = exchange.pointee.flags.contains(.routed)
        guard
            runRequestHooks(
                exchange,
                positions: isRouted
                    ? chain.globalCount..<chain.pluginCount : 0..<chain.pluginCount,
                from: index,
                resumption
            )
        else { return }
        if !isRouted {
            route(exchange)
        } else if chain.cache != nil {
            lookUp(exchange)
        } else {
            goUpstream(exchange)
        }
    }

    /// Methods and sizes that no plugin decides on.
    ///
    /// True when the request was answered.
    private mutating func answersByPolicy(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let head = exchange.pointee.head
        switch head.method {
        case .connect, .trace:
            exchange.pointee.flags.insert(.closeDownstream)
            reply(
                exchange,
                405,
                reason: "method not allowed",
                fields: [(.allow, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")]
            )
            return true
        case .options where head.flags.contains(.asterisk):
            reply(
                exchange,
                204,
                reason: "",
                fields: [(.allow, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")]
            )
            return true
        default: break
        }
        if case .length(let count) = head.framing,
            count > exchange.pointee.listener.pointee.bodyBytesMax
        {
            exchange.pointee.flags.insert(.closeDownstream)
            reply(exchange, 413, reason: "limits.body: Content-Length is over it")
            return true
        }
        return false
    }

    // MARK: Refusing

    /// Answers a request that broke a rule, and ends the connection: where the next request would
    /// begin is not known.
    private mutating func refuse(
        _ down: UnsafeMutablePointer<Downstream>,
        _ error: HeadError,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        log.write(3) { line in
            line.number(Int(error.status))
            line.text(": request refused: ")
            line.text(error.limitName ?? "\(error)")
            line.text("; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
            line.text("; begins \"")
            line.escaped(bytes, count, most: 60)
            line.text("\"")
        }
        refuse(
            down,
            status: error.status,
            outcome: UInt32(SLUICE_OUTCOME_MALFORMED),
            reason: error.limitName ?? "\(error)",
            begin: Slice(bytes, count)
        )
    }

    /// Answers a connection that has no whole request.
    ///
    /// - Parameters:
    ///   - reason: for plugins that are told of the request's end.
    ///   - begin: what has come of the request, for the same; empty when it is not text.
    mutating func refuse(
        _ down: UnsafeMutablePointer<Downstream>,
        status: UInt16,
        outcome: UInt32,
        reason: String,
        begin: Slice = Slice("")
    ) {
        guard let exchange = makeEmptyExchange(down) else {
            close(down)
            return
        }
        noteReason(exchange, text: reason)
        if exchange.pointee.chain.hookCount(.requestEnd) > 0 {
            RequestBegin.set(context(of: exchange), begin)
        }
        freeInput(down)
        exchange.pointee.flags.insert(.closeDownstream)
        exchange.pointee.outcome = outcome
        enterChain(exchange)
        reply(exchange, status, reason: "")
    }

    /// An exchange for a request that is not known.
    mutating func makeEmptyExchange(
        _ down: UnsafeMutablePointer<Downstream>
    ) -> UnsafeMutablePointer<Exchange>? {
        var head = RequestHead()
        head.byteCount = 0
        guard let exchange = makeExchange(down, scratch, head) else { return nil }
        exchange.pointee.context.request.method = Slice("")
        exchange.pointee.context.request.path = Slice("")
        return exchange
    }
}
