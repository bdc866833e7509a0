import Testing

@testable import TLS

struct CertificateChoiceTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates() }

    /// The subject's common name of the certificate that a client gets.
    private func subject(
        _ context: TLSServerContext,
        _ name: String?,
        _ change: (inout TLSClientSettings) -> Void = { _ in }
    ) throws -> String {
        let pair = try StreamPair(context, .make(trusting: nil, change), name: name)
        try pair.establish()
        return pair.text(.subject, of: pair.client)
    }

    @Test(arguments: [
        ("one.test", "first"), ("ONE.test", "first"), ("www.one.test", "wild"),
        ("exact.one.test", "exact"), ("a.b.one.test", "first"), ("two.test", "wild"),
        ("unknown.test", "first"), (nil, "first"), ("127.0.0.1", "first"), (".one.test", "first"),
    ])
    func `a host gets its certificate, exact names before wildcards`(
        name: String?,
        expected: String
    ) throws {
        let context = try TLSServerContext.make([
            certificates.make("first", names: ["one.test"]),
            certificates.make("wild", names: ["*.one.test", "two.test"]),
            certificates.make("exact", names: ["exact.one.test", "two.test"]),
        ])
        #expect(try subject(context, name) == "O=Sluice Test,CN=" + expected)
    }

    @Test(arguments: TLSVersion.allCases)
    func `kinds of keys serve one name side by side`(version: TLSVersion) throws {
        let context = try TLSServerContext.make([
            certificates.make("rsa", names: ["a.test", "b.test"], .rsa),
            certificates.make("ecdsa", names: ["b.test"], .ecdsa),
        ]) { $0.parameters.maxVersion = version }
        #expect(try subject(context, "a.test") == "O=Sluice Test,CN=rsa")
        #expect(try subject(context, "b.test") == "O=Sluice Test,CN=ecdsa")
        guard version == .v1_2 else { return }
        let old = try subject(context, "b.test") {
            $0.parameters.maxVersion = .v1_2
            $0.parameters.ciphers = ["ECDHE-RSA-AES128-GCM-SHA256"]
        }
        #expect(old == "O=Sluice Test,CN=rsa")
    }

    @Test func `a certificate that no host gets is told`() throws {
        let context = try TLSServerContext.make([
            certificates.make("first"), certificates.make("again"),
            certificates.make("nameless", names: []),
        ])
        #expect(
            context.warnings == [
                "\(certificates.path("again.pem")): never used: earlier certificates have all its"
                    + " names",
                "\(certificates.path("nameless.pem")): never used: it has no DNS name"
                    + " (subjectAltName)",
            ]
        )
    }

    // MARK: Replacing

    @Test func `new connections get new certificates, standing ones go on`() throws {
        let files = try certificates.make("old")
        let context = try TLSServerContext.make([files])
        let standing = try StreamPair(context, .make())
        let halfway = try StreamPair(context, .make(), name: "example.test")
        #expect(halfway.client.pointee.handshake() == .again)
        try standing.establish()
        #expect(try context.reloadIfChanged() == nil)
        let new = try certificates.make("new")
        try certificates.write("old.key", certificates.read("new.key"))
        try certificates.write("old.pem", certificates.read("new.pem"))
        _ = new
        #expect(try context.reloadIfChanged() == [])
        #expect(try context.reloadIfChanged() == nil)
        #expect(try subject(context, nil) == "O=Sluice Test,CN=new")
        standing.send([1, 2], from: standing.client)
        #expect(standing.drain(standing.server).bytes == [1, 2])
        try halfway.establish()
        #expect(halfway.text(.subject, of: halfway.client) == "O=Sluice Test,CN=old")
    }

    @Test func `bad files change nothing, and are read again when they change`() throws {
        let files = try certificates.make("site")
        let context = try TLSServerContext.make([files])
        let good = try certificates.read("site.pem")
        try certificates.write("site.pem", "nothing")
        #expect(
            throws: TLSFailure([
                "\(files.certificate): has no certificate in PEM form"
                    + " (-----BEGIN CERTIFICATE-----)"
            ])
        ) { try context.reloadIfChanged() }
        #expect(try context.reloadIfChanged() == nil)
        #expect(try subject(context, nil) == "O=Sluice Test,CN=site")
        try certificates.write("site.pem", good)
        #expect(try context.reloadIfChanged() == [])
    }
}

extension StreamPair {
    /// A fact of the certificate that the other side of a stream has shown.
    func text(
        _ text: TLSStream.CertificateText,
        of stream: UnsafeMutablePointer<TLSStream>
    ) -> String {
        var room = [UInt8](repeating: 0, count: 512)
        let count = stream.pointee.write(text, to: &room, room: room.count)
        return String(decoding: room[..<count], as: UTF8.self)
    }
}
