import CCache
import CSluice
import CacheDisk
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

// What workers have to do with the disk: nothing of it waits.

extension CacheFilter {
    // MARK: Looking

    /// Attempts of one request to have a file opened.
    private static let openingsMax: UInt8 = 2

    /// What the disk has under a name.
    enum OnDisk: ~Copyable {
        case absent
        /// Its file is to be opened first.
        case closed
        /// All of it has come, and it is about to be there.
        case arriving
        case held(Held)
    }

    func look(_ name: KeyName) -> OnDisk {
        guard let tier = store.pointee.disk, tier.pointee.isOpen else { return .absent }
        if !store.pointee.fills.isEmpty, isArriving(name) { return .arriving }
        switch tier.pointee.files.pointee.find(name.bytes, hash: name.hash) {
        case .absent: return .absent
        case .closed: return .closed
        case .open(let entry):
            guard let held = Held(entry) else { return .closed }
            return .held(held)
        }
    }

    /// Looks for what memory has not, and for how its variants differ.
    @inline(never)
    func searchDisk(
        _ name: KeyName,
        _ fields: Fields,
        _ worker: UnsafeMutablePointer<Worker>
    ) -> Found? {
        switch look(name) {
        case .absent: return Found(name: name)
        case .closed: return Found(name: name, isClosed: true)
        case .arriving: return Found(name: name, isArriving: true)
        case .held(let held):
            let marker = ObjectRef(held.bytes)
            if !marker.isMarker { return Found(name: name, held: consume held) }
            keep(marker, name)
            guard let variant = variant(of: name, marker.list(0), fields, worker) else {
                return nil
            }
            var found = Found(name: variant)
            found.markerStale = marker.staleSince
            found.isVaried = true
            searchVariant(&found, worker)
            return found
        }
    }

    /// Looks for a variant in memory and on the disk.
    func searchVariant(_ found: inout Found, _ worker: UnsafeMutablePointer<Worker>) {
        let name = found.name
        if let pin = store.pointee.objects.get(
            name.bytes,
            hash: name.hash,
            worker: worker.pointee.index
        ) {
            found.held = Held(pin)
            return
        }
        guard store.pointee.disk != nil else { return }
        switch look(name) {
        case .absent: break
        case .closed: found.isClosed = true
        case .arriving: found.isArriving = true
        case .held(let held):
            found.held = consume held
            touchMarker(of: name)
        }
    }

    /// What says how variants differ is of use as long as they are.
    private func touchMarker(of name: KeyName) {
        guard let tier = store.pointee.disk else { return }
        let hash = store.pointee.hash(name.primary)
        _ = tier.pointee.files.pointee.find(name.primary, hash: hash)
    }

    /// How recent a response on the disk is; nil when there is none.
    func dateOnDisk(_ name: KeyName) -> Int64? {
        switch look(name) {
        case .absent: nil
        // What is not open yet is taken if there is nothing else.
        case .closed: Int64.min + 1
        case .arriving: Int64.min + 1
        case .held(let held): ObjectRef(held.bytes).arrivalDate
        }
    }

    /// Whether a fetch of this name has all of its response, which a task writes to the disk.
    private func isArriving(_ name: KeyName) -> Bool {
        guard let fill = store.pointee.fills.find(name) else { return false }
        defer { fill.release() }
        if fill.pointee.isDoomed.load(ordering: .relaxed) { return false }
        return fill.pointee.disk?.pointee.isEnding ?? false
    }

    /// Has a request wait until what has come is on the disk, so that the one who comes right after
    /// another finds what that has got.
    ///
    /// - Returns: nil if it goes on without.
    @inline(never)
    func waitForArrival(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ name: KeyName,
        _ now: UInt64
    ) -> CacheVerdict? {
        guard let fill = store.pointee.fills.find(name) else { return nil }
        let wait = wait(lookup, fill, now)
        if wait == .waits { return .wait }
        fill.release()
        return nil
    }

    /// Lets memory have a marker of the disk.
    private func keep(_ marker: ObjectRef, _ name: KeyName) {
        let head = marker.head.pointee
        let list = VariantList(names: Text(head.names), epoch: head.epoch)
        guard let block = ObjectBuilder.marker(list, before: nil, now: head.storedAt) else {
            return
        }
        if marker.staleSince != 0 { ObjectRef(block.bytes).setStale(since: marker.staleSince) }
        _ = store.pointee.objects.put(block, key: name.bytes, hash: name.hash)
        // It may have been forgotten just before it was there.
        if let tier = store.pointee.disk,
            case .absent = tier.pointee.files.pointee.find(name.bytes, hash: name.hash)
        {
            store.pointee.objects.remove(name.bytes, hash: name.hash)
        }
    }

    /// Has a file opened, and the request look again then.
    ///
    /// - Returns: nil if it goes on without.
    @inline(never)
    func open(_ lookup: borrowing CacheLookup<CacheFilter>, _ name: KeyName) -> CacheVerdict? {
        let context = lookup.contextPointer
        guard let tier = store.pointee.disk, context.pointee.openings < Self.openingsMax,
            lookup.again != .deadline
        else { return nil }
        let time = max(configuration.lockWait, Self.openNanosecondsLeast)
        guard let token = try? lookup.suspend(nanoseconds: time) else { return nil }
        context.pointee.openings += 1
        if tier.pointee.open(name, token) {
            startTasks()
        } else {
            context.pointee.openings = Self.openingsMax
            token.resume()
        }
        return .wait
    }

