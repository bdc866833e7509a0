import CacheDisk
import CachePolicy
import SluiceSDK
import TinyUFO

// Orders to forget, on the disk: they are followed when the order's answer says so, and a process
// that dies behind it does not bring anything back.

extension CacheFilter {
    /// Objects that one step looks at.
    private static let sweepObjects = 256
    /// Time for an order that has to look at all objects; the manifest bounds such calls as well.
    private static let sweepNanoseconds: UInt64 = 20_000_000_000

    /// Forgets an address; its variants are not found any more without it.
    ///
    /// - Returns: 1 if there was something.
    func purgeDisk(_ address: Address, isSoft: Bool) throws(PluginError) -> Int {
        guard let tier = store.pointee.disk, tier.pointee.isOpen else { return 0 }
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: KeyRules.byteCountMax)
        defer { room.deallocate() }
        guard let name = name(address, room) else { return 0 }
        let files = tier.pointee.files
        if isSoft {
            try finishFinding(files)
            let wasThere = files.pointee.markStaleBlocking(
                hash: name.hash,
                since: DiskClock.wallNanoseconds
            )
            return wasThere ? 1 : 0
        }
        do throws(DiskError) {
            return try files.pointee.removeBlocking(hash: name.hash) ? 1 : 0
        } catch {
            throw PluginError("the disk tier: " + error.text)
        }
    }

    /// Forgets what a closure chooses.
    ///
    /// - Parameter isChosen: takes the key, and the head if it makes sense.
    /// - Returns: how many, without markers.
    func purgeDisk(
        isSoft: Bool,
        _ isChosen: (Text, DiskHead.View?) -> Bool
    ) throws(PluginError) -> Int {
        guard let tier = store.pointee.disk, tier.pointee.isOpen else { return 0 }
        let files = tier.pointee.files
        let deadline = host.nowNanoseconds + Self.sweepNanoseconds
        var sweep = DiskStore.Sweep()
        var markers = 0
        let since = isSoft ? DiskClock.wallNanoseconds : 0
        var isMore = true
        while isMore {
            do throws(DiskError) {
                isMore = try files.pointee.sweepBlocking(
                    &sweep,
                    objectsMax: Self.sweepObjects,
                    staleSince: since
                ) { key, meta in
                    let view = DiskHead.View(meta)
                    guard isChosen(Text(key), view) else { return false }
                    guard view?.isMarker == true else { return true }
                    // A soft order leaves it: it says where the variants are.
                    if !isSoft { markers += 1 }
                    return !isSoft
                }
            } catch {
                throw PluginError("the disk tier: " + error.text)
            }
            guard !isMore || host.nowNanoseconds < deadline else {
                throw PluginError(
                    "the disk tier: 20s were not enough; forgotten so far: \(sweep.removed)"
                )
            }
        }
        return max(sweep.removed - markers, 0)
    }

    /// Waits until all that was stored before is found.
    private func finishFinding(_ files: UnsafeMutablePointer<DiskStore>) throws(PluginError) {
        let deadline = host.nowNanoseconds + Self.sweepNanoseconds
        while files.pointee.state == .rebuilding,
            files.pointee.workBlocking(filesMax: Self.sweepObjects)
        {
            guard host.nowNanoseconds < deadline else {
                throw PluginError("the disk tier: what was there is still being found")
            }
        }
    }

    /// Begins to forget an address by a request, on a worker, which waits until that is done.
    ///
    /// - Returns: false if there is nothing to wait for.
    func purgeDisk(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ name: KeyName,
        _ isSoft: Bool
    ) -> Bool {
        guard let tier = store.pointee.disk, tier.pointee.isOpen,
            let token = try? lookup.suspend(nanoseconds: 0)
        else { return false }
        if case .absent = tier.pointee.files.pointee.find(name.bytes, hash: name.hash) {
        } else {
            lookup.contextPointer.pointee.isPurged = true
        }
        if !isSoft { tier.pointee.files.pointee.forget(hash: name.hash) }
        let since = isSoft ? DiskClock.wallNanoseconds : 0
        tier.pointee.push(Removal.make(name.hash, staleSince: since, token).task)
        startTasks()
        return true
    }
}
