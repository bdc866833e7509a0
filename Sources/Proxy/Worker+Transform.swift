import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Bodies on their way through plugins.
///
/// A chunk goes through all stages at once. What a stage leaves, because there is no room or it
/// waits, stays with it, and nothing new is read before it is dealt with: the last stage first.
extension Worker {
    // MARK: Making

    /// The stages of a body, or nil when it goes through none.
    ///
    /// - Parameters:
    ///   - first: the phase whose hooks come before those of `second`; nil for none.
    ///   - positions: of plugins whose hooks are called.
    func makeTransform(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ first: Phase?,
        _ second: Phase,
        positions: Range<Int>,
        isNeeded: Bool
    ) -> UnsafeMutablePointer<BodyTransform>? {
        let chain = exchange.pointee.chain
        let writer = first == nil ? nil : exchange.pointee.cache.flatMap(\.pointee.stage)
        let most =
            chain.hookCount(second) &+ (first.map { chain.hookCount($0) } ?? 0)
            &+ (writer == nil ? 0 : 1)
        guard most > 0 || isNeeded,
            let memory = exchange.pointee.context.arena.allocate(
                MemoryLayout<BodyTransform>.stride &+ most &* MemoryLayout<BodyStage>.stride &+ 16
            )
        else { return nil }
        let stages = (memory + (MemoryLayout<BodyTransform>.stride &+ 15) & ~15)
            .bindMemory(to: BodyStage.self, capacity: max(most, 1))
        var count = 0
        if let first { addStages(exchange, first, positions, stages, &count) }
        if let writer {
            // What is stored is what these hooks left.
            stages.advanced(by: count).initialize(to: BodyStage(entry: writer, phase: .cacheLookup))
            count &+= 1
        }
        addStages(exchange, second, positions, stages, &count)
        guard count > 0 || isNeeded else { return nil }
        let transform = memory.bindMemory(to: BodyTransform.self, capacity: 1)
        transform.initialize(to: BodyTransform(stages: stages, count: count))
        return transform
    }

    private func addStages(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ phase: Phase,
        _ positions: Range<Int>,
        _ stages: UnsafeMutablePointer<BodyStage>,
        _ count: inout Int
    ) {
        let chain = exchange.pointee.chain
        for index in 0..<chain.hookCount(phase) {
            let entry = chain.entry(phase, index)
            let position = Int(entry.pointee.position)
            guard positions.contains(position),
                exchange.pointee.context.isInterested(phase, position: position)
            else { continue }
            stages.advanced(by: count).initialize(to: BodyStage(entry: entry, phase: phase))
            prepareCollecting(exchange, stages + count)
            count &+= 1
        }
    }

    /// Looks again at what plugins ask for whose head hooks ran after the stages were made.
    func refreshStages(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        from first: Int
    ) {
        for index in first..<max(first, transform.pointee.count) {
            prepareCollecting(exchange, transform.pointee.stages + index)
        }
    }

    private func prepareCollecting(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ stage: UnsafeMutablePointer<BodyStage>
    ) {
        guard
            let wish = exchange.pointee.context.bodyWishes?.pointee.buffer(
                stage.pointee.phase,
                position: stage.pointee.position
            )
        else { return }
        let most = exchange.pointee.listener.pointee.settings.limits.bodyBufferBytes
        stage.pointee.collects =
            wish.bytesMax == 0 ? most : Int(min(UInt64(most), wish.bytesMax))
        stage.pointee.streamsOverflow = wish.streamsOverflow
    }

    // MARK: Feeding

    func pipe(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay
    ) -> UnsafeMutablePointer<BodyPipe> {
        // Safe: members of a struct at a fixed address.
        (UnsafeMutableRawPointer(exchange)
            + (way == .request ? requestBodyOffset : responseBodyOffset))
            .assumingMemoryBound(to: BodyPipe.self)
    }

    /// Gives the next bytes of a body to the first stage.
    ///
    /// - Parameter flush: the sender has no more for now.
    mutating func feed(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        isEnd: Bool,
        flush: Bool
    ) -> BodyProgress {
        guard let transform = pipe(exchange, way).pointee.transform else { return .left }
        var flags: UInt32 = 0
        if flush { flags |= UInt32(SLUICE_BODY_FLUSH) }
        if isEnd {
            flags |= UInt32(SLUICE_BODY_EOS)
            transform.pointee.isFed = true
            prepareTrailers(exchange, way, transform)
        }
        transform.pointee.owesFlush = !isEnd && !flush && count > 0
        guard count > 0 || isEnd || flush else { return .more }
        let progress = runStages(exchange, way, transform, from: 0, bytes, count, flags, nil)
        return progress == .more ? goOnBody(exchange, way) : progress
    }

    /// Tells the first stage that the sender pauses, when the last bytes came without that.
    mutating func flushStages(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay
    ) -> BodyProgress {
        guard pipe(exchange, way).pointee.transform?.pointee.owesFlush == true else {
            return .more
        }
        return feed(exchange, way, scratch, 0, isEnd: false, flush: true)
    }

