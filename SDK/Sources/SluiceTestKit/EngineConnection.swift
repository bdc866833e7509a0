import CSluice
import CSluiceEngine

/// The test's end of a connection with the proxy.
final class EngineConnection {
    private unowned let engine: Engine
    private let end: Int32
    /// Bytes that the proxy has not taken yet.
    private var unsent: ArraySlice<UInt8> = []
    private var endsAfterSending = false
    /// All that came.
    private(set) var received: [UInt8] = []
    /// Whether the proxy has closed its side.
    private(set) var isClosedByProxy = false
    private(set) var isClosed = false
    /// Whether arriving bytes are read.
    var isReading = true

    init(_ engine: Engine, _ end: Int32) {
        self.engine = engine
        self.end = end
    }

    func send(_ bytes: [UInt8]) {
        unsent += bytes
        _ = flush()
    }

    /// No more is sent when all is sent.
    func finish() {
        endsAfterSending = true
        _ = flush()
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        unsent = []
        engine.table.pointee.close_end(engine.take(), end)
    }

    /// Sends and receives what can be; whether that was anything.
    func move() -> Bool {
        guard !isClosed else { return false }
        let hasSent = flush()
        return receive() || hasSent
    }

    private func flush() -> Bool {
        guard !isClosed else { return false }
        var hasSent = false
        while !unsent.isEmpty {
            let count = unsent.withUnsafeBufferPointer { bytes in
                engine.table.pointee.send(
                    engine.take(),
                    end,
                    sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count))
                )
            }
            if count == Int64(SLUICE_ESTALE) || count == Int64(SLUICE_EINVAL) { unsent = [] }
            if count == Int64(SLUICE_EINVAL) { engine.noteProblem(end) }
            guard count > 0 else { return hasSent }
            unsent = unsent.dropFirst(Int(count))
            hasSent = true
        }
        if endsAfterSending {
            endsAfterSending = false
            engine.table.pointee.shutdown(engine.take(), end)
            return true
        }
        return hasSent
    }

    private func receive() -> Bool {
        guard isReading, !isClosedByProxy else { return false }
        var hasReceived = false
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = engine.table.pointee.receive(engine.take(), end, &piece, 65_536)
            if count == Int64(SLUICE_ESTALE) {
                isClosedByProxy = true
                return true
            }
            if count == Int64(SLUICE_EINVAL) { engine.noteProblem(end) }
            guard count > 0 else { return hasReceived }
            received += piece[..<Int(count)]
            hasReceived = true
        }
    }
}

extension Engine {
    /// A client's connection, and what came of its request.
    public final class Exchange {
        let connection: EngineConnection
        private let isHead: Bool

        init(_ connection: EngineConnection, isHead: Bool) {
            self.connection = connection
            self.isHead = isHead
        }

        /// Sends more bytes, as they are.
        ///
        /// They move with the engine's next call.
        public func send(_ text: String) { connection.send(Array(text.utf8)) }

        /// Says that no more will be sent.
        public func finish() { connection.finish() }

        /// Leaves, whatever the proxy is at.
        public func close() { connection.close() }

        /// Whether the client has left.
        public var hasLeft: Bool { connection.isClosed }

        /// Whether arriving bytes are read; false for a client that takes nothing.
        public var isReading: Bool {
            get { connection.isReading }
            set { connection.isReading = newValue }
        }

        /// All bytes that came.
        public var bytes: [UInt8] { connection.received }

        /// Whether the proxy has closed the connection.
        public var isClosed: Bool { connection.isClosedByProxy }

        /// The response, when it is whole; interim responses are left out.
        public var response: EngineMessage? {
            partialResponse.flatMap { $0.isComplete ? $0 : nil }
        }

        /// The response as far as it came; nil before its head is whole.
        public var partialResponse: EngineMessage? {
            var rest = connection.received[...]
            while let message = EngineMessage(rest, isClosed: isClosed, hasBody: !isHead) {
                if message.status / 100 != 1 || message.status == 101 { return message }
                rest = rest.dropFirst(message.length)
            }
            return nil
        }
    }
}
