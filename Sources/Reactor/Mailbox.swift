import Synchronization
package import Sys

/// Messages to one worker from any thread; the only way between workers.
package final class Mailbox<Message: Sendable>: Sendable {
    private let queue = Mutex<[Message]>([])
    private let wakeup: Wakeup

    package init() throws(Errno) {
        wakeup = try Wakeup()
    }

    /// Becomes readable when there are messages.
    package var descriptor: Int32 { wakeup.number }

    /// Leaves a message. [any thread]
    package func post(_ message: Message) {
        queue.withLock { $0.append(message) }
        wakeup.signal()
    }

    /// Takes all messages, oldest first. [the worker]
    package func take() -> [Message] {
        wakeup.clear()
        return queue.withLock { messages in
            let taken = messages
            messages.removeAll(keepingCapacity: true)
            return taken
        }
    }
}
