package import Balancing
package import SluiceSDK

/// The ring of nginx's `hash KEY consistent`: each peer stands on it at `points` places for each
/// unit of its weight, and owns the keys whose hash lies between the place before and its own.
///
/// A place is a CRC-32 of the peer's host, a zero byte, its port, and the place before of the same
/// peer as four bytes, the lowest first; the first has zero before it. Of a Unix socket the path is
/// the host, and there is no port. Peers at the same place: the one that the manifest names first
/// has it. nginx took this from Cache::Memcached::Fast.
package struct KetamaRing: KeyCircle {
    /// Places for a unit of weight that nginx has.
    package static let pointsOfNginx = 160
    /// Places of a ring: 128 MiB while it is built, 96 MiB and some later.
    package static let pointsMax = 1 << 24

    /// Hashes at most this many times as many as parts of the index.
    private static let pointsOfPart = 4
    /// Parts of the index: 4 MiB.
    private static let partBitsMax = 20

    /// Places, sorted, each once.
    private let hashes: UnsafeMutablePointer<UInt32>
    package let owners: UnsafeMutablePointer<UInt16>
    package let count: Int
    /// The first place of each of equal parts of all hashes, and `count` behind the last: so a
    /// search begins among a few places.
    private let starts: UnsafeMutablePointer<UInt32>
    private let shift: UInt64
    private let crc: CRC32

    /// Places the peers of a group: O(places log places).
    ///
    /// - Throws: when there would be more than `pointsMax` places.
    package init(
        _ peers: PeerSet,
        _ group: PeerGroup,
        points: Int
    ) throws(PluginError) {
        try Self.checkSize(group.weights * points)
        crc = CRC32()
        var places: [UInt64] = []
        places.reserveCapacity(group.weights * points)
        for owner in 0..<group.count {
            let member = group.members[owner]
            let base = Self.base(peers[member.index].address, crc)
            var hash: UInt32 = 0
            for _ in 0..<member.weight * points {
                hash = CRC32.sum(crc.adding(word: hash, to: base))
                places.append(UInt64(hash) << 32 | UInt64(owner))
            }
        }
        Self.sort(&places)
        hashes = .allocate(capacity: places.count)
        owners = .allocate(capacity: places.count)
        var count = 0
        for place in places {
            let hash = UInt32(truncatingIfNeeded: place >> 32)
            if count > 0, hashes[count - 1] == hash { continue }
            // Safe: there is room for all places.
            (hashes + count).initialize(to: hash)
            (owners + count).initialize(to: UInt16(truncatingIfNeeded: place))
            count += 1
        }
        self.count = count
        var bits = 0
        while bits < Self.partBitsMax, count >> bits > Self.pointsOfPart { bits += 1 }
        shift = UInt64(32 - bits)
        starts = .allocate(capacity: 1 << bits + 1)
        var next = 0
        for part in 0..<1 << bits {
            while next < count, UInt64(hashes[next]) >> shift < UInt64(part) { next += 1 }
            (starts + part).initialize(to: UInt32(next))
        }
        (starts + 1 << bits).initialize(to: UInt32(count))
    }

    /// Sorts places by their hashes; those of the same hash keep their order, which is that of the
    /// peers.
    ///
    /// By the hashes' digits when there are many: a tenth of the time that comparisons take.
    private static func sort(_ places: inout [UInt64]) {
        let bits = 11
        guard places.count > 1 << (bits + 3) else { return places.sort() }
        var sorted = [UInt64](repeating: 0, count: places.count)
        for shift in stride(from: UInt64(32), to: 64, by: bits) {
            var next = [Int](repeating: 0, count: 1 << bits)
            for place in places { next[Int(place >> shift) & (1 << bits - 1)] += 1 }
            var sum = 0
            for digit in next.indices { (next[digit], sum) = (sum, sum + next[digit]) }
            for place in places {
                let digit = Int(place >> shift) & (1 << bits - 1)
                sorted[next[digit]] = place
                next[digit] += 1
            }
            swap(&places, &sorted)
        }
    }

    /// Refuses a ring of more than `pointsMax` places.
    package static func checkSize(_ count: Int) throws(PluginError) {
        guard count <= pointsMax else {
            throw PluginError(
                "a ring of \(count) points: the sum of the weights times points may be "
                    + "\(pointsMax); use smaller weights, or set points"
            )
        }
    }

    /// The state of a peer's sums before the place before is added.
    private static func base(_ address: Bytes, _ crc: CRC32) -> UInt32 {
        if address.hasPrefix("unix:") {
            return crc.adding(0, to: crc.adding(address.dropFirst(5), to: CRC32.initial))
        }
        var colon = address.count - 1
        while colon > 0, address[colon] != 0x3A { colon -= 1 }
        let host = crc.adding(0, to: crc.adding(address.prefix(colon), to: CRC32.initial))
        return crc.adding(address.dropFirst(colon + 1), to: host)
    }

    package func deallocate() {
        hashes.deallocate()
        owners.deallocate()
        starts.deallocate()
        crc.deallocate()
    }

    package func hash(_ key: Bytes) -> UInt64 { UInt64(crc.of(key)) }

    /// The first place at or behind a hash, of which the lower half counts: O(log places).
    package func slot(of hash: UInt64) -> Int {
        let wanted = UInt32(truncatingIfNeeded: hash)
        let part = Int(truncatingIfNeeded: UInt64(wanted) &>> shift)
        // Safe: there is one start more than parts, and starts are 0 to `count`.
        var low = Int(starts[part])
        var high = Int(starts[part &+ 1])
        while low < high {
            let middle = (low &+ high) &>> 1
            if hashes[middle] < wanted { low = middle &+ 1 } else { high = middle }
        }
        return low == count ? 0 : low
    }

    /// The next point of the ring, as in nginx.
    package func next(after slot: Int, _ hash: inout UInt64) -> Int {
        slot &+ 1 == count ? 0 : slot &+ 1
    }
}
