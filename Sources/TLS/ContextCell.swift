internal import COpenSSL
internal import Synchronization

/// The context that new connections are made from, replaced while workers serve.
///
/// Connections keep the one that they began with.
final class ContextCell: Sendable {
    private struct Content: @unchecked Sendable {
        // Safe: OpenSSL counts references atomically, and contexts are not changed once they are
        // published.
        var context: OpaquePointer
        var id: UInt64
    }

    private let content: Mutex<Content>
    private static let lastID = Atomic<UInt64>(0)

    /// Takes the context.
    init(_ context: OpaquePointer) {
        content = Mutex(Content(context: context, id: Self.nextID()))
    }

    deinit { content.withLock { SSL_CTX_free($0.context) } }

    private static func nextID() -> UInt64 {
        lastID.wrappingAdd(1, ordering: .relaxed).newValue
    }

    /// A new connection and the number of the context that it is of; nil without memory.
    ///
    /// The lock is held for one counter: between reading the pointer and counting the reference the
    /// context must not be freed. It is taken once a connection, and is free but for a reload.
    func makeConnection() -> (ssl: OpaquePointer, id: UInt64)? {
        let taken = content.withLock { content in
            SSL_CTX_up_ref(content.context)
            return content
        }
        defer { SSL_CTX_free(taken.context) }
        return SSL_new(taken.context).map { ($0, taken.id) }
    }

    /// Publishes another context, and takes it.
    func replace(with context: OpaquePointer) {
        let next = Content(context: context, id: Self.nextID())
        let old = content.withLock { content in
            let old = content
            content = next
            return old
        }
        SSL_CTX_free(old.context)
    }
}
