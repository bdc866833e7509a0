import CSluice
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

// One fetch of a key at a time.

extension CacheFilter {
    /// Attempts to find a fill's state or to begin one, while others end all the time.
    private static let attemptsMax = 16

    /// Sends a request to the origin, or lets it wait for one that is there.
    func fetch(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ found: consuming Found,
        _ request: RequestDirectives,
        _ now: UInt64
    ) -> CacheVerdict {
        let context = lookup.contextPointer
        let fields = lookup.fields
        // The whole is fetched by a request of the host's: what goes with this one is a part.
        let isPartial = fields.contains(anyOf: sets.conditional) || fields.method == "HEAD"
        if lookup.again == .refused {
            giveUpExpected(found.name)
            return bypass(lookup, .refused)
        }
        let isHopeless = found.held == nil && store.pointee.predictor.contains(found.name.hash)
        // One fetch for a part: if that came to nothing, another one would, too.
        let isSpent = isPartial && context.pointee.hasFetched
        if context.pointee.isUnlocked || isHopeless || configuration.lockWait == 0 {
            return alone(lookup, found, isPartial: isPartial, now)
        }
        for _ in 0..<Self.attemptsMax {
            guard let fill = store.pointee.fills.find(found.name) else {
                if isSpent { break }
                let state = isPartial ? Fill.State.expected : .fetching
                guard let fill = Fill.make(found.name, state, now: now) else { break }
                if let other = store.pointee.fills.insert(fill) {
                    other.release()
                    fill.release()
                    continue
                }
                if found.held == nil, isLate(found.name, fill, context) { return find(lookup, now) }
                if !isPartial { return miss(lookup, found, fill) }
                return begin(lookup, fill, now)
            }
            switch fill.pointee.state {
            case .streaming:
                guard let verdict = join(lookup, fill, request, now) else {
                    return alone(lookup, found, isPartial: isPartial, now)
                }
                return verdict
            case .over, .released:
                store.pointee.fills.remove(fill)
            case .fetching where isOld(fill, now):
                // Whoever has it goes on by himself.
                store.pointee.fills.remove(fill)
            case .vacant where isSpent:
                fill.release()
                return alone(lookup, found, isPartial: isPartial, now)
            case .expected, .vacant, .fetching:
                if takeOver(fill, as: isPartial ? .expected : .fetching, now) {
                    if !isPartial { return miss(lookup, found, fill) }
                    return begin(lookup, fill, now)
                }
                switch wait(lookup, fill, now) {
                case .waits: return .wait
                case .again: break
                case .late:
                    fill.release()
                    metrics.waitsExpired.add()
                    return alone(lookup, found, isPartial: isPartial, now)
                case .failed:
                    fill.release()
                    return alone(lookup, found, isPartial: isPartial, now)
                }
            }
            fill.release()
        }
        return alone(lookup, found, isPartial: isPartial, now)
    }

    /// Ends a fill that has just begun if there is no need for it any more; once for each request.
    private func isLate(
        _ name: KeyName,
        _ fill: Fill.Pointer,
        _ context: UnsafeMutablePointer<Context>
    ) -> Bool {
        guard !context.pointee.hasLookedTwice, isStored(name) else { return false }
        context.pointee.hasLookedTwice = true
        context.pointee.fill = fill
        end(context, .over)
        return true
    }

    /// Whether there is something by now: another fetch may have ended, and stored what it got,
    /// between the search for an object and that for a fetch.
    private func isStored(_ name: KeyName) -> Bool {
        if case .some = store.pointee.objects.peek(name.bytes, hash: name.hash) { return true }
        guard store.pointee.disk != nil else { return false }
        if case .held = look(name) { return true }
        return false
    }

    private func isOld(_ fill: Fill.Pointer, _ now: UInt64) -> Bool {
        let startedAt = fill.pointee.startedAt.load(ordering: .relaxed)
        return now > startedAt && now - startedAt >= configuration.lockAge
    }

    /// Begins a request in the background; one that can't wait for it goes to the origin as it is.
    private func begin(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ fill: Fill.Pointer,
        _ now: UInt64
    ) -> CacheVerdict {
        if wait(lookup, fill, now) == .waits {
            lookup.contextPointer.pointee.hasFetched = true
            return .fetch
        }
        lookup.contextPointer.pointee.fill = fill
        giveUp(lookup.contextPointer)
        return bypass(lookup, .refused)
    }

    /// There is no request in the background after all.
    private func giveUpExpected(_ name: KeyName) {
        guard let fill = store.pointee.fills.find(name) else { return }
        fill.locked {
            guard fill.pointee.state == .expected else { return }
            fill.pointee.set(.vacant)
            if !fill.pointee.wakeHeir() { fill.pointee.set(.over) }
        }
        if fill.pointee.state == .over { store.pointee.fills.remove(fill) }
        fill.release()
    }

    /// Without the lock.
    private func alone(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ found: consuming Found,
        isPartial: Bool,
        _ now: UInt64
    ) -> CacheVerdict {
        if isPartial { return bypass(lookup, .range) }
        guard let fill = Fill.make(found.name, .fetching, now: now) else {
            return bypass(lookup, .noMemory)
        }
        return miss(lookup, found, fill)
    }

