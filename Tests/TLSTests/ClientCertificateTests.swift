import Testing

@testable import TLS

/// Certificates of clients, as a listener verifies them.
struct ClientCertificateTests {
    let certificates: Certificates
    let site: TLSFiles
    let ca: TLSFiles

    init() throws {
        certificates = try Certificates()
        site = try certificates.make("site")
        ca = try certificates.make("ca", names: [])
    }

    private func server(
        _ mode: TLSClientAuth.Mode,
        depth: Int = 4,
        version: TLSVersion = .v1_3
    ) throws -> TLSServerContext {
        try .make([site]) {
            $0.clientAuth.mode = mode
            $0.clientAuth.ca = ca.certificate
            $0.clientAuth.depth = depth
            $0.parameters.maxVersion = version
        }
    }

    private func client(_ files: TLSFiles?) throws -> TLSClientContext {
        try .make {
            $0.certificate = files?.certificate
            $0.key = files?.key
        }
    }

    @Test(arguments: [TLSClientAuth.Mode.optional, .required], TLSVersion.allCases)
    func `a good certificate is verified, and its facts are known`(
        mode: TLSClientAuth.Mode,
        version: TLSVersion
    ) throws {
        let files = try certificates.make("alice", signedBy: ca)
        let pair = try StreamPair(server(mode, version: version), client(files))
        try pair.establish()
        #expect(pair.server.pointee.isPeerVerified)
        #expect(pair.text(.subject, of: pair.server) == "O=Sluice Test,CN=alice")
        #expect(pair.text(.issuer, of: pair.server) == "O=Sluice Test,CN=ca")
        let told = try certificates.run([
            "x509", "-in", files.certificate, "-noout", "-serial", "-fingerprint", "-sha256",
        ])
        let lines = told.split(separator: "\n").map { $0.split(separator: "=")[1] }
        #expect(pair.text(.serial, of: pair.server) == lines[0])
        let fingerprint = lines[1].filter { $0 != ":" }.lowercased()
        #expect(pair.text(.sha256, of: pair.server) == fingerprint)
    }

    @Test func `a fact that does not fit is left out, not cut`() throws {
        let pair = try StreamPair(
            server(.required),
            client(certificates.make("alice", signedBy: ca))
        )
        try pair.establish()
        let length = "O=Sluice Test,CN=alice".utf8.count
        var room = [UInt8](repeating: 0, count: 64)
        #expect(pair.server.pointee.write(.subject, to: &room, room: length) == length)
        #expect(pair.server.pointee.write(.subject, to: &room, room: length - 1) == 0)
        #expect(pair.server.pointee.write(.sha256, to: &room, room: 64) == 64)
        #expect(pair.server.pointee.write(.sha256, to: &room, room: 63) == 0)
        #expect(pair.server.pointee.write(.serial, to: &room, room: 1) == 0)
    }

    @Test func `a client without a certificate passes only where it may`() throws {
        let optional = try StreamPair(server(.optional), client(nil))
        try optional.establish()
        #expect(!optional.server.pointee.isPeerVerified)
        #expect(optional.text(.subject, of: optional.server) == "")
        let required = try StreamPair(server(.required), client(nil))
        #expect(required.handshake().server == .failed)
        #expect(required.failure(required.server) == "peer did not return a certificate")
    }

    @Test(arguments: [TLSClientAuth.Mode.optional, .required])
    func `a certificate of another CA is refused`(mode: TLSClientAuth.Mode) throws {
        let pair = try StreamPair(server(mode), client(certificates.make("mallory", names: [])))
        #expect(pair.handshake().server == .failed)
        #expect(pair.failure(pair.server) == "self-signed certificate")
        #expect(pair.drain(pair.client).last == TLSStream.protocolError)
        #expect(pair.failure(pair.client) == "tlsv1 alert unknown ca")
    }

    @Test(arguments: [(0, false), (1, true), (2, true)])
    func `the depth bounds the chain`(depth: Int, passes: Bool) throws {
        let middle = try certificates.make("middle", signedBy: ca, isAuthority: true)
        let leaf = try certificates.make("leaf", signedBy: middle)
        let chain = try certificates.read("leaf.pem") + certificates.read("middle.pem")
        try certificates.write("leaf.pem", chain)
        let pair = try StreamPair(server(.required, depth: depth), client(leaf))
        #expect((pair.handshake().server == .done) == passes)
        if !passes { #expect(pair.failure(pair.server) == "certificate chain too long") }
    }

    @Test func `a session brings the certificate along`() throws {
        let server = try server(.required)
        let client = try client(certificates.make("alice", signedBy: ca))
        let slot = UnsafeMutablePointer<TLSSessionSlot>.allocate(capacity: 1)
        slot.initialize(to: TLSSessionSlot())
        defer {
            slot.pointee.clear()
            slot.deallocate()
        }
        for isSecond in [false, true] {
            let pair = try StreamPair(server, client, session: slot)
            try pair.establish()
            _ = pair.drain(pair.client)
            #expect(pair.server.pointee.isResumed == isSecond)
            #expect(pair.server.pointee.isPeerVerified)
            #expect(pair.text(.subject, of: pair.server) == "O=Sluice Test,CN=alice")
        }
    }
}
