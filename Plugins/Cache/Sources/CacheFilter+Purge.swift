import CSluice
import CachePolicy
package import SluiceSDK
import Synchronization
import TinyUFO

// What is forgotten: by orders, and by requests that change something.

extension CacheFilter {
    // MARK: Orders

    package func purge(_ order: CachePurge) throws(PluginError) -> Int {
        var count: Int
        let value = Text(order.value)
        switch order.kind {
        case .url:
            guard let address = Address(value) else {
                throw PluginError("no address as \"http://host/path\": \"\(String(order.value))\"")
            }
            count = try purge(address, isSoft: order.isSoft)
            count += try purgeDisk(address, isSoft: order.isSoft)
        case .prefix:
            guard Address(value) != nil else {
                throw PluginError(
                    "no beginning of an address as \"http://host/\": \"\(String(order.value))\""
                )
            }
            count = purge(isSoft: order.isSoft) { key, _ in key.hasPrefix(value) }
            count += try purgeDisk(isSoft: order.isSoft) { key, _ in key.hasPrefix(value) }
        case .tag:
            guard !value.isEmpty else { throw PluginError("an empty tag") }
            count = purge(isSoft: order.isSoft) { _, object in object.hasTag(value) }
            count += try purgeDisk(isSoft: order.isSoft) { _, view in
                view?.hasTag(value) ?? true
            }
        case .all:
            count = purge(isSoft: order.isSoft) { _, _ in true }
            count += try purgeDisk(isSoft: order.isSoft) { _, _ in true }
        }
        metrics.purges.add()
        metrics.purgedObjects.add(count)
        return count
    }

    private func purge(_ address: Address, isSoft: Bool) throws(PluginError) -> Int {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: KeyRules.byteCountMax)
        defer { room.deallocate() }
        guard let name = name(address, room) else {
            throw PluginError("an address over \(KeyRules.byteCountMax) bytes")
        }
        let key = Text(name.bytes)
        // Variants begin with the address, and a control character that it has not.
        let count = purge(isSoft: isSoft) { other, _ in
            other.count == key.count
                ? other == key
                : other.count > key.count && other[key.count] == 0x0A && other.hasPrefix(key)
        }
        return count
    }

    /// Forgets what a closure chooses.
    ///
    /// - Returns: how many, without markers.
    private func purge(isSoft: Bool, _ body: (Text, ObjectRef) -> Bool) -> Int {
        // Those that are on their way first, so that none arrives behind the search.
        store.pointee.fills.forEach { fill in
            guard fill.pointee.state == .streaming || fill.pointee.disk != nil,
                let head = fill.pointee.head
            else { return }
            if body(Text(fill.pointee.name.bytes), ObjectRef(BlockChain.bytes(head))) {
                fill.pointee.isDoomed.store(true, ordering: .releasing)
            }
        }
        var count = 0
        let now = host.nowNanoseconds
        store.pointee.objects.forEach { pin in
            let object = ObjectRef(pin.bytes)
            guard body(Text(pin.key), object) else { return }
            if object.isMarker {
                if !isSoft { store.pointee.objects.remove(pin) }
                return
            }
            if isSoft {
                object.setStale(since: now)
                count += 1
            } else if store.pointee.objects.remove(pin) {
                count += 1
            }
        }
        return count
    }

    func name(
        _ address: Address,
        _ room: UnsafeMutablePointer<UInt8>
    ) -> KeyName? {
        var key = KeyWriter(room)
        configuration.key.write(
            scheme: address.scheme,
            authority: address.authority,
            target: address.target,
            to: &key
        )
        if key.isOver { return nil }
        let hash = store.pointee.hash(key.bytes)
        return KeyName(bytes: key.bytes, primaryCount: key.count, hash: hash)
    }

    // MARK: One address, on a worker

    /// The method `PURGE`: forgets the address of the request, with all its variants.
    func purge(_ lookup: borrowing CacheLookup<CacheFilter>) -> CacheVerdict {
        guard let client = lookup.facts.clientIP,
            configuration.purgeNetworks.contains(where: { $0.contains(client) })
        else { return lookup.respond(status: 403, body: "not allowed\n") }
        var address = Address(
            scheme: Text(lookup.facts.scheme),
            authority: Text(lookup.fields.authority),
            target: Text(lookup.fields.target)
        )
        if address.target.isEmpty { address.target = "/" }
        let isSoft = lookup.fields.first(named: "sluice-purge") == "soft"
        guard let name = name(address, lookup.workerPointer.pointee.primary) else {
            return lookup.respond(status: 404, body: "not found\n")
        }
        // The disk comes first: what memory gets from there meanwhile goes behind it.
        if store.pointee.disk != nil, lookup.again == .first, purgeDisk(lookup, name, isSoft) {
            return .wait
        }
        metrics.purges.add()
        let isFound = forget(name, isSoft: isSoft)
        guard isFound || lookup.contextPointer.pointee.isPurged else {
            return lookup.respond(status: 404, body: "not found\n")
        }
        metrics.purgedObjects.add()
        return lookup.respond(status: 200, body: "purged\n")
    }

    /// Forgets an address: without its marker no variant is found any more.
    ///
    /// - Returns: whether there was something.
    @discardableResult
    private func forget(_ name: KeyName, isSoft: Bool) -> Bool {
        var isFound = false
        store.pointee.fills.forEach { fill in
            let other = fill.pointee.name
            guard KeyName(bytes: other.primary, primaryCount: 0, hash: 0).matches(name.bytes) else {
                return
            }
            fill.pointee.isDoomed.store(true, ordering: .releasing)
            if fill.pointee.state == .streaming { isFound = true }
        }
        if !isSoft, removeOnDisk(name.hash) { isFound = true }
        guard let pin = store.pointee.objects.peek(name.bytes, hash: name.hash) else {
            return isFound
        }
        if isSoft {
            ObjectRef(pin.bytes).setStale(since: host.nowNanoseconds)
        } else {
            store.pointee.objects.remove(pin)
        }
        return true
    }

    // MARK: Requests that change something

    package func upstreamResponse(_ exchange: borrowing Exchange<CacheFilter>) -> Verdict {
        let context = exchange.contextPointer
        guard let reason = Bypass(rawValue: context.pointee.bypass), reason != .none else {
            return .next
        }
        let status = exchange.fields.status
        if context.pointee.invalidates, (200..<400).contains(status) { invalidate(exchange) }
        if configuration.statusName.isEmpty { return .next }
        var text = CacheStatusText(
            exchange.worker.text,
            capacity: Self.textCapacity,
            name: Text(configuration.statusName)
        )
        text.add(CacheStatusText.Forward(rawValue: context.pointee.forward) ?? .bypass)
        text.add(forwardStatus: status)
        if reason != .method { text.add(detail: Text(reason.name)) }
        exchange.edits.append(.cacheStatus, text.text.bytes)
        return .next
    }

    /// What was changed is forgotten: the request's address, and those of the same origin that the
    /// response names (RFC 9111 §4.4).
    private func invalidate(_ exchange: borrowing Exchange<CacheFilter>) {
        let request = exchange.requestFields
        let own = Address(
            scheme: Text(exchange.facts.scheme),
            authority: Text(request.authority),
            target: Text(request.target)
        )
        let room = exchange.worker.primary
        if let name = name(own, room) { forget(name, isSoft: false) }
        for id in [FieldID.location, .contentLocation] {
            guard let value = exchange.fields[id],
                let other = own.resolve(Text(value), exchange.worker.variant),
                let name = name(other, room)
            else { continue }
            forget(name, isSoft: false)
        }
    }
}

