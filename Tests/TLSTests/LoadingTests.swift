import Sys
import Testing

@testable import TLS

/// What is wrong with files, and how it is told.
struct LoadingTests {
    let certificates: Certificates
    let site: TLSFiles

    init() throws {
        certificates = try Certificates()
        site = try certificates.make("site")
    }

    /// The problems, with the folder left out.
    private func problems(
        _ certificate: String = "site.pem",
        _ key: String = "site.key",
        ocsp: String? = nil,
        protocols: [TLSProtocol] = [.h1],
        _ change: (inout TLSServerSettings) -> Void = { _ in }
    ) -> [String] {
        var settings = TLSServerSettings()
        settings.certificates = [
            .init(
                certificate: certificates.path(certificate),
                key: certificates.path(key),
                ocsp: ocsp.map(certificates.path)
            )
        ]
        change(&settings)
        do throws(TLSFailure) {
            let context = try TLSServerContext(settings, protocols: protocols)
            return context.warnings.map { "warning: " + short($0) }
        } catch {
            return error.lines.map(short)
        }
    }

    private func short(_ line: String) -> String {
        var line = line
        let folder = certificates.folder + "/"
        while let found = line.firstRange(of: folder) { line.removeSubrange(found) }
        return line
    }

    @Test func `good files have no problems`() {
        #expect(problems() == [])
    }

