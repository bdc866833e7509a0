internal import Sys

/// Why a take-over did not happen, in one line.
package struct TakeOverFailure: Error, Equatable, Sendable {
    package var reason: String
    /// Whether the other side does not know yet.
    var isAnswered = false

    package init(_ reason: String) { self.reason = reason }
}

/// Messages over a connection of two processes.
enum TakeOverLink {
    /// The next message with its sockets; nil when there is none yet.
    static func receive(
        _ connection: SharedDescriptor
    ) throws(TakeOverFailure) -> (message: TakeOverMessage, sockets: [SharedDescriptor])? {
        let received: DescriptorPassing.Received
        do throws(Errno) {
            received = try take(connection)
        } catch {
            throw TakeOverFailure("the connection failed: \(error)")
        }
        switch received {
        case .nothing: return nil
        case .end: throw TakeOverFailure("it closed the connection")
        case .message(let bytes, let sockets):
            do throws(TakeOverMessage.Problem) {
                return (try TakeOverMessage(bytes), sockets)
            } catch {
                var failure =
                    switch error {
                    case .otherVersion(let version):
                        TakeOverFailure(
                            "it speaks version \(version), this process version "
                                + "\(TakeOverMessage.version)"
                        )
                    case .malformed: TakeOverFailure("a message that is not understood")
                    }
                failure.isAnswered = true
                throw failure
            }
        }
    }

    private static func take(
        _ connection: SharedDescriptor
    ) throws(Errno) -> DescriptorPassing.Received {
        func once() throws(Errno) -> DescriptorPassing.Received {
            try DescriptorPassing.receive(
                connection.number,
                bytesMax: TakeOverMessage.bytesMax,
                waits: false
            )
        }
        do throws(Errno) {
            return try once()
        } catch {
            // The other end was closed before it read what was sent to it. The kernel says so once,
            // ahead of what the other end had said, such as why it refuses.
            guard error == .connectionReset else { throw error }
            return try once()
        }
    }
}
