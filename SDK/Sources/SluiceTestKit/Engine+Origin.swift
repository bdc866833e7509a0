import CSluice
import CSluiceEngine

extension Engine {
    /// The first peer of the upstream.
    public var origin: Origin { origins[0] }

    /// A peer of the upstream, played by the test.
    public final class Origin {
        /// An answer.
        public struct Answer: Sendable {
            /// 100 to 599.
            public var status: Int
            /// Fields besides those that frame the body.
            public var fields: KeyValuePairs<String, String>
            /// The body.
            public var body: EngineBody

            /// An answer.
            public init(
                _ status: Int,
                _ fields: KeyValuePairs<String, String> = [:],
                body: EngineBody = .pieces([""])
            ) {
                self.status = status
                self.fields = fields
                self.body = body
            }
        }

        private unowned let engine: Engine
        private let peer: Int
        private var connections: [(connection: EngineConnection, taken: Int)] = []
        /// Requests that arrived whole and have no answer yet, with their connections.
        private var waiting: [(request: EngineMessage, connection: EngineConnection)] = []
        /// Requests that arrived whole, oldest first.
        public private(set) var requests: [EngineMessage] = []
        /// Answers each request as soon as it is whole; nil leaves that to `respond`.
        public var answer: ((EngineMessage) -> Answer)?

        init(_ engine: Engine, peer: Int) {
            self.engine = engine
            self.peer = peer
        }

        /// Answers the oldest request that has no answer yet, piece by piece.
        ///
        /// - Throws: `Failure` when there is none.
        public func respond(
            _ status: Int,
            _ fields: KeyValuePairs<String, String> = [:],
            body: EngineBody = .pieces([""])
        ) throws(Failure) {
            let connection = try takeWaiting()
            try send(Answer(status, fields, body: body), connection)
            try engine.move()
        }

        /// Sends bytes as they are, in place of the answer of the oldest request.
        ///
        /// - Parameter closes: whether the origin then closes the connection.
        public func respond(raw text: String, closes: Bool = false) throws(Failure) {
            let connection = try takeWaiting()
            connection.send(Array(text.utf8))
            try engine.move()
            if closes { connection.close() }
            try engine.move()
        }

        /// Closes all connections of the proxy.
        public func closeConnections() throws(Failure) {
            for (connection, _) in connections { connection.close() }
            waiting = []
            try engine.move()
        }

        /// Refuses new connections, or takes them again.
        public func setListening(_ isListening: Bool) {
            let takes: UInt32 = isListening ? 1 : 0
            _ = engine.table.pointee.listen(engine.take(), UInt32(peer), takes)
        }

        /// A request as far as it has come, of the connection that was made last.
        public var partialRequest: EngineMessage? {
            guard let last = connections.last else { return nil }
            return EngineMessage(
                last.connection.received.dropFirst(last.taken),
                isClosed: last.connection.isClosedByProxy
            )
        }

        private func takeWaiting() throws(Failure) -> EngineConnection {
            guard !waiting.isEmpty else {
                throw Failure(description: "no request waits for an answer of this origin")
            }
            return waiting.removeFirst().connection
        }

        private func send(_ answer: Answer, _ connection: EngineConnection) throws(Failure) {
            var head = "HTTP/1.1 \(answer.status) Status\r\n"
            for (name, value) in answer.fields { head += "\(name): \(value)\r\n" }
            connection.send(Array((head + answer.body.framing + "\r\n").utf8))
            for piece in answer.body.pieces {
                _ = engine.table.pointee.settle(engine.take())
                connection.send(piece)
            }
        }

        /// Takes connections, moves bytes, and finds requests; whether there was anything.
        func move() throws(Failure) -> Bool {
            var hasMoved = false
            while true {
                let end = engine.table.pointee.accept(engine.take(), UInt32(peer))
                guard end >= 0 else { break }
                connections.append((EngineConnection(engine, end), 0))
                hasMoved = true
            }
            for index in connections.indices {
                let connection = connections[index].connection
                if connection.move() { hasMoved = true }
                while let request = EngineMessage(
                    connection.received.dropFirst(connections[index].taken),
                    isClosed: connection.isClosedByProxy
                ), request.isComplete {
                    connections[index].taken += request.length
                    requests.append(request)
                    hasMoved = true
                    if let answer {
                        try send(answer(request), connection)
                    } else {
                        waiting.append((request, connection))
                    }
                }
            }
            return hasMoved
        }
    }
}
