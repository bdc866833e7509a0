import HTTP
import Sys

/// A connection with the proxy whose ends are translated: moves bytes between the socket and its
/// `Translation`.
final class HTTP2Link {
    let translation: Translation
    private let descriptor: Int32
    /// Nothing more is sent once the output is.
    private var finishes = false
    /// The connection is closed once the output is sent and no stream is open.
    private(set) var closes = false
    private(set) var isClosed = false

    private static let readBytes = 65_536

    /// - Parameter descriptor: owned from now on.
    init(_ role: H2Role, _ descriptor: Int32, _ room: TranslationRoom) {
        self.descriptor = descriptor
        translation = Translation(role: role, room: room)
    }

    /// Sends and receives what can be; whether that was anything.
    ///
    /// - Parameter now: milliseconds of the engine's clock.
    func move(now: UInt64) -> Bool {
        guard !isClosed else { return false }
        let isGivenUp = translation.giveUpLeft()
        var hasMoved = write()
        if isGivenUp {
            close()
            return true
        }
        if !translation.isOver {
            if read(now: now) { hasMoved = true }
            if write() { hasMoved = true }
        }
        return end() || hasMoved
    }

    private func write() -> Bool {
        var hasWritten = false
        while let output = translation.output, let start = output.baseAddress {
            let count = Syscall.send(descriptor, start, output.count)
            guard count > 0 else { break }
            translation.consumeOutput(count)
            hasWritten = true
        }
        return hasWritten
    }

    private func read(now: UInt64) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.readBytes) { buffer in
            guard let start = buffer.baseAddress else { return false }
            var hasRead = false
            while true {
                let count = Syscall.receive(descriptor, start, buffer.count)
                if count == Syscall.wouldBlock { return hasRead }
                guard count > 0 else {
                    translation.inputEnded()
                    return true
                }
                let bytes = UnsafeMutableBufferPointer(start: start, count: count)
                translation.input(bytes, now: now)
                hasRead = true
            }
        }
    }

    /// Does what closing waits for; whether there was anything to do.
    @discardableResult
    private func end() -> Bool {
        // A client whose stream the proxy has given up leaves, as it is left in HTTP/1.1.
        if translation.role == .client, translation.client.isOver { closes = true }
        guard translation.isOver || translation.output == nil && translation.openCount == 0 else {
            return false
        }
        guard closes || translation.isOver || finishes else { return false }
        if closes || translation.isOver {
            close()
        } else {
            finishes = false
            Syscall.shutdownWrite(descriptor)
        }
        return true
    }

    /// No more is sent on an end.
    func finish(_ stream: TextStream) {
        translation.finish(stream)
        if translation.role == .client { finishes = true }
        _ = write()
        end()
    }

    /// Closes an end, and the connection with the last one that is in use.
    func close(_ stream: TextStream) {
        translation.close(stream)
        if translation.role == .client {
            _ = write()
            close()
            return
        }
        // Those in the middle of a message are looked at together, when the next bytes move. One
        // whose last bytes have no window yet is open, and the connection with it.
        let others = translation.streams.contains { other in
            other !== stream && translation.connection.isOpen(other.id)
        }
        if !others, !stream.isLeft {
            translation.leave()
            closes = true
        }
        _ = write()
        end()
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        translation.inputEnded()
        Syscall.close(descriptor)
    }
}