    /// To the origin; with what is stored to be validated.
    private func miss(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ found: consuming Found,
        _ fill: Fill.Pointer
    ) -> CacheVerdict {
        let context = lookup.contextPointer
        context.pointee.fill = fill
        lookup.setStatus(UInt32(SLUICE_CACHE_STATUS_MISS))
        guard let held = found.held.take() else {
            if !lookup.isInternal { metrics.miss.add() }
            return .miss
        }
        if !lookup.isInternal { metrics.expired.add() }
        let object = ObjectRef(held.bytes)
        // The values stay: the request has the object until its end.
        if object.head.pointee.entityTag.len > 0 {
            lookup.edits.set(.ifNoneMatch, Bytes(object.head.pointee.entityTag))
        }
        if object.head.pointee.lastModified != ObjectHead.timeNone,
            let value = object.value(Int(SLUICE_FIELD_LAST_MODIFIED))
        {
            lookup.edits.set(.ifModifiedSince, value.bytes)
        }
        dropStale(context)
        context.pointee.stale = held.toOpaque()
        return .miss
    }

    /// A request of the host's: it fetches what is expected, or what is stale.
    func update(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ found: consuming Found,
        _ now: UInt64
    ) -> CacheVerdict {
        let context = lookup.contextPointer
        var isStale = true
        if let held = found.held.take() {
            let serving = ObjectRef(held.bytes).serving(at: now, markerStale: found.markerStale)
            isStale = serving.outcome(RequestDirectives()) != .fresh
            context.pointee.mayServeOnError = serving.mayServeOnError
            found.held = consume held
        }
        context.pointee.forward =
            (found.held == nil ? CacheStatusText.Forward.uriMiss : .stale).rawValue
        for _ in 0..<Self.attemptsMax {
            guard let fill = store.pointee.fills.find(found.name) else {
                guard isStale, let fill = Fill.make(found.name, .fetching, now: now) else { break }
                if let other = store.pointee.fills.insert(fill) {
                    other.release()
                    fill.release()
                    continue
                }
                return miss(lookup, found, fill)
            }
            let isMine = fill.locked {
                guard fill.pointee.state == .expected || fill.pointee.state == .vacant else {
                    return false
                }
                fill.pointee.set(.fetching)
                fill.pointee.startedAt.store(now, ordering: .relaxed)
                return true
            }
            if isMine { return miss(lookup, found, fill) }
            fill.release()
            break
        }
        // Somebody else does it, or has done it: nobody wants this one's answer.
        return lookup.respond(status: 204)
    }

    // MARK: Waiting

    enum Wait {
        case waits
        /// The fill is in another state by now.
        case again
        /// The time is over.
        case late
        case failed
    }

    /// Begins a wait; the reference to the fill is then the wait's.
    func wait(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ fill: Fill.Pointer,
        _ now: UInt64
    ) -> Wait {
        let context = lookup.contextPointer
        if context.pointee.waitUntil == 0 {
            context.pointee.waitUntil = now + configuration.lockWait
            metrics.waits.add()
        }
        guard now < context.pointee.waitUntil else { return .late }
        var time = context.pointee.waitUntil - now
        let startedAt = fill.pointee.startedAt.load(ordering: .relaxed)
        let age = now &- min(startedAt, now)
        if fill.pointee.state == .fetching, age < configuration.lockAge {
            time = min(time, configuration.lockAge - age)
        }
        let waiter = Self.waiter(of: context)
        let lock = fill.pointee.lock
        lock.lock()
        defer { lock.unlock() }
        switch fill.pointee.state {
        case .expected, .fetching, .streaming: break
        case .vacant, .over, .released: return .again
        }
        guard let token = try? lookup.suspend(nanoseconds: max(time, 1_000_000)) else {
            return .failed
        }
        waiter.pointee.token = token
        waiter.pointee.fill = fill
        fill.pointee.link(waiter)
        context.pointee.hasWaited = true
        return .waits
    }

    /// Serves what is arriving; nil when it is of no use to this request.
    ///
    /// Takes over the reference to the fill.
    private func join(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ fill: Fill.Pointer,
        _ request: RequestDirectives,
        _ now: UInt64
    ) -> CacheVerdict? {
        guard !fill.pointee.isDoomed.load(ordering: .relaxed), fill.pointee.end != .broken,
            let head = fill.pointee.head
        else {
            fill.release()
            return nil
        }
        let object = ObjectRef(BlockChain.bytes(head))
        let serving = object.serving(at: now, markerStale: 0)
        let isCurrent = isCurrent(object, lookup.contextPointer)
        guard isCurrent || serving.outcome(request) == .fresh else {
            fill.release()
            return nil
        }
        // A range of what has no known end yet.
        if lookup.fields.contains(.range), object.bodyLength == nil, lookup.fields.method == "GET",
            wait(lookup, fill, now) == .waits
        {
            return .wait
        }
        return serve(lookup, fill, object, serving, now)
    }
}
