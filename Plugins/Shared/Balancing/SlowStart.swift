import SluiceSDK
import Synchronization

/// How the weight of a peer grows that is new or healthy again.
///
/// Over `window` from a small share to the whole, by the share of the time that has passed to the
/// power of 1 / `aggression`: linearly with 1, faster at first with more. As Envoy has it.
public struct SlowStart: BitwiseCopyable {
    /// Names of its keys.
    static var keys: [StaticString] { ["window", "aggression", "min_weight"] }
    /// Nanoseconds of `window`: a second to an hour.
    static var windows: ClosedRange<Int> { 1_000_000_000...3_600_000_000_000 }
    /// What `aggression` may be.
    static var aggressions: ClosedRange<Double> { 0.1...10 }
    /// Parts of the window, in each of which the share is the same.
    private static var steps: Int { 256 }

    private let host: Host
    /// In nanoseconds.
    private let window: UInt64
    /// The share at the begin of each step, in units of 2^-32.
    private let shares: List<UInt32>

    /// Reads `slow_start`: a duration, or an object.
    ///
    /// - Throws: which key is wrong.
    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        var power = 1.0
        var least = 10
        var time = value
        if value.isObject {
            try value.allowKeys(Self.keys)
            time = try value.required("window")
            if let aggression = try value.member("aggression") {
                guard Self.aggressions.contains(try aggression.number()) else {
                    throw aggression.error("is not within 0.1 to 10")
                }
                power = 1 / (try aggression.number())
            }
            least = try value.integer("min_weight", in: 1...100) ?? least
        }
        let nanoseconds = try time.nanoseconds()
        guard Self.windows.contains(nanoseconds) else {
            throw time.error("is not within 1s to 1h")
        }
        self.host = host
        window = UInt64(nanoseconds)
        shares = host.memory.list(
            (0..<Self.steps).map { step in
                let share = Self.raise(Double(step) / Double(Self.steps), to: power)
                return UInt32(max(share, Double(least) / 100) * Double(UInt32.max))
            }
        )
    }

    /// A number of 0 to 1 to a power: whole powers by products, the rest by square roots.
    static func raise(_ base: Double, to power: Double) -> Double {
        guard base > 0 else { return 0 }
        var result = 1.0
        for _ in 0..<Int(power) { result *= base }
        var rest = power - Double(Int(power))
        var root = base
        // 40 bits of the power are more than a step can show.
        for _ in 0..<40 {
            root = root.squareRoot()
            rest *= 2
            if rest >= 1 {
                result *= root
                rest -= 1
            }
        }
        return result
    }

    /// The clock that starts are counted by.
    var now: UInt64 { host.nowNanoseconds }

    /// Whether a peer is taken, as often as its share says.
    ///
    /// - Parameter chance: any number; what is taken with one is taken with it ever after.
    func admits(_ start: PeerStart, _ chance: UInt64) -> Bool {
        if start.isOver { return true }
        return UInt32(truncatingIfNeeded: chance &>> 32) <= step(start)
    }

    /// The part of a peer's weight that counts now: more than 0, and 1 when its start is over.
    @usableFromInline
    func share(_ start: PeerStart) -> Double {
        start.isOver ? 1 : Double(step(start)) / Double(UInt32.max)
    }

    /// The share now, in units of 2^-32.
    func step(_ start: PeerStart) -> UInt32 {
        let now = now
        let since = start.begin(now)
        // The clock of another worker may be ahead.
        let age = now > since ? now - since : 0
        guard age < window else {
            start.end(since)
            return .max
        }
        return shares[Int(age / (window / UInt64(Self.steps) + 1))]
    }
}

/// Since when a peer is in use: a word that all workers share, and write only when it changes.
///
/// What is known of a peer's health is what picks see of it: illness that no pick has met, as none
/// came meanwhile, slows no start down.
@usableFromInline
struct PeerStart: BitwiseCopyable {
    /// The peer has its whole weight.
    private static var over: UInt64 { 0 }
    /// The peer was ill when it was met last.
    private static var ill: UInt64 { 1 }

    private let word: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ word: UnsafeMutablePointer<Atomic<UInt64>>) { self.word = word }

    // Safe, here and below: `PeerStarts` keeps the word as long as the table.
    var isOver: Bool { word.pointee.load(ordering: .relaxed) == Self.over }

    func noteIllness() {
        if word.pointee.load(ordering: .relaxed) != Self.ill {
            word.pointee.store(Self.ill, ordering: .relaxed)
        }
    }

    /// When the start began; now, when the peer was ill until now.
    func begin(_ now: UInt64) -> UInt64 {
        let seen = word.pointee.load(ordering: .relaxed)
        guard seen == Self.ill else { return seen }
        let (_, before) = word.pointee.compareExchange(
            expected: seen,
            desired: max(now, 2),
            ordering: .relaxed
        )
        // Another worker was faster: so it began just now.
        return before == Self.ill ? max(now, 2) : before
    }

    /// Ends the start that began then.
    func end(_ since: UInt64) {
        _ = word.pointee.compareExchange(
            expected: since,
            desired: Self.over,
            ordering: .relaxed
        )
    }
}
