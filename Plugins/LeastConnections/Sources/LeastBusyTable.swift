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
    /// Draws of a pick for each of its choices: those of unusable peers, and of one twice, are
    /// wasted.
    static let drawsPerChoice = 8
    /// With latencies, one pick in this many takes the first peer drawn: a peer that was slow once
    /// is measured again.
    static let picksPerProbe: UInt64 = 32

    /// Peers that are drawn for a candidate behind the first, where the first is of all.
    static let spareChoices = 2

    private let tiers: Tiers<WeightedDraw>
    private let rule: LeastBusyRule

    init(
        _ peers: PeerSet,
        _ rule: LeastBusyRule,
        _ common: CommonConfiguration,
        _ history: PeerHistory,
        seed: UInt64
    ) throws(PluginError) {
        self.rule = rule
        tiers = try Tiers(peers, common, history, seed: seed) { group throws(PluginError) in
            WeightedDraw(group)
        } free: {
            $0.deallocate()
        }
    }

    deinit { tiers.deallocate { $0.deallocate() } }

    /// Chooses usable peers, the least busy one first.
    func choose(_ pick: borrowing Pick) {
        tiers.choose(pick) { tier, look in
            let group = tier.pointee.group
            // To look at all once more for each candidate behind the first would be too much.
            let isFew = look.isSpare && group.count > Look.spareMembersMax
            let choices = rule.choices ?? (isFew ? Self.spareChoices : group.count)
            guard choices < group.count else { return ofAll(group, pick, look) }
            return ofSome(choices, tier.pointee.entry, group, pick, look)
        }
    }

    /// The least busy of `choices` different members that are drawn by their weights.
    private func ofSome(
        _ choices: Int,
        _ draw: WeightedDraw,
        _ group: PeerGroup,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        let worker = pick.workerIndex
        let numbers = tiers.numbers
        let isProbe =
            !look.isSpare && rule.usesLatency && numbers.next(worker) % Self.picksPerProbe == 0
        var look = look
        var best: Candidate?
        var drawn = 0
        for _ in 0..<choices &* Self.drawsPerChoice {
            look.drawAgain()
            let place = draw.place(numbers.next(worker))
            // Safe: a drawn place is one of the group.
            let member = group.members[place]
            // Only the best so far is known again: of more than two choices one that has lost may
            // be drawn twice, which costs a comparison.
            if place == best?.place || !member.isUsable(pick, look) { continue }
            let candidate = Candidate(place, member, look)
            if isProbe { return place }
            if best.map({ candidate.isLess(than: $0, rule) }) ?? true { best = candidate }
            drawn &+= 1
            if drawn == choices { break }
        }
        // Nearly all are unusable, or one has nearly all the weight.
        return best?.place ?? (look.isThorough(group) ? ofAll(group, pick, look) : nil)
    }

    /// The least busy of all members; of those that are equal one by chance, by their weights.
    private func ofAll(
        _ group: PeerGroup,
        _ pick: borrowing Pick,
        _ look: Look
    ) -> Int? {
        let worker = pick.workerIndex
        let numbers = tiers.numbers
        if !look.isSpare, rule.usesLatency, numbers.next(worker) % Self.picksPerProbe == 0 {
            return group.proportional(numbers.next(worker), pick, look)
        }
        var best: Candidate?
        var weights = 0
        for place in 0..<group.count {
            // Safe: below the count.
            let member = group.members[place]
            guard member.isUsable(pick, look) else { continue }
            let candidate = Candidate(place, member, look)
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
    init(_ place: Int, _ member: Member, _ look: Look) {
        self.place = place
        weight = member.weight(look)
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