    @Test func `all files are told at once`() {
        #expect(
            problems("none.pem", "none.key")
                == ["none.pem: No such file or directory", "none.key: No such file or directory"]
        )
        #expect(problems("", "site.key") == [": is not a file"])
    }

    @Test func `files of another form are told`() throws {
        try certificates.write("text.pem", "hello")
        try certificates.write("cut.pem", String(certificates.read("site.pem").prefix(200)))
        let body = try certificates.read("site.pem").split(separator: "\n")
        let broken = (body.prefix(2) + ["AAAA"] + body.suffix(1)).joined(separator: "\n")
        try certificates.write("broken.pem", broken + "\n")
        #expect(
            problems("text.pem", "text.pem") == [
                "text.pem: has no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
                "text.pem: has no key in PEM form (-----BEGIN PRIVATE KEY-----)",
            ]
        )
        #expect(
            problems("cut.pem").first?.hasPrefix("cut.pem: certificate 1 can't be read: ") == true
        )
        #expect(
            problems("broken.pem").first?.hasPrefix("broken.pem: certificate 1 can't be read: ")
                == true
        )
    }

    @Test func `a key of another certificate is told`() throws {
        try certificates.make("other")
        #expect(
            problems("site.pem", "other.key")
                == ["other.key: the key does not belong to the first certificate of site.pem"]
        )
    }

    @Test func `a key with a pass phrase is told`() throws {
        try certificates.run([
            "pkey", "-in", site.key, "-aes256", "-passout", "pass:x", "-out",
            certificates.path("locked.key"),
        ])
        #expect(
            problems("site.pem", "locked.key") == [
                "locked.key: the key has a pass phrase; take it off with: openssl pkey -in FILE"
                    + " -out NEW"
            ]
        )
    }

    static let modes: [(UInt32, [String])] = [
        (0o600, []), (0o640, []),
        (0o644, ["warning: open.key: everybody on this machine may read this key; chmod 600 it"]),
        (0o602, ["open.key: everybody may write this key; chmod 600 it"]),
    ]

    @Test(arguments: modes)
    func `a key that others may touch is told`(mode: UInt32, expected: [String]) throws {
        try certificates.write("open.key", certificates.read("site.key"), mode: 0o600)
        try #require(setMode(certificates.path("open.key"), mode))
        #expect(problems("site.pem", "open.key") == expected)
    }

    @Test func `an expired certificate is a warning`() throws {
        try certificates.makeExpired("late")
        #expect(
            problems("late.pem", "late.key") == ["warning: late.pem: the certificate has expired"]
        )
    }

    @Test func `a chain in another order is a warning`() throws {
        try certificates.make("other")
        let pem = try certificates.read("site.pem") + certificates.read("other.pem")
        try certificates.write("chain.pem", pem)
        #expect(
            problems("chain.pem") == [
                "warning: chain.pem: certificate 2 is not the issuer of certificate 1; clients may"
                    + " not find the chain"
            ]
        )
    }

    @Test func `a file over its bound is told`() throws {
        let pem = try certificates.read("site.pem")
        let room = PEMFile.chainBytesMax - pem.utf8.count
        try certificates.write("full.pem", pem + String(repeating: "\n", count: room))
        #expect(problems("full.pem") == [])
        try certificates.write("over.pem", pem + String(repeating: "\n", count: room + 1))
        #expect(problems("over.pem") == ["over.pem: is larger than 131072 bytes"])
    }

    @Test func `a weak key is told`() throws {
        try certificates.run([
            "req", "-x509", "-nodes", "-newkey", "rsa:1024", "-subj", "/CN=weak", "-keyout",
            certificates.path("weak.key"), "-out", certificates.path("weak.pem"),
        ])
        #expect(
            problems("weak.pem", "weak.key")
                == ["weak.pem: the certificate can't be used: ee key too small"]
        )
    }

    // MARK: Algorithms

    @Test func `names that OpenSSL does not know are told`() {
        let found = problems {
            $0.parameters.ciphers = ["ECDHE-ECDSA-AES128-GCM-SHA256", "NONE"]
            $0.parameters.cipherSuites = ["TLS_X"]
            $0.parameters.groups = ["X25519", "X1"]
        }
        #expect(
            found == [
                "ciphers: \"NONE\" is not a suite of TLS 1.2 that OpenSSL knows",
                "cipher_suites: \"TLS_X\" is not a suite of TLS 1.3",
                "groups: \"X1\" is not a group that OpenSSL knows",
            ]
        )
    }

    @Test func `a set of suites is not the name of one`() {
        #expect(
            problems { $0.parameters.ciphers = ["HIGH"] }
                == ["ciphers: \"HIGH\" is not a suite of TLS 1.2 that OpenSSL knows"]
        )
    }

    @Test func `a name that occurs twice is told`() {
        #expect(
            problems { $0.parameters.groups = ["X25519", "X25519"] }
                == ["groups: a name occurs twice"]
        )
    }

    @Test func `suites that HTTP/2 forbids are refused with it`() {
        let weak = ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"]
        #expect(problems(protocols: [.h1]) { $0.parameters.ciphers = weak } == [])
        #expect(
            problems(protocols: [.h2, .h1]) { $0.parameters.ciphers = weak }
                == weak.map { "ciphers: \($0) must not be used with \"h2\" (RFC 9113 §9.2.2)" }
        )
        #expect(problems(protocols: [.h2, .h1]) == [])
    }

    @Test func `the defaults are known to OpenSSL one by one`() {
        let found = problems {
            $0.parameters.ciphers = TLSParameters.defaultCiphers
            $0.parameters.cipherSuites = TLSParameters.defaultCipherSuites
            $0.parameters.groups = TLSParameters.defaultGroups
        }
        #expect(found == [])
    }

    @Test(arguments: [(0, false), (1, true), (1_024, true), (1_025, false)])
    func `the number of certificates is bounded`(count: Int, isGood: Bool) {
        let found = problems { settings in
            let one = settings.certificates[0]
            settings.certificates = Array(repeating: one, count: count)
        }
        #expect(found.contains("certificates: 1 to 1024 are possible") != isGood)
    }

    // MARK: Other files

    @Test func `a key log is for its owner only`() throws {
        let path = certificates.path("keys.log")
        #expect(
            problems { $0.keyLog = path }
                == [
                    "warning: keys.log: secrets of all connections are written here; for"
                        + " debugging only"
                ]
        )
        #expect(FileVersion(path)?.mode == 0o100_600)
        try #require(setMode(path, 0o640))
        #expect(
            problems { $0.keyLog = path } == [
                "keys.log: others may read or write the key log; chmod 600 it"
            ]
        )
    }

    @Test func `secrets go to the key log, and nowhere without one`() throws {
        let path = certificates.path("keys.log")
        let pair = try StreamPair(.make([site]) { $0.keyLog = path }, .make())
        try pair.establish()
        let lines = try certificates.read("keys.log").split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("SERVER_TRAFFIC_SECRET_0 ") })
        #expect(lines.allSatisfy { $0.split(separator: " ").count == 3 })
    }

    @Test func `an OCSP response of another form, or of another certificate, is told`() throws {
        try certificates.write("text.der", "hello")
        #expect(problems(ocsp: "text.der") == ["text.der: is not an OCSP response in DER form"])
        #expect(problems(ocsp: "none.der") == ["none.der: No such file or directory"])
    }

    @Test func `an OCSP response is stapled until it is out of date`() {
        let staple = Staple([1], secondsLeft: 60, now: 1_000)
        #expect(staple.der(at: 1_059) == [1])
        #expect(staple.der(at: 1_060) == nil)
        #expect(Staple([1], secondsLeft: -1, now: 1_000).der(at: 1_000) == nil)
        #expect(Staple([1], secondsLeft: .max, now: 1_000).der(at: 1 << 40) != nil)
    }

    @Test func `CAs of clients must be there`() {
        #expect(
            problems { $0.clientAuth.mode = .required } == ["client_auth: needs a file of CAs (ca)"]
        )
        #expect(
            problems {
                $0.clientAuth.mode = .required
                $0.clientAuth.ca = certificates.path("none.pem")
            } == ["none.pem: No such file or directory"]
        )
    }
}
