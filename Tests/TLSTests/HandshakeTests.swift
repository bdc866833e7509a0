import Testing

@testable import TLS

struct HandshakeTests {
    let certificates: Certificates
    let files: TLSFiles

    init() throws {
        certificates = try Certificates()
        files = try certificates.make("site", names: ["example.test", "*.example.test"])
    }

    @Test(arguments: TLSVersion.allCases)
    func `both sides agree on a version and say so`(version: TLSVersion) throws {
        let pair = try StreamPair(
            .make([files]) { $0.parameters.maxVersion = version },
            .make(trusting: files),
            name: "example.test"
        )
        try pair.establish()
        for stream in [pair.client, pair.server] {
            #expect(String(cString: stream.pointee.version) == "TLSv" + version.rawValue)
            #expect(String(cString: stream.pointee.cipher).contains("GCM"))
            #expect(!stream.pointee.isResumed)
            #expect(stream.pointee.failure == nil)
        }
        #expect(pair.server.pointee.serverName.map { String(cString: $0) } == "example.test")
        #expect(pair.client.pointee.isPeerVerified)
        #expect(!pair.server.pointee.isPeerVerified)
    }

    @Test func `versions that do not overlap are refused`() throws {
        let pair = try StreamPair(
            .make([files]) { $0.parameters.minVersion = .v1_3 },
            .make { $0.parameters.maxVersion = .v1_2 }
        )
        #expect(pair.handshake() == (.failed, .failed))
        #expect(pair.failure(pair.server) == "unsupported protocol")
        #expect(pair.failure(pair.client) == "tlsv1 alert protocol version")
        #expect(pair.client.pointee.handshake() == .failed)
    }

    @Test(arguments: [
        ([TLSProtocol.h2, .h1], [TLSProtocol.h1, .h2], TLSProtocol.h2),
        ([.h1, .h2], [.h2, .h1], .h1),
        ([.h2, .h1], [.h1], .h1),
        ([.h1], [.h2, .h1], .h1),
        ([.h2, .h1, .h1_0], [.h1_0, .h1], .h1),
        ([.h2, .h1, .h1_0], [.h1_0], .h1_0),
        ([.h2, .h1], [], .none),
    ])
    func `the listener's first protocol that the client knows is chosen`(
        server: [TLSProtocol],
        client: [TLSProtocol],
        expected: TLSProtocol
    ) throws {
        let pair = try StreamPair(
            .make([files], protocols: server),
            .make(protocols: client)
        )
        try pair.establish()
        #expect(pair.server.pointee.alpn == expected)
        #expect(pair.client.pointee.alpn == expected)
    }

    @Test func `no common protocol ends the handshake`() throws {
        let pair = try StreamPair(.make([files], protocols: [.h1]), .make(protocols: [.h2]))
        #expect(pair.handshake() == (.failed, .failed))
        #expect(pair.failure(pair.client) == "tlsv1 alert no application protocol")
    }

    @Test(arguments: [TLSVersion.v1_2, .v1_3], ["X25519", "prime256v1"])
    func `the client's group is taken`(version: TLSVersion, group: String) throws {
        let pair = try StreamPair(
            .make([files]) { $0.parameters.maxVersion = version },
            // In TLS 1.2 the list must have the group of the certificate's key too.
            .make { $0.parameters.groups = group == "X25519" ? [group, "prime256v1"] : [group] }
        )
        try pair.establish()
    }

    @Test(arguments: [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ])
    func `the client's preference decides on the suite`(suite: String) throws {
        let pair = try StreamPair(
            .make([files]),
            .make {
                $0.parameters.maxVersion = .v1_2
                $0.parameters.ciphers =
                    [suite] + TLSParameters.defaultCiphers.filter { $0 != suite }
            }
        )
        try pair.establish()
        #expect(String(cString: pair.server.pointee.cipher) == suite)
    }

    @Test func `bytes that are not TLS are refused with a reason`() throws {
        let pair = try StreamPair(.make([files]), .make())
        let text = Array("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n".utf8)
        _ = Syscalls.send(pair.sockets.client, text)
        #expect(pair.server.pointee.handshake() == .failed)
        #expect(pair.failure(pair.server) == "http request")
        #expect(pair.server.pointee.send(text, text.count) == TLSStream.protocolError)
    }

    @Test func `random bytes never establish a connection`() throws {
        let context = try TLSServerContext.make([files])
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            let pair = try StreamPair(context, .make())
            var bytes = (0..<Int.random(in: 1...600, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            // Half of them begin as a record of a handshake does.
            if bytes.count > 5, Bool.random(using: &generator) {
                bytes.replaceSubrange(0..<3, with: [22, 3, 1])
            }
            _ = Syscalls.send(pair.sockets.client, bytes)
            #expect(pair.server.pointee.handshake() != .done)
            #expect(pair.server.pointee.handshake() != .done)
        }
    }

    @Test func `a connection that is closed early says so`() throws {
        let pair = try StreamPair(.make([files]), .make())
        #expect(pair.server.pointee.handshake() == .again)
        Syscalls.shutdownWrite(pair.sockets.client)
        #expect(pair.server.pointee.handshake() == .failed)
        #expect(pair.failure(pair.server) == "the connection was closed during the handshake")
    }

    @Test func `a handshake that waits has no pending bytes, and reads nothing twice`() throws {
        let pair = try StreamPair(.make([files]), .make())
        #expect(pair.server.pointee.handshake() == .again)
        #expect(!pair.server.pointee.hasPending)
        #expect(pair.client.pointee.handshake() == .again)
        #expect(!pair.server.pointee.mayRead)
    }
}
