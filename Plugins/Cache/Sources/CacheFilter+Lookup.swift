import CSluice
import CachePolicy
package import SluiceSDK
import Synchronization
import TinyUFO

// What becomes of a request.

extension CacheFilter {
    package func lookup(_ lookup: borrowing CacheLookup<CacheFilter>) -> CacheVerdict {
        let context = lookup.contextPointer
        var inherited: Fill.Pointer?
        var now = lookup.facts.nowNanoseconds
        if lookup.again == .first {
            context.pointee.startedAt = now
            if let verdict = pass(lookup) { return verdict }
        } else {
            if lookup.fields.method == "PURGE" { return purge(lookup) }
            now = max(now, host.nowNanoseconds)
            inherited = takeWait(context)
        }
        let verdict = find(lookup, now)
        if let inherited { bequeath(inherited) }
        return verdict
    }

    /// Ends a wait.
    ///
    /// - Returns: a fill with a reference, when the request was woken to take it over.
    private func takeWait(_ context: UnsafeMutablePointer<Context>) -> Fill.Pointer? {
        guard let fill = context.pointee.waiter.fill else { return nil }
        let waiter = Self.waiter(of: context)
        fill.locked { fill.pointee.unlink(waiter) }
        waiter.pointee.fill = nil
        let isOwn = context.pointee.hasFetched
        if fill.pointee.state == .released || (!isOwn && Self.isOfUseToNobodyElse(fill)) {
            context.pointee.isUnlocked = true
        }
        if waiter.pointee.isHeir {
            waiter.pointee.isHeir = false
            return fill
        }
        fill.release()
        return nil
    }

    /// Whether what arrived is to be validated for each request (RFC 9111 §5.2.2.4).
    private static func isOfUseToNobodyElse(_ fill: Fill.Pointer) -> Bool {
        switch fill.pointee.state {
        case .streaming, .over:
            fill.pointee.head.map { ObjectRef(BlockChain.bytes($0)).flags.contains(.noCache) }
                ?? false
        case .expected, .fetching, .vacant, .released: false
        }
    }

    /// Hands a lock on that was inherited and not taken over.
    private func bequeath(_ fill: Fill.Pointer) {
        fill.locked {
            if fill.pointee.state == .vacant, !fill.pointee.wakeHeir() { fill.pointee.set(.over) }
        }
        if fill.pointee.state == .over { store.pointee.fills.remove(fill) }
        fill.release()
    }

    // MARK: Past the cache

    /// What becomes of requests that the cache has nothing to do with; nil for others.
    private func pass(_ lookup: borrowing CacheLookup<CacheFilter>) -> CacheVerdict? {
        let fields = lookup.fields
        let method = fields.method
        guard method == "GET" || method == "HEAD" else { return passMethod(lookup, method) }
        if fields.contains(anyOf: sets.unusual) {
            // The origin alone can tell (RFC 9111 §4.3.2).
            if fields.contains(anyOf: [.ifMatch, .ifUnmodifiedSince]) {
                return bypass(lookup, .condition)
            }
            if fields.contains(.secWebsocketKey) { return bypass(lookup, .upgrade) }
        }
        // What a body asks for is not in the key.
        if !lookup.isEndOfStream { return bypass(lookup, .body) }
        if !configuration.bypass.isEmpty, configuration.bypass.matches(fields) {
            return bypass(lookup, .rule)
        }
        return nil
    }

    private func passMethod(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ method: Bytes
    ) -> CacheVerdict {
        if method == "PURGE", !configuration.purgeNetworks.isEmpty { return purge(lookup) }
        // Methods that are safe change nothing (RFC 9110 §9.2.1); of others nobody knows.
        let isSafe = method == "OPTIONS" || method == "TRACE" || method == "CONNECT"
        lookup.contextPointer.pointee.invalidates = !isSafe
        return bypass(lookup, .method)
    }

    func bypass(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ reason: Bypass
    ) -> CacheVerdict {
        let context = lookup.contextPointer
        context.pointee.bypass = reason.rawValue
        context.pointee.forward =
            (reason == .method ? CacheStatusText.Forward.method : .bypass).rawValue
        metrics.bypass[Int(reason.rawValue)].add()
        lookup.setStatus(UInt32(SLUICE_CACHE_STATUS_BYPASS))
        return .bypass
    }

