import SluiceSDK

/// Which instance of a name looks after the upstreams.
///
/// One that another has taken the place of lives on until its last request has ended. It must not
/// ask meanwhile: its sources may be other ones, and its answers would push out those of the new
/// instance. So each takes a number when its worker starts, and the greatest one counts. An
/// instance that ends as the newest, as after a trial, gives its number back, and the one before
/// goes on.
struct Tenure: BitwiseCopyable {
    /// How often an instance whose place is taken looks whether it is free again.
    static let pauseNanoseconds: UInt64 = 5_000_000_000
    /// Entries of the table: the least that the host has.
    private static let capacity = 64

    private let counters: SharedCounters
    private let key: SharedKey

    init(_ host: Host) throws(PluginError) {
        counters = try SharedCounters(host, "tenure", capacity: Self.capacity)
        key = counters.key(of: "tenure")
    }

    /// The number of an instance that begins.
    func begin() -> Int { counters.add(1, to: key, ttlNanoseconds: 0) }

    /// Whether no instance has begun since.
    func isCurrent(_ number: Int) -> Bool { counters.value(key) == number }

    /// The instance with this number ends.
    func end(_ number: Int) {
        if isCurrent(number) { counters.add(-1, to: key, ttlNanoseconds: 0) }
    }
}
