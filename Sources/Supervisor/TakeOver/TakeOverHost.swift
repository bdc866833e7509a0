package import Sys

/// The side of a take-over that has the sockets.
///
/// It never blocks: `turn` goes as far as it can, and is called again when one of `descriptors` is
/// readable or `deadline` is over. Up to the last word, which is this side's, the take-over has not
/// happened, and nothing here has changed.
package struct TakeOverHost {
    private let listener: MessageListener
    private let timeoutNanoseconds: UInt64
    private var guest: Guest?

    /// The process that asks.
    private struct Guest {
        var connection: SharedDescriptor
        var process: Int32
        /// When it must have said that it serves.
        var deadline: UInt64
        /// What it gets; empty until it has asked.
        var sockets: [SharedDescriptor] = []
        var sent = 0
        var step = Step.asks

        enum Step {
            case asks
            case takes
            case starts
        }
    }

    /// What has happened.
    package enum Event: Equatable, Sendable {
        /// A process was given the sockets and starts now.
        case began(process: Int32)
        /// It serves, and has the confirmation: let go of the sockets and drain.
        case handedOver(process: Int32)
        /// It has failed, for this reason; nothing has changed.
        case failed(process: Int32, reason: String)
    }

    /// - Parameter timeout: milliseconds that the other process has until it serves.
    package init(_ listener: MessageListener, timeout: Int) {
        self.listener = listener
        timeoutNanoseconds = UInt64(timeout) * 1_000_000
    }

    /// What to wait for.
    package var descriptors: [Int32] {
        [listener.number] + (guest.map { [$0.connection.number] } ?? [])
    }

    /// The time, in nanoseconds of the monotonic clock, of the next `turn` at the latest; nil is
    /// never.
    package var deadline: UInt64? { guest?.deadline }

    /// Whether a process is taking over.
    package var isBusy: Bool { guest != nil }

    /// Stops listening.
    package func close() { listener.remove() }

    /// Goes as far as possible.
    ///
    /// - Parameters:
    ///   - now: of the monotonic clock, in nanoseconds.
    ///   - sockets: all listening sockets of this process as they are now.
    ///   - prepare: called before the other process gets the confirmation: the last chance to let
    ///     go of what it will want, such as the pid file.
    package mutating func turn(
        now: UInt64,
        sockets: () -> [SharedDescriptor],
        prepare: () -> Void
    ) -> [Event] {
        var events: [Event] = []
        while let connection = listener.accept() { welcome(connection, now, &events) }
        while let step = advance(sockets, prepare, &events), step {}
        if let guest, now >= guest.deadline {
            end("it did not serve in time", &events)
        }
        return events
    }

    private mutating func welcome(
        _ connection: SharedDescriptor,
        _ now: UInt64,
        _ events: inout [Event]
    ) {
        let peer: PeerCredentials
        do throws(Errno) {
            peer = try Socket.peerCredentials(connection.number)
        } catch {
            return
        }
        // The file's mode says so already, but for one that came by another way.
        guard peer.isTrusted else {
            Self.refuse(connection, "this user may not take over")
            return events.append(
                .failed(process: peer.process, reason: "user \(peer.user) may not take over")
            )
        }
        guard guest == nil else {
            return Self.refuse(connection, "another process is taking over")
        }
        guest = Guest(
            connection: connection,
            process: peer.process,
            deadline: now + timeoutNanoseconds
        )
    }

    /// Takes one message of the guest; whether there may be another, nil when there is no guest.
    private mutating func advance(
        _ sockets: () -> [SharedDescriptor],
        _ prepare: () -> Void,
        _ events: inout [Event]
    ) -> Bool? {
        guard let connection = guest?.connection else { return nil }
        let message: TakeOverMessage
        do throws(TakeOverFailure) {
            guard let next = try TakeOverLink.receive(connection) else { return false }
            guard next.sockets.isEmpty else { throw TakeOverFailure("it sent descriptors") }
            message = next.message
        } catch {
            if error.isAnswered { Self.refuse(connection, error.reason) }
            end(error.reason, &events)
            return nil
        }
        switch (guest?.step, message) {
        case (.asks, .ask):
            guest?.sockets = sockets()
            guest?.step = .takes
            sendBatch(&events)
        case (.takes, .taken(let count)) where count == guest?.sent:
            if count == guest?.sockets.count {
                guest?.step = .starts
                // Its own from now on; here they are held elsewhere.
                guest?.sockets = []
                if let process = guest?.process { events.append(.began(process: process)) }
            } else {
                sendBatch(&events)
            }
        case (.starts, .ready):
            prepare()
            confirm(connection, &events)
        default:
            Self.refuse(connection, "unexpected message")
            end("it sent a message out of turn", &events)
        }
        return guest == nil ? nil : true
    }

    private mutating func sendBatch(_ events: inout [Event]) {
        guard let current = guest else { return }
        let batch = current.sockets[current.sent...].prefix(TakeOverMessage.batchMax)
        do throws(Errno) {
            // The guest has read everything so far, so that there is room.
            try DescriptorPassing.send(
                current.connection.number,
                TakeOverMessage.sockets(total: current.sockets.count).bytes,
                batch.map(\.number),
                waits: false
            )
            guest?.sent += batch.count
        } catch {
            end("the sockets could not be sent: \(error)", &events)
        }
    }

    private mutating func confirm(_ connection: SharedDescriptor, _ events: inout [Event]) {
        guard let process = guest?.process else { return }
        do throws(Errno) {
            let bytes = TakeOverMessage.done.bytes
            try DescriptorPassing.send(connection.number, bytes, [], waits: false)
            guest = nil
            events.append(.handedOver(process: process))
        } catch {
            end("the confirmation could not be sent: \(error)", &events)
        }
    }

    private mutating func end(_ reason: String, _ events: inout [Event]) {
        guard let process = guest?.process else { return }
        guest = nil
        events.append(.failed(process: process, reason: reason))
    }

    private static func refuse(_ connection: SharedDescriptor, _ reason: String) {
        let bytes = TakeOverMessage.refused(reason).bytes
        // Who does not read it is told by the end of the connection.
        try? DescriptorPassing.send(connection.number, bytes, [], waits: false)
    }
}