    /// Says of a reply why there is no other.
    private func addStatus(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        detail: Text
    ) {
        if configuration.statusName.isEmpty { return }
        var text = CacheStatusText(
            lookup.workerPointer.pointee.text,
            capacity: Self.textCapacity,
            name: Text(configuration.statusName)
        )
        text.add(detail: detail)
        lookup.replyEdits.append(.cacheStatus, text.text.bytes)
    }

    // MARK: What is stored

    /// What the store has for a request.
    struct Found: ~Copyable {
        let name: KeyName
        var held: Held?
        /// Whether the disk may have it, in a file that is to be opened first.
        var isClosed = false
        /// Whether it will be on the disk in a moment.
        var isArriving = false
        /// When a soft purge made the address stale; 0 for never.
        var markerStale: UInt64 = 0
        var isVaried = false

        init(
            name: KeyName,
            held: consuming Held? = nil,
            isClosed: Bool = false,
            isArriving: Bool = false
        ) {
            self.name = name
            self.held = held
            self.isClosed = isClosed
            self.isArriving = isArriving
        }
    }

    func find(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ now: UInt64
    ) -> CacheVerdict {
        let worker = lookup.workerPointer
        let fields = lookup.fields
        var key = KeyWriter(worker.pointee.primary)
        configuration.key.write(
            scheme: Text(lookup.facts.scheme),
            authority: Text(fields.authority),
            target: Text(fields.target),
            to: &key
        )
        if key.isOver { return bypass(lookup, .keyTooLong) }
        guard let found = search(key, fields, worker) else { return bypass(lookup, .keyTooLong) }
        if found.isArriving, let verdict = waitForArrival(lookup, found.name, now) {
            return verdict
        }
        if found.isClosed, let verdict = open(lookup, found.name) { return verdict }
        return decide(lookup, found, now)
    }

