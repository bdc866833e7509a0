import Synchronization
public import Sys

/// Messages to one worker from any thread; the only way between workers.
public final class Mailbox<Message: Sendable>: Sendable {
    private struct Queue {
        var messages: [Message] = []
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let wakeup: Wakeup

    public init() throws(Errno) {
        wakeup = try Wakeup()
    }

    /// Becomes readable when there are messages.
    public var descriptor: Int32 { wakeup.number }

    /// Leaves a message; false, and not left, when the worker takes none any more. [any thread]
    @discardableResult
    public func post(_ message: Message) -> Bool {
        let isLeft = queue.withLock { queue in
            if !queue.isClosed { queue.messages.append(message) }
            return !queue.isClosed
        }
        if isLeft { wakeup.signal() }
        return isLeft
    }

    /// Takes all messages, oldest first. [the worker]
    public func take() -> [Message] {
        wakeup.clear()
        return queue.withLock { queue in
            let taken = queue.messages
            queue.messages.removeAll(keepingCapacity: true)
            return taken
        }
    }

    /// Takes all messages for the last time: what a message carries is let go of by whoever posts
    /// it from now on. [the worker]
    public func close() -> [Message] {
        queue.withLock { queue in
            queue.isClosed = true
            let taken = queue.messages
            queue.messages = []
            return taken
        }
    }
}
