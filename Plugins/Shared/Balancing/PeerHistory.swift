import SluiceSDK
import Synchronization

/// From when on an instance's peers are in use: what one table knows that the next one needs.
///
/// A peer is known by its address in its upstream. The peers of an upstream's first set are not
/// new, nor are those of a set after one without peers: all have to take the load at once. Used on
/// the control thread alone.
public final class PeerHistory {
    /// The peers of one upstream.
    private struct Upstream {
        let name: UInt64
        let starts: PeerStarts
    }

    private var upstreams: [Upstream] = []

    /// Nothing is known.
    public init() {}

    /// The starts of a set's peers, which go on for those that the set before has.
    func starts(of peers: PeerSet, _ now: UInt64) -> PeerStarts {
        let name = hash(of: peers.upstream)
        let place = upstreams.firstIndex { $0.name == name }
        let starts = PeerStarts(peers, after: place.map { upstreams[$0].starts }, now)
        let upstream = Upstream(name: name, starts: starts)
        if let place { upstreams[place] = upstream } else { upstreams.append(upstream) }
        return starts
    }
}

/// The starts of the peers of one set.
final class PeerStarts {
    /// One word, shared with the sets before and behind that have the peer.
    private final class Word {
        let address: UInt64
        let word: UnsafeMutablePointer<Atomic<UInt64>>

        init(_ address: UInt64, _ since: UInt64) {
            self.address = address
            word = .allocate(capacity: 1)
            word.initialize(to: Atomic(since))
        }

        deinit {
            word.deinitialize(count: 1)
            word.deallocate()
        }
    }

    /// In the order of the set.
    private var words: [Word] = []
    /// The same by their addresses' hashes.
    private let sorted: [Word]

    init(_ peers: PeerSet, after before: PeerStarts?, _ now: UInt64) {
        for index in 0..<peers.count {
            let address = hash(of: peers[index].address)
            let since = before?.words.isEmpty ?? true ? 0 : max(now, 2)
            words.append(before?.word(of: address) ?? Word(address, since))
        }
        sorted = words.sorted { $0.address < $1.address }
    }

    private func word(of address: UInt64) -> Word? {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low].address == address ? sorted[low] : nil
    }

    subscript(index: Int) -> PeerStart { PeerStart(words[index].word) }
}