    /// - Returns: nil when the variant's key is too long.
    private func search(
        _ key: KeyWriter,
        _ fields: Fields,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> Found? {
        let hash = store.pointee.hash(key.bytes)
        let name = KeyName(bytes: key.bytes, primaryCount: key.count, hash: hash)
        guard
            let pin = store.pointee.objects.get(key.bytes, hash: hash, worker: worker.pointee.index)
        else {
            if store.pointee.disk != nil { return searchDisk(name, fields, worker) }
            return Found(name: name)
        }
        let marker = ObjectRef(pin.bytes)
        if !marker.isMarker { return Found(name: name, held: Held(pin)) }
        var newest = 0
        if marker.listCount > 1 {
            guard let index = newestMatch(name, marker, fields, worker) else { return nil }
            newest = index
        }
        guard let variant = variant(of: name, marker.list(newest), fields, worker) else {
            return nil
        }
        var found = Found(name: variant)
        found.markerStale = marker.staleSince
        found.isVaried = true
        searchVariant(&found, worker)
        return found
    }

    /// Where the most recent response is that matches, of an address whose responses have come to
    /// vary by other fields (RFC 9111 §4.1).
    ///
    /// - Returns: a list; the newest one when none matches. Nil when a key is too long.
    private func newestMatch(
        _ name: KeyName,
        _ marker: ObjectRef,
        _ fields: Fields,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> Int? {
        var newest = 0
        var latest = Int64.min
        for index in 0..<marker.listCount {
            guard let variant = variant(of: name, marker.list(index), fields, worker) else {
                return nil
            }
            let pin = store.pointee.objects.peek(variant.bytes, hash: variant.hash)
            let known = (pin?.bytes).map { ObjectRef($0).arrivalDate }
            guard let date = known ?? dateOnDisk(variant) else { continue }
            // Of two of one second that of the newer list.
            if date > latest { (newest, latest) = (index, date) }
        }
        return newest
    }

    /// The key of a variant, in memory of the worker.
    func variant(
        of name: KeyName,
        _ list: VariantList,
        _ fields: Fields,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> KeyName? {
        var key = KeyWriter(worker.pointee.variant)
        key.append(Text(name.primary))
        let (names, epoch) = (list.names, list.epoch)
        configuration.key.write(variantOf: fields, names: names, epoch: epoch, to: &key)
        if key.isOver { return nil }
        let hash = store.pointee.hash(key.bytes)
        return KeyName(bytes: key.bytes, primaryCount: name.primaryCount, hash: hash)
    }

    // MARK: What is done with it

    private func decide(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ found: consuming Found,
        _ now: UInt64
    ) -> CacheVerdict {
        let context = lookup.contextPointer
        let fields = lookup.fields
        let request = directives(fields)
        if lookup.isInternal { return update(lookup, found, now) }
        var forward = found.isVaried ? CacheStatusText.Forward.varyMiss : .uriMiss
        if let held = found.held.take() {
            let object = ObjectRef(held.bytes)
            let serving = object.serving(at: now, markerStale: found.markerStale)
            switch isCurrent(object, context) ? .fresh : serving.outcome(request) {
            case .fresh:
                return serve(lookup, consume held, serving, Int(SLUICE_CACHE_STATUS_HIT), now)
            case .stale:
                return serve(lookup, consume held, serving, Int(SLUICE_CACHE_STATUS_STALE), now)
            case .staleWhileRevalidate:
                return serveStale(lookup, found.name, consume held, serving, now)
            case .validate(let mayServeOnError):
                if mayServeOnError, Self.hasFailed(object, context) {
                    let status = Int(SLUICE_CACHE_STATUS_STALE_ERROR)
                    return serve(lookup, consume held, serving, status, now)
                }
                forward = serving.age < serving.lifetime ? .request : .stale
                context.pointee.mayServeOnError = mayServeOnError
                found.held = consume held
            }
        }
        context.pointee.forward = forward.rawValue
        if request.onlyIfCached {
            metrics.onlyIfCached.add()
            addStatus(lookup, detail: "only-if-cached")
            return lookup.respond(status: 504)
        }
        if request.noStore { return bypass(lookup, .noStore) }
        return fetch(lookup, found, request, now)
    }

    /// Whether an object came for this request, so that there is nothing to ask about it any more.
    func isCurrent(_ object: ObjectRef, _ context: UnsafeMutablePointer<Context>) -> Bool {
        context.pointee.hasWaited && object.head.pointee.storedAt >= context.pointee.startedAt
            && (context.pointee.hasFetched || !object.flags.contains(.noCache))
    }

    /// Whether the origin has failed since the request came: it need not be asked for it again.
    private static func hasFailed(
        _ object: ObjectRef,
        _ context: UnsafeMutablePointer<Context>
    ) -> Bool {
        context.pointee.hasWaited && object.failedAt >= context.pointee.startedAt
    }

    func directives(_ fields: Fields) -> RequestDirectives {
        var directives = RequestDirectives()
        guard fields.contains(anyOf: sets.control) else { return directives }
        if fields.contains(.cacheControl) {
            for field in fields where field.id == .cacheControl {
                directives.add(Text(field.value))
            }
        } else {
            for field in fields where field.id == .pragma {
                directives.addPragma(Text(field.value))
            }
        }
        return directives
    }

    /// Serves a stale object, and has it updated unless that is being done.
    private func serveStale(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ name: KeyName,
        _ held: consuming Held,
        _ serving: Serving,
        _ now: UInt64
    ) -> CacheVerdict {
        var begins = false
        if let fill = Fill.make(name, .expected, now: now) {
            if let other = store.pointee.fills.insert(fill) {
                begins = takeOver(other, as: .expected, now)
                other.release()
            } else {
                begins = true
            }
            fill.release()
        }
        let verdict = serve(lookup, held, serving, Int(SLUICE_CACHE_STATUS_STALE), now)
        return verdict == .hit && begins ? .stale : verdict
    }

    /// Nanoseconds in which a request in the background is to come.
    private static let expectedAge: UInt64 = 2_000_000_000

    /// Takes over a fill that nobody works on any more.
    func takeOver(_ fill: Fill.Pointer, as state: Fill.State, _ now: UInt64) -> Bool {
        fill.locked {
            let age = now &- min(now, fill.pointee.startedAt.load(ordering: .relaxed))
            switch fill.pointee.state {
            case .vacant: break
            case .expected where age > Self.expectedAge: break
            default: return false
            }
            fill.pointee.set(state)
            fill.pointee.startedAt.store(now, ordering: .relaxed)
            return true
        }
    }
}

extension Text {
    init(_ bytes: UnsafeRawBufferPointer) {
        self =
            bytes.baseAddress.map {
                Text($0.assumingMemoryBound(to: UInt8.self), count: bytes.count)
            } ?? .empty
    }
}