    /// Goes on with what stages left, as far as that can go now.
    mutating func goOnBody(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay
    ) -> BodyProgress {
        guard let transform = pipe(exchange, way).pointee.transform else { return .left }
        while true {
            if transform.pointee.isDone { return .done }
            if !transform.pointee.outRest.isEmpty || transform.pointee.outEnds,
                transform.pointee.holder < 0, !isCollecting(exchange, way)
            {
                let progress = writeRest(exchange, way, transform)
                guard progress == .more else { return progress }
                continue
            }
            guard let index = lastStageWithWork(transform) else { return .more }
            let stage = transform.pointee.stages + index
            guard !stage.pointee.isWaiting else { return .waiting }
            stage.pointee.isDue = false
            let resumption = stage.pointee.resumption
            stage.pointee.resumption = nil
            let progress = runStages(
                exchange,
                way,
                transform,
                from: index,
                stage.pointee.rest.isEmpty
                    ? UnsafePointer(scratch)
                    : UnsafePointer(
                        stage.pointee.rest.first
                    ),
                stage.pointee.rest.count,
                stage.pointee.restFlags,
                resumption,
                isRest: true
            )
            guard progress == .more else { return progress }
        }
    }

    private func lastStageWithWork(_ transform: UnsafeMutablePointer<BodyTransform>) -> Int? {
        var index = transform.pointee.count
        while index > 0 {
            index &-= 1
            let stage = transform.pointee.stages + index
            if stage.pointee.isDue || stage.pointee.isWaiting { return index }
        }
        return nil
    }

    /// Gives bytes to a stage, what comes out of it to the next one, and what comes out of the last
    /// one to the receiver.
    ///
    /// - Parameter isRest: the bytes are what the stage had left.
    private mutating func runStages(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        from first: Int,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ flags: UInt32,
        _ resumption: Resumption?,
        isRest: Bool = false
    ) -> BodyProgress {
        var run = StageRun(bytes: bytes, count: count, flags: flags, isRest: isRest)
        run.resumption = resumption
        var index = first
        let end =
            transform.pointee.holder < 0 ? transform.pointee.count : transform.pointee.holder &+ 1
        while index < end {
            let stage = transform.pointee.stages + index
            if stage.pointee.phase == .cacheLookup {
                // What it has taken goes on; it is the next bytes that wait.
                if store(exchange, run) {
                    stage.pointee.isWaiting = true
                    guard wait(exchange, .upstreamBody, index: index) else { return .left }
                }
                index &+= 1
                if run.count == 0, run.flags == 0 { return .more }
                continue
            }
            let isCalled = exchange.pointee.context.isInterested(
                stage.pointee.phase,
                position: stage.pointee.position
            )
            if isCalled {
                switch collect(exchange, way, transform, index, &run) {
                case .call: break
                case .wait: return .more
                case .left: return .left
                }
                guard callStage(exchange, way, transform, index, &run) else { return .left }
            } else {
                passOver(stage, &run)
            }
            run.isRest = false
            run.resumption = nil
            index &+= 1
            if run.count == 0, run.flags == 0, !run.releases { return .more }
        }
        return deliver(exchange, way, transform, run)
    }

    /// Lets bytes pass a stage whose hook is not called any more, behind what was kept for it.
    private func passOver(_ stage: UnsafeMutablePointer<BodyStage>, _ run: inout StageRun) {
        if !run.isRest, !stage.pointee.rest.isEmpty {
            stage.pointee.rest.append(run.bytes, run.count)
            run.bytes = UnsafePointer(stage.pointee.rest.first)
            run.count = stage.pointee.rest.count
            run.isRest = true
        }
        if run.isRest { stage.pointee.rest.drop(run.count) }
    }

    // MARK: One stage

    private enum Collected {
        case call, wait, left
    }

    /// Keeps bytes for a stage that wants the whole body.
    private mutating func collect(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ index: Int,
        _ run: inout StageRun
    ) -> Collected {
        let stage = transform.pointee.stages + index
        guard stage.pointee.collects > 0 else { return .call }
        if stage.pointee.offset > 0 || run.resumption != nil || run.isRest { return .call }
        let total = stage.pointee.rest.count &+ run.count
        if total > stage.pointee.collects {
            guard stage.pointee.streamsOverflow else {
                bodyOverflows(exchange, way, stage.pointee.position)
                return .left
            }
            stage.pointee.collects = 0
            run.flags |= UInt32(SLUICE_BODY_FLUSH)
        } else if run.flags & UInt32(SLUICE_BODY_EOS) == 0 {
            stage.pointee.rest.append(run.bytes, run.count)
            return .wait
        } else {
            run.flags |= UInt32(SLUICE_BODY_WHOLE)
        }
        if !stage.pointee.rest.isEmpty {
            stage.pointee.rest.append(run.bytes, run.count)
            run.bytes = UnsafePointer(stage.pointee.rest.first)
            run.count = stage.pointee.rest.count
            run.isRest = true
        }
        return .call
    }

