import Sys
import Testing

/// Certificates that the `openssl` command makes for one test, in a folder that goes with them.
final class Certificates {
    let folder: String

    init() throws {
        folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-tls-")
    }

    deinit {
        for name in File.entries(folder) ?? [] { File.remove(path(name)) }
        File.removeFolder(folder)
    }

    func path(_ name: String) -> String { folder + "/" + name }

    /// Kinds of keys.
    enum Kind {
        case ecdsa
        case rsa

        var arguments: [String] {
            switch self {
            case .ecdsa: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            case .rsa: ["-newkey", "rsa:2048"]
            }
        }
    }

    /// Makes a certificate that signs itself, and its key; also good as a CA.
    ///
    /// - Parameter names: DNS names, or "IP:..." for an address; empty makes none.
    @discardableResult
    func make(
        _ name: String,
        names: [String] = ["example.test"],
        _ kind: Kind = .ecdsa
    ) throws -> TLSFiles {
        let files = TLSFiles(certificate: path(name + ".pem"), key: path(name + ".key"))
        try run(
            ["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=\(name)/O=Sluice Test"]
                + kind.arguments + ["-keyout", files.key, "-out", files.certificate]
                + alternativeNames(names)
        )
        return files
    }

    /// Makes a certificate that signs itself and is good no more.
    @discardableResult
    func makeExpired(_ name: String) throws -> TLSFiles {
        let files = try make(name)
        let request = path(name + ".csr")
        try run([
            "x509", "-x509toreq", "-in", files.certificate, "-signkey", files.key, "-out", request,
            "-copy_extensions", "copyall",
        ])
        try run([
            "x509", "-req", "-in", request, "-signkey", files.key, "-days", "-1",
            "-copy_extensions", "copyall", "-out", files.certificate,
        ])
        return files
    }

    /// Makes a certificate that another one has signed.
    @discardableResult
    func make(
        _ name: String,
        names: [String] = [],
        signedBy ca: TLSFiles,
        _ kind: Kind = .ecdsa,
        isAuthority: Bool = false
    ) throws -> TLSFiles {
        let files = TLSFiles(certificate: path(name + ".pem"), key: path(name + ".key"))
        try run(
            ["req", "-nodes", "-subj", "/CN=\(name)/O=Sluice Test"] + kind.arguments
                + ["-keyout", files.key, "-out", path(name + ".csr")] + alternativeNames(names)
                + (isAuthority ? ["-addext", "basicConstraints=critical,CA:TRUE"] : [])
        )
        try run([
            "x509", "-req", "-in", path(name + ".csr"), "-CA", ca.certificate, "-CAkey", ca.key,
            "-CAcreateserial", "-days", "30", "-copy_extensions", "copyall", "-out",
            files.certificate,
        ])
        return files
    }

    private func alternativeNames(_ names: [String]) -> [String] {
        if names.isEmpty { return [] }
        let list = names.map { $0.hasPrefix("IP:") ? $0 : "DNS:" + $0 }
        return ["-addext", "subjectAltName=" + list.joined(separator: ",")]
    }

    /// Runs the `openssl` command; what it says when it fails is in the failure.
    @discardableResult
    func run(_ arguments: [String]) throws -> String {
        var process = try ChildProcess.start("/usr/bin/openssl", arguments)
        let ending = process.wait()
        let output = process.takeOutput()
        try #require(ending == .exited(0), "openssl \(arguments): \(output)")
        return output
    }

    /// Writes a file; one that is there is replaced.
    func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        File.remove(path(name))
        try File.writeNew(path(name), Array(text.utf8), mode: mode)
    }

    func read(_ name: String) throws -> String {
        String(decoding: try #require(File.read(path(name), bytesMax: 1_048_576)), as: UTF8.self)
    }
}

/// A certificate's file and its key's.
struct TLSFiles {
    var certificate: String
    var key: String
}
