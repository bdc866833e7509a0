import Synchronization
public import Sys

/// Messages to one worker from any thread; the only way between workers.
public final class Mailbox<Message: Sendable>: Sendable {
    private let queue = Mutex<[Message]>([])
    private let wakeup: Wakeup

    public init() throws(Errno) {
        wakeup = try Wakeup()
    }

    /// Becomes readable when there are messages.
    public var descriptor: Int32 { wakeup.number }

    /// Leaves a message. [any thread]
    public func post(_ message: Message) {
        queue.withLock { $0.append(message) }
        wakeup.signal()
    }

    /// Takes all messages, oldest first. [the worker]
    public func take() -> [Message] {
        wakeup.clear()
        return queue.withLock { messages in
            let taken = messages
            messages.removeAll(keepingCapacity: true)
            return taken
        }
    }
}