    /// Time that a request gives a file at least, before it goes to the origin.
    private static let openNanosecondsLeast: UInt64 = 5_000_000_000

    // MARK: Storing

    /// Whether a body is for the disk, as far as one can tell now.
    func goesToDisk(_ length: UInt64) -> Bool {
        guard let tier = store.pointee.disk else { return false }
        let least = length == .max ? 0 : Int(clamping: length)
        return least >= configuration.diskObjectMin && tier.pointee.isStoring
    }

    /// Begins to write a fetch to the disk.
    ///
    /// - Parameters:
    ///   - object: its head.
    ///   - chain: `ByteBlock.toOpaque` of what has come so far.
    /// - Returns: false when there is no memory.
    func sendToDisk(_ fill: Fill.Pointer, _ object: ObjectRef, chain: UnsafeMutableRawPointer?)
        -> Bool
    {
        guard let tier = store.pointee.disk,
            let meta = DiskHead.write(object, rules: tier.pointee.rules)
        else { return false }
        let diskFill = DiskFill.make(
            tier,
            fill,
            meta: meta,
            keepUntil: Self.keepUntil(object),
            chain: chain.map { BlockChain.copy($0).toOpaque() },
            skipped: Int(object.head.pointee.bodyOffset)
        )
        fill.pointee.set(diskFill)
        return true
    }

    /// Until when an object is of use: 0, always, if it can be validated.
    private static func keepUntil(_ object: ObjectRef) -> UInt64 {
        let head = object.head.pointee
        if object.isMarker || head.entityTag.len > 0 || head.lastModified != ObjectHead.timeNone {
            return 0
        }
        let lifetime = min(head.lifetime, ResponseDirectives.secondsMax)
        let seconds =
            lifetime - head.initialAge + max(head.staleWhileRevalidate, head.staleIfError)
        return UInt64(max(head.storedWall + seconds + 1, 1))
    }

    /// Sends bytes of a fetch to the disk once memory can't take them.
    ///
    /// - Returns: nil as long as memory can; else whether they were taken.
    func writeBeyondMemory(
        _ fill: Fill.Pointer,
        _ bytes: UnsafeRawBufferPointer
    ) -> Bool? {
        if fill.pointee.disk == nil {
            let count = fill.pointee.writtenBytes + UInt64(bytes.count)
            let isKnown = fill.pointee.declaredBytes != .max
            guard !isKnown, count >= UInt64(configuration.diskObjectMin) else { return nil }
            guard let head = fill.pointee.head, store.pointee.disk?.pointee.isStoring == true
            else { return count > UInt64(configuration.memoryObjectMax) ? false : nil }
            let object = ObjectRef(BlockChain.bytes(head))
            guard sendToDisk(fill, object, chain: head) else { return false }
        }
        guard let diskFill = fill.pointee.disk else { return false }
        let isTaken = diskFill.write(bytes, store)
        startTasks()
        return isTaken
    }

    // MARK: Validation

    /// Gives a stored object's file the head that a 304 has made.
    ///
    /// - Returns: whether a task does; it then ends the fill of the request.
    func renew(
        _ held: borrowing Held,
        _ merged: borrowing ByteBlock,
        _ context: UnsafeMutablePointer<Context>
    ) -> Bool {
        guard let tier = store.pointee.disk, let fill = context.pointee.fill,
            let meta = DiskHead.write(ObjectRef(merged.bytes), rules: tier.pointee.rules)
        else { return false }
        let address = held.withEntry { $0.copy().toOpaque() }
        guard let address else {
            cache_free(meta.baseAddress)
            return false
        }
        context.pointee.fill = nil
        let renewal = Renewal.make(
            Entry(opaque: address),
            hash: fill.pointee.hash,
            meta: meta,
            keepUntil: Self.keepUntil(ObjectRef(merged.bytes)),
            fill
        )
        tier.pointee.push(renewal.task)
        startTasks()
        return true
    }

    // MARK: Forgetting

    /// Forgets what the disk has of a name, as there is something newer in memory.
    func forgetOnDisk(_ hash: UInt64) {
        guard let tier = store.pointee.disk, tier.pointee.isOpen else { return }
        tier.pointee.files.pointee.forget(hash: hash)
    }

    /// Forgets an object of the disk for good.
    ///
    /// - Returns: whether there was one.
    func removeOnDisk(_ hash: UInt64) -> Bool {
        guard let tier = store.pointee.disk, tier.pointee.isOpen else { return false }
        let wasThere = tier.pointee.files.pointee.forget(hash: hash)
        // Also what is only found later.
        tier.pointee.push(Removal.make(hash).task)
        startTasks()
        return wasThere
    }

    // MARK: Numbers

    /// Once a second, on one worker.
    func tick() {
        guard let tier = store.pointee.disk else { return }
        tier.pushWork()
        startTasks()
        guard tier.pointee.isOpen else { return }
        let statistics = tier.pointee.files.pointee.statistics
        metrics.disk.bytes.set(Int(clamping: statistics.bytes))
        metrics.disk.objects.set(statistics.objects)
        metrics.disk.openFiles.set(statistics.openFiles)
        let counts = tier.pointee.takeCounts(statistics)
        metrics.disk.stored.add(counts.stored)
        metrics.disk.evictions.add(counts.evicted)
        metrics.disk.damaged.add(counts.damaged)
        metrics.disk.failures.add(counts.failures)
    }
}
