import Balancing
import SluiceSDK

/// Which peers are compared, and by what.
struct LeastBusyRule: BitwiseCopyable {
    /// Peers that are drawn; nil for all.
    let choices: Int?
    /// Whether the time of a peer's responses counts too.
    let usesLatency: Bool
}

/// The peers of one upstream, compared by the host's counters.
///
/// All workers read it; each has random numbers of its own.
package final class LeastBusyTable {
    private struct Rank: BitwiseCopyable {
        let group: PeerGroup
        let draw: WeightedDraw
    }

    /// Draws of a pick for each of its choices: those of unusable peers, and of one twice, are
    /// wasted.
    static let drawsPerChoice = 8
    /// With latencies, one pick in this many takes the first peer drawn: a peer that was slow once
    /// is measured again.
    static let picksPerProbe: UInt64 = 32

    private let ranks: Ranks<Rank>
    private let numbers: WorkerNumbers
    private let rule: LeastBusyRule

    init(_ peers: PeerSet, _ rule: LeastBusyRule, seed: UInt64) {
        self.rule = rule
        ranks = Ranks(PeerGroup.groups(of: peers).map { Rank(group: $0, draw: WeightedDraw($0)) })
        numbers = WorkerNumbers(workers: peers.workerCount, seed: seed)
    }

    deinit {
        for index in 0..<ranks.count {
            ranks.start[index].group.deallocate()
            ranks.start[index].draw.deallocate()
        }
        ranks.deallocate()
        numbers.deallocate()
    }

    /// The least busy peer of the first priority that has a healthy one that was not tried; else of
    /// those that were not tried; else nil.
    func choose(_ pick: borrowing Pick) -> Int? {
        guard numbers.knows(pick) else { return nil }
        return ranks.first { rank, healthy in
            let place: Int?
            if let choices = rule.choices, choices < rank.group.count {
                place = ofSome(choices, rank, pick, healthy: healthy)
            } else {
                place = ofAll(rank.group, pick, healthy: healthy)
            }
            // Safe: the place is one of the group.
            return place.map { rank.group.members[$0].index }
        }
    }

    /// The least busy of `choices` different members that are drawn by their weights.
    private func ofSome(
        _ choices: Int,
        _ rank: Rank,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        let worker = pick.workerIndex
        let isProbe = rule.usesLatency && numbers.next(worker) % Self.picksPerProbe == 0
        var best: Candidate?
        var drawn = 0
        for _ in 0..<choices &* Self.drawsPerChoice {
            let place = rank.draw.place(numbers.next(worker))
            // Safe: a drawn place is one of the group.
            let member = rank.group.members[place]
            // Only the best so far is known again: of more than two choices one that has lost may
            // be drawn twice, which costs a comparison.
            if place == best?.place || !member.isUsable(pick, healthy: healthy) { continue }
            let candidate = Candidate(place, member)
            if isProbe { return place }
            if best.map({ candidate.isLess(than: $0, rule) }) ?? true { best = candidate }
            drawn &+= 1
            if drawn == choices { break }
        }
        // Nearly all are unusable, or one has nearly all the weight.
        return best?.place ?? ofAll(rank.group, pick, healthy: healthy)
    }

    /// The least busy of all members; of those that are equal one by chance, by their weights.
    private func ofAll(
        _ group: PeerGroup,
        _ pick: borrowing Pick,
        healthy: Bool
    ) -> Int? {
        let worker = pick.workerIndex
        if rule.usesLatency, numbers.next(worker) % Self.picksPerProbe == 0 {
            return group.proportional(numbers.next(worker), pick, healthy: healthy)
        }
        var best: Candidate?
        var weights = 0
        for place in 0..<group.count {
            // Safe: below the count.
            let member = group.members[place]
            guard member.isUsable(pick, healthy: healthy) else { continue }
            let candidate = Candidate(place, member)
            guard let leader = best, !candidate.isLess(than: leader, rule) else {
                best = candidate
                weights = member.weight
                continue
            }
            if leader.isLess(than: candidate, rule) { continue }
            weights &+= member.weight
            let number = numbers.next(worker).multipliedFullWidth(by: UInt64(weights)).high
            if number < UInt64(member.weight) { best = candidate }
        }
        return best?.place
    }
}

/// A peer as it is compared.
private struct Candidate: BitwiseCopyable {
    let place: Int
    private let weight: Double
    private let inFlight: Double
    /// 0 of a peer that has not answered yet.
    private let latency: Double

    @inline(__always)
    init(_ place: Int, _ member: Member) {
        self.place = place
        weight = Double(member.weight)
        inFlight = Double(member.load.inFlight)
        latency = Double(member.load.latencyNanoseconds)
    }

    /// Whether this peer is less busy for its weight.
    @inline(__always)
    func isLess(than other: Candidate, _ rule: LeastBusyRule) -> Bool {
        guard rule.usesLatency, latency > 0, other.latency > 0 else {
            return inFlight * other.weight < other.inFlight * weight
        }
        // The request itself counts too: an idle peer that is slow is worse than one that is not.
        return (inFlight + 1) * latency * other.weight
            < (other.inFlight + 1) * other.latency * weight
    }
}
