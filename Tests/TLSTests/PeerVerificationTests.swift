import Testing

@testable import TLS

/// Certificates of peers, as an upstream verifies them.
struct PeerVerificationTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates() }

    private func failure(
        _ site: TLSFiles,
        trusting ca: TLSFiles? = nil,
        name: String?,
        _ change: (inout TLSClientSettings) -> Void = { _ in }
    ) throws -> String? {
        let pair = try StreamPair(
            .make([site]),
            .make(trusting: ca ?? site, change),
            name: name
        )
        return pair.handshake().client == .done ? nil : pair.failure(pair.client)
    }

    static let hosts: [(String?, String?)] = [
        ("example.test", nil), ("EXAMPLE.test", nil), ("www.example.test", nil),
        ("under_score.example.test", nil), ("a.b.example.test", "hostname mismatch"),
        ("other.test", "hostname mismatch"), ("site", "hostname mismatch"),
        ("192.0.2.7", nil), ("192.0.2.8", "IP address mismatch"), ("2001:db8::7", nil),
        ("2001:db8::8", "IP address mismatch"),
        ("", "there is no name to verify the peer's certificate by"),
        (nil, "there is no name to verify the peer's certificate by"),
    ]

    @Test(arguments: hosts)
    func `the host of the peer is verified`(name: String?, expected: String?) throws {
        let site = try certificates.make(
            "site",
            names: ["example.test", "*.example.test", "IP:192.0.2.7", "IP:2001:db8::7"]
        )
        #expect(try failure(site, name: name) == expected)
    }

    @Test func `an exact name with a hyphen does not stand for an underscore`() throws {
        let site = try certificates.make("site", names: ["a-b.example.test"])
        #expect(try failure(site, name: "a_b.example.test") == "hostname mismatch")
    }

    @Test func `the settings' names go before the peer's`() throws {
        let site = try certificates.make("site", names: ["example.test"])
        #expect(try failure(site, name: "10.0.0.1") { $0.serverName = "example.test" } == nil)
        #expect(try failure(site, name: "10.0.0.1") { $0.verifyName = "example.test" } == nil)
        #expect(try failure(site, name: nil) { $0.verifyName = "example.test" } == nil)
        #expect(
            try failure(site, name: "example.test") { $0.verifyName = "other.test" }
                == "hostname mismatch"
        )
        #expect(
            try failure(site, name: "example.test") { $0.serverName = "other.test" }
                == "hostname mismatch"
        )
    }

    @Test func `the name that is told and the name that is verified may differ`() throws {
        let pair = try StreamPair(
            .make([certificates.make("first"), certificates.make("second", names: ["two.test"])]),
            .make(trusting: TLSFiles(certificate: certificates.path("second.pem"), key: "")) {
                $0.serverName = "two.test"
                $0.verifyName = "two.test"
            }
        )
        try pair.establish()
        #expect(pair.server.pointee.serverName.map { String(cString: $0) } == "two.test")
    }

    @Test func `an IP address is not told as a name`() throws {
        let site = try certificates.make("site", names: ["IP:192.0.2.7"])
        let pair = try StreamPair(.make([site]), .make(trusting: site), name: "192.0.2.7")
        try pair.establish()
        #expect(pair.server.pointee.serverName == nil)
    }

    @Test func `empty names are refused when the files are loaded`() {
        #expect(throws: TLSFailure(["server_name: is empty", "verify_name: is empty"])) {
            var settings = TLSClientSettings()
            settings.serverName = ""
            settings.verifyName = ""
            _ = try TLSClientContext(settings, protocols: [])
        }
    }

    @Test func `an unknown CA is refused, and the peer is told`() throws {
        let site = try certificates.make("site")
        let other = try certificates.make("other")
        let pair = try StreamPair(.make([site]), .make(trusting: other), name: "example.test")
        #expect(pair.handshake() == (.failed, .failed))
        #expect(pair.failure(pair.client) == "self-signed certificate")
        #expect(pair.failure(pair.server) == "tlsv1 alert unknown ca")
    }

    @Test func `the machine's CAs do not know a certificate of our own`() throws {
        let site = try certificates.make("site")
        var settings = TLSClientSettings()
        settings.serverName = "example.test"
        let pair = try StreamPair(.make([site]), TLSClientContext(settings, protocols: []))
        #expect(pair.handshake().client == .failed)
        #expect(pair.failure(pair.client) == "self-signed certificate")
    }

    @Test func `a chain without its middle is refused`() throws {
        let ca = try certificates.make("ca", names: [])
        let middle = try certificates.make("middle", signedBy: ca, isAuthority: true)
        let leaf = try certificates.make("leaf", names: ["example.test"], signedBy: middle)
        #expect(
            try failure(leaf, trusting: ca, name: "example.test")
                == "unable to get local issuer certificate"
        )
        let chain = try certificates.read("leaf.pem") + certificates.read("middle.pem")
        try certificates.write("leaf.pem", chain)
        #expect(try failure(leaf, trusting: ca, name: "example.test") == nil)
        // A CA that is no root is enough, too.
        #expect(try failure(leaf, trusting: middle, name: "example.test") == nil)
    }

    @Test func `an expired certificate is refused`() throws {
        let site = try certificates.makeExpired("site")
        #expect(try failure(site, name: "example.test") == "certificate has expired")
    }

    @Test func `without verification any certificate passes`() throws {
        let site = try certificates.makeExpired("site")
        #expect(try failure(site, name: "wrong.test") { $0.verify = false } == nil)
        #expect(try failure(site, name: nil) { $0.verify = false } == nil)
    }
}
