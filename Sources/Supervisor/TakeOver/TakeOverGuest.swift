package import Sys

/// The side of a take-over that wants the sockets.
///
/// The process that serves now goes on with that until `finish`.
package struct TakeOverGuest: Sendable {
    private let path: String
    private let connection: SharedDescriptor
    /// Everything that the other process listens on.
    package let sockets: [InheritedSocket]

    /// Nanoseconds that the other process has for each answer.
    package static let answerTimeout: UInt64 = 10_000_000_000

    /// Asks the process that listens at a path for its sockets.
    package init(path: String) throws(TakeOverFailure) {
        self.path = path
        do throws(Errno) {
            connection = try MessageListener.connect(path: path)
        } catch {
            throw TakeOverFailure("nobody can be asked: \(error)")
        }
        try Self.send(.ask, connection)
        sockets = try Self.takeSockets(connection)
    }

    private static func takeSockets(
        _ connection: SharedDescriptor
    ) throws(TakeOverFailure) -> [InheritedSocket] {
        var sockets: [InheritedSocket] = []
        while true {
            let (message, batch) = try next(connection)
            guard case .sockets(let total) = message, total <= TakeOverMessage.socketsMax,
                sockets.count + batch.count <= total, !batch.isEmpty || total == 0
            else { throw TakeOverFailure("it answered out of turn") }
            for descriptor in batch {
                do throws(InheritedSocket.Problem) {
                    sockets.append(try InheritedSocket(descriptor))
                } catch {
                    throw TakeOverFailure("a descriptor that it sent \(error)")
                }
            }
            try send(.taken(count: sockets.count), connection)
            if sockets.count == total { return sockets }
        }
    }

    /// Says that this process serves; returns when the other one drains.
    ///
    /// - Throws: the other process serves on, so that this one must not.
    package func finish() throws(TakeOverFailure) {
        do throws(TakeOverFailure) {
            try Self.send(.ready, connection)
            let (message, _) = try Self.next(connection)
            guard message == .done else { throw TakeOverFailure("it answered out of turn") }
        } catch {
            // Gone without a word: whether it still serves is seen by asking again. Nobody there
            // means that this process is the only one left.
            guard !isOtherAlive else { throw error }
        }
    }

    private var isOtherAlive: Bool {
        do {
            _ = try MessageListener.connect(path: path)
            return true
        } catch {
            return error != .connectionRefused && error != .noSuchFile
        }
    }

    private static func send(
        _ message: TakeOverMessage,
        _ connection: SharedDescriptor
    ) throws(TakeOverFailure) {
        do throws(Errno) {
            try DescriptorPassing.send(connection.number, message.bytes, [], waits: false)
        } catch {
            // Who has closed the connection may have said why: `next` reads it.
            guard error == .brokenPipe else {
                throw TakeOverFailure("the connection failed: \(error)")
            }
        }
    }

    private static func next(
        _ connection: SharedDescriptor
    ) throws(TakeOverFailure) -> (message: TakeOverMessage, sockets: [SharedDescriptor]) {
        let deadline = Clock.kernelNanoseconds() + answerTimeout
        while true {
            if let next = try TakeOverLink.receive(connection) {
                guard case .refused(let reason) = next.message else { return next }
                throw TakeOverFailure("it refused: \(reason)")
            }
            let now = Clock.kernelNanoseconds()
            guard now < deadline else { throw TakeOverFailure("it does not answer") }
            let wait = Int32((deadline - now) / 1_000_000 + 1)
            _ = Poll.readable([connection.number], milliseconds: wait)
        }
    }
}
