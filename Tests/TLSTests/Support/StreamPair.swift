import Sys
import Testing

@testable import TLS

/// A client and a server over a pair of sockets, in one thread.
final class StreamPair {
    let worker: WorkerOutput
    let client: UnsafeMutablePointer<TLSStream>
    let server: UnsafeMutablePointer<TLSStream>
    private var hasServer = true
    let sockets: (client: Int32, server: Int32)

    init(
        _ serverContext: TLSServerContext,
        _ clientContext: TLSClientContext,
        session: UnsafeMutablePointer<TLSSessionSlot>? = nil,
        name: String? = nil,
        worker: WorkerOutput? = nil
    ) throws {
        let ends = try Socket.pair()
        sockets = (ends.0, ends.1)
        self.worker = try worker ?? WorkerOutput()
        let output = self.worker.pointer
        server = try #require(TLSStream.accept(serverContext, fd: ends.1, output))
        let connected =
            if let name {
                name.withCString {
                    TLSStream.connect(
                        clientContext,
                        fd: ends.0,
                        output,
                        session: session,
                        serverName: $0
                    )
                }
            } else {
                TLSStream.connect(clientContext, fd: ends.0, output, session: session)
            }
        client = try #require(connected)
    }

    deinit {
        TLSStream.free(client)
        freeServer()
        Syscall.close(sockets.client)
        Syscall.close(sockets.server)
    }

    /// Ends the server's side.
    func freeServer() {
        if hasServer { TLSStream.free(server) }
        hasServer = false
    }

    /// Takes both sides through the handshake: the last step of each.
    @discardableResult
    func handshake() -> (client: TLSStream.Step, server: TLSStream.Step) {
        var steps = (client: TLSStream.Step.again, server: TLSStream.Step.again)
        for _ in 0..<1_000 {
            if steps.client != .failed { steps.client = client.pointee.handshake() }
            if steps.server != .failed { steps.server = server.pointee.handshake() }
            if steps.client == .done, steps.server == .done { break }
            if steps.client == .failed, steps.server == .failed { break }
        }
        return steps
    }

    /// Both sides done.
    func establish(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let steps = handshake()
        try #require(
            steps.client == .done && steps.server == .done,
            "client: \(failure(client)), server: \(failure(server))",
            sourceLocation: sourceLocation
        )
    }

    func failure(_ stream: UnsafeMutablePointer<TLSStream>) -> String {
        stream.pointee.failure.map { String(cString: $0) } ?? "none"
    }

    /// Reads until there is nothing: the bytes, and what the last read said.
    func drain(_ stream: UnsafeMutablePointer<TLSStream>) -> (bytes: [UInt8], last: Int) {
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = stream.pointee.read(&room, room.count)
            if count <= 0 { return (bytes, count) }
            bytes += room[..<count]
        }
    }

    /// Sends bytes that fit the socket.
    func send(_ bytes: [UInt8], from stream: UnsafeMutablePointer<TLSStream>) {
        let sent = stream.pointee.send(bytes, bytes.count)
        #expect(sent == bytes.count)
    }
}

/// What one worker has for all its streams.
final class WorkerOutput {
    let pointer: UnsafeMutablePointer<TLSOutput>

    init() throws {
        guard let output = TLSOutput() else { throw Errno(12) }
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: output)
    }

    deinit {
        pointer.deinitialize(count: 1)
        pointer.deallocate()
    }
}

extension TLSServerContext {
    /// A context of these files; `change` sets what the test is about.
    static func make(
        _ files: [TLSFiles],
        protocols: [TLSProtocol] = [.h2, .h1],
        _ change: (inout TLSServerSettings) -> Void = { _ in }
    ) throws(TLSFailure) -> TLSServerContext {
        var settings = TLSServerSettings()
        settings.certificates = files.map {
            TLSCertificateFiles(certificate: $0.certificate, key: $0.key)
        }
        change(&settings)
        return try TLSServerContext(settings, protocols: protocols)
    }
}

extension TLSClientContext {
    /// A context that trusts a file; `change` sets what the test is about.
    static func make(
        trusting ca: TLSFiles? = nil,
        protocols: [TLSProtocol] = [],
        _ change: (inout TLSClientSettings) -> Void = { _ in }
    ) throws(TLSFailure) -> TLSClientContext {
        var settings = TLSClientSettings()
        settings.ca = ca?.certificate
        settings.verify = ca != nil
        change(&settings)
        return try TLSClientContext(settings, protocols: protocols)
    }
}