/// An address of HTTP, in its parts.
struct Address: BitwiseCopyable {
    var scheme: Text
    var authority: Text
    /// Path and query.
    var target: Text

    init(scheme: Text, authority: Text, target: Text) {
        self.scheme = scheme
        self.authority = authority
        self.target = target
    }

    /// Reads "http://host/path?query"; a fragment is left out.
    init?(_ text: Text) {
        if text.hasPrefix("http://") {
            scheme = "http"
        } else if text.hasPrefix("https://") {
            scheme = "https"
        } else {
            return nil
        }
        let rest = text.dropFirst(scheme.count + 3)
        var end = 0
        while end < rest.count, rest[end] != 0x2F, rest[end] != 0x3F, rest[end] != 0x23 { end += 1 }
        authority = rest[0..<end]
        target = Address.withoutFragment(rest.dropFirst(end))
        if authority.isEmpty { return nil }
        if target.isEmpty { target = "/" }
        if target[0] != 0x2F { return nil }
    }

    private static func withoutFragment(_ text: Text) -> Text {
        text[0..<(text.firstIndex(of: 0x23) ?? text.count)]
    }

    /// The address that a reference names, if it is of the same origin; nil otherwise.
    ///
    /// - Parameter room: `KeyRules.byteCountMax` bytes, for a relative one.
    func resolve(_ reference: Text, _ room: UnsafeMutablePointer<UInt8>) -> Address? {
        if let other = Address(reference) {
            guard other.scheme == scheme, other.authority.equalsIgnoringCase(authority) else {
                return nil
            }
            return other
        }
        if reference.hasPrefix("//") { return nil }
        let reference = Address.withoutFragment(reference)
        if reference.hasPrefix("/") {
            return Address(scheme: scheme, authority: authority, target: reference)
        }
        // With a scheme it is another one's; dots would have to be taken out, and are left.
        if reference.isEmpty || reference.firstIndex(of: 0x3A) != nil || reference[0] == 0x3F
            || reference[0] == 0x2E
        {
            return nil
        }
        var end = target.firstIndex(of: 0x3F) ?? target.count
        while end > 0, target[end - 1] != 0x2F { end -= 1 }
        var writer = KeyWriter(room)
        writer.append(target[0..<end])
        writer.append(reference)
        if writer.isOver { return nil }
        return Address(scheme: scheme, authority: authority, target: Text(writer.bytes))
    }
}