    private mutating func bodyOverflows(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ position: Int
    ) {
        let name = exchange.pointee.chain.plugins[position].name
        log.write(2) { line in
            line.text("a body is over what plugin ")
            line.escaped(name.bytes, name.count)
            line.text(" takes whole (limits.body_buffer)")
        }
        exchange.pointee.context.leaving = min(exchange.pointee.context.leaving, position)
        noteAnswer(exchange, position: position)
        if way == .request {
            exchange.pointee.flags.insert(.closeDownstream)
            replyOrCut(exchange, 413, reason: "the body is too large for a plugin")
        } else {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
            replyOrCut(exchange, 502, reason: "the response's body is too large for a plugin")
        }
    }

    /// Calls the hook of a stage; `run` is then what goes on.
    ///
    /// - Returns: false when the exchange took another way.
    private mutating func callStage(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ index: Int,
        _ run: inout StageRun
    ) -> Bool {
        let stage = transform.pointee.stages + index
        let isHolder = transform.pointee.holder == index
        let ends = run.flags & UInt32(SLUICE_BODY_EOS) != 0
        let step = calls.runBody(
            stage.pointee.entry,
            stage.pointee.phase,
            context(of: exchange),
            run.bytes,
            run.count,
            chunkFlags: run.flags,
            offset: stage.pointee.offset,
            trailers: ends && !isHolder ? transform.pointee.trailers : nil,
            isHeld: isHolder,
            resumption: run.resumption
        )
        if let failure = calls.failure { logFailure(failure, exchange) }
        let isStuck = step.verdict == .more && step.consumed == 0 && step.count == 0
        let hasLeft = step.verdict == .next && step.consumed < run.count
        switch step.verdict {
        case .failed: return stepOver(exchange, way, transform, index, run)
        case .next where hasLeft, .more where isStuck:
            log.write(1) { line in
                line.text("a body hook left bytes without MORE, or wants more room than there is")
            }
            return stepOver(exchange, way, transform, index, run)
        case .respond, .reset:
            return leave(exchange, way, step.verdict, stage.pointee.position)
        case .next, .more, .suspended: break
        }
        stage.pointee.offset &+= UInt64(step.consumed)
        if step.isReplaced { stage.pointee.hasReplaced = true }
        let left = run.count &- step.consumed
        if run.isRest {
            // What goes on may lie in the rest itself: it is let go when that has been written.
            stage.pointee.rest.drop(step.consumed)
        } else if left > 0 {
            stage.pointee.rest.append(run.bytes + step.consumed, left)
        }
        let isOver = step.verdict == .next
        if !isOver {
            stage.pointee.restFlags = run.flags
            stage.pointee.isDue = step.verdict == .more
        }
        if step.verdict == .suspended {
            stage.pointee.isWaiting = true
            guard wait(exchange, stage.pointee.phase, index: index) else { return false }
        }
        run.bytes = step.bytes
        run.count = step.count
        run.flags = isOver ? run.flags & ~UInt32(SLUICE_BODY_WHOLE) : 0
        if isHolder, step.releases || isOver && ends { run.releases = true }
        return true
    }

    /// Goes on without a plugin whose hook failed, where its manifest entry and the body allow it.
    private mutating func stepOver(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ transform: UnsafeMutablePointer<BodyTransform>,
        _ index: Int,
        _ run: StageRun
    ) -> Bool {
        let stage = transform.pointee.stages + index
        let position = stage.pointee.position
        let status = exchange.pointee.chain.plugins[position].failureStatus
        let changes = exchange.pointee.context.bodyWishes?.pointee.changers ?? 0
        exchange.pointee.context.detached |= 1 << UInt64(position)
        if status == 0, !stage.pointee.hasReplaced, changes & (1 << UInt64(position)) == 0,
            transform.pointee.holder != index
        {
            if run.isRest { stage.pointee.rest.drop(run.count) }
            return true
        }
        exchange.pointee.context.leaving = min(exchange.pointee.context.leaving, position)
        noteAnswer(exchange, position: position)
        exchange.pointee.flags.insert(way == .request ? .closeDownstream : .closeUpstream)
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
        if exchange.pointee.flags.contains(.responseStarted) {
            noteReason(exchange, "a plugin failed")
            cut(exchange)
        } else {
            exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_COMPLETE)
            reply(exchange, status == 0 ? 500 : status, reason: "a plugin failed")
        }
        return false
    }

    /// Acts on RESPOND or RESET of a body hook.
    private mutating func leave(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ way: BodyWay,
        _ verdict: BodyStep.Verdict,
        _ position: Int
    ) -> Bool {
        if verdict == .respond, !exchange.pointee.flags.contains(.responseStarted) {
            if way == .response { exchange.pointee.flags.insert(.closeUpstream) }
            _ = settle(.respond(position: position), exchange, .requestBody)
        } else {
            if verdict == .respond {
                log.write(1) { $0.text("a body hook answers after the response began") }
            }
            _ = settle(.reset(position: position), exchange, .requestBody)
        }
        return false
    }
}

/// What goes from stage to stage.
struct StageRun {
    var bytes: UnsafePointer<UInt8>
    var count: Int
    var flags: UInt32
    /// The bytes are the stage's rest.
    var isRest: Bool
    var resumption: Resumption?
    /// The holder lets the head go.
    var releases = false
}
