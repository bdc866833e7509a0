import CDiscovery
import SluiceSDK

/// Asks many questions at the same time, and waits for all answers.
///
/// Blocks, so it runs on a thread that may; never longer than to the deadline.
struct DNSClient {
    /// Questions that are on their way at the same time, each with a socket.
    static let concurrencyMax = 32
    /// A wait never lasts longer, so that the end of the process is seen.
    private static let waitMillisecondsMax = 100

    let settings: ResolverSettings
    /// The server that is asked first; counted on where the settings say `rotate`.
    let firstServer: Int
    /// When all of it must be done.
    let deadline: UInt64
    /// Says that nobody waits for the outcome any more.
    let isStopping: () -> Bool

    /// What became of each question, in their order.
    func ask(_ questions: [DNSQuestion]) -> [DNSTransport.Outcome] {
        var outcomes: [DNSTransport.Outcome] = []
        for start in stride(from: 0, to: questions.count, by: Self.concurrencyMax) {
            let end = min(start + Self.concurrencyMax, questions.count)
            outcomes += askTogether(Array(questions[start..<end]))
        }
        return outcomes
    }

    private func askTogether(_ questions: [DNSQuestion]) -> [DNSTransport.Outcome] {
        let count = questions.count
        let transports = UnsafeMutablePointer<DNSTransport>.allocate(capacity: count)
        defer { transports.deinitialize(count: count).deallocate() }
        // Safe: there is room for all, and each is initialized before anything else happens.
        for (index, question) in questions.enumerated() {
            (transports + index).initialize(
                to: DNSTransport(question, settings, firstServer: firstServer)
            )
        }
        let begin = discovery_now()
        for index in 0..<count { transports[index].begin(now: begin) }
        while wait(transports, count) {}
        return (0..<count).map { transports[$0].outcome ?? .failed("not done in time") }
    }

    /// Waits for one of them to be ready, or to be late; false when all are done.
    private func wait(_ transports: UnsafeMutablePointer<DNSTransport>, _ count: Int) -> Bool {
        var places: [pollfd] = []
        var indices: [Int] = []
        var next = deadline
        for index in 0..<count where transports[index].outcome == nil {
            let events = transports[index].isSending ? POLLOUT : POLLIN
            let descriptor = transports[index].descriptor
            places.append(pollfd(fd: descriptor, events: Int16(events), revents: 0))
            indices.append(index)
            next = min(next, transports[index].deadline)
        }
        guard !places.isEmpty else { return false }
        let before = discovery_now()
        // Rounded up, so that a wait does not end just before the deadline.
        let left = next > before ? (next - before) / 1_000_000 + 1 : 0
        let milliseconds = Int32(min(left, UInt64(Self.waitMillisecondsMax)))
        _ = discovery_poll(&places, UInt64(places.count), milliseconds)
        let now = discovery_now()
        let isOver = now >= deadline || isStopping()
        for (place, index) in zip(places, indices) {
            if place.revents != 0 { transports[index].move(now: now) }
            if transports[index].outcome == nil, isOver || now >= transports[index].deadline {
                transports[index].expire(now: now, isLast: isOver)
            }
        }
        return true
    }
}
