import CSluice
import Reactor
import Synchronization

/// A question to all workers whether their loops turn.
package final class WorkerRound: Sendable {
    private let left: Atomic<Int>
    private let done: @Sendable () -> Void

    /// - Parameters:
    ///   - workers: how many are asked, 1 or more.
    ///   - done: called on the thread of the last one that answers; must not wait.
    package init(workers: Int, done: @escaping @Sendable () -> Void) {
        left = Atomic(workers)
        self.done = done
    }

    func answer() {
        if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done() }
    }
}

extension Worker {
    /// Ends the tunnels that stand; while it drains, when their time of grace is over.
    mutating func endTunnels() {
        var count = 0
        var next = firstOpen
        while let down = next {
            // A closed connection keeps its links until the batch of events is over.
            next = down.pointee.nextOpen
            if down.pointee.state == .multiplexed {
                var nextStream = down.pointee.session?.pointee.firstStream
                while let stream = nextStream {
                    nextStream = stream.pointee.nextOpen
                    if endTunnel(stream) { count += 1 }
                }
            } else if endTunnel(down) {
                count += 1
            }
        }
        let alone = endAllAlone(ofGeneration: nil)
        guard count + alone > 0 else { return }
        log.write(3) { line in
            line.text("shutdown_grace is over, tunnels ended: ")
            line.number(count)
            guard alone > 0 else { return }
            line.text(", requests without a client: ")
            line.number(alone)
        }
    }

    /// Cuts the requests and tunnels of a generation, whose time of grace is over.
    mutating func cut(generation number: UInt32) {
        var count = 0
        var next = firstOpen
        while let down = next {
            next = down.pointee.nextOpen
            if down.pointee.state == .multiplexed {
                var nextStream = down.pointee.session?.pointee.firstStream
                while let stream = nextStream {
                    nextStream = stream.pointee.nextOpen
                    if cut(stream, ofGeneration: number) { count += 1 }
                }
            } else if cut(down, ofGeneration: number) {
                count += 1
            }
        }
        count += endAllAlone(ofGeneration: number)
        guard count > 0 else { return }
        log.write(2) { line in
            line.text("reload_grace is over, requests of generation ")
            line.number(Int(number))
            line.text(" cut: ")
            line.number(count)
        }
    }

    private mutating func cut(
        _ down: UnsafeMutablePointer<Downstream>,
        ofGeneration number: UInt32
    ) -> Bool {
        guard let exchange = down.pointee.exchange, !exchange.pointee.isEnded,
            exchange.pointee.generation.pointee.number == number
        else { return false }
        exchange.pointee.outcome = UInt32(SLUICE_OUTCOME_RESET)
        noteReason(exchange, "reload_grace is over")
        cut(exchange)
        return true
    }

    /// Ends the tunnel of a connection or a stream; false when it has none.
    private mutating func endTunnel(_ down: UnsafeMutablePointer<Downstream>) -> Bool {
        guard let exchange = down.pointee.exchange, !exchange.pointee.isEnded,
            exchange.pointee.response == .tunnel
        else { return false }
        clientGone(exchange)
        return true
    }
}
