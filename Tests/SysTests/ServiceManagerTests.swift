import Glibc
import Sys
import Testing

struct ServiceManagerTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The socket of a service manager.
    private struct Manager: ~Copyable {
        let socket: FileDescriptor

        /// - Parameter name: bytes of the address behind its family.
        init(_ name: [UInt8]) throws {
            socket = FileDescriptor(owning: Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
            let length = socklen_t(2 + name.count)
            let bound = withUnsafeBytes(of: &address) { bytes in
                bind(
                    socket.number,
                    bytes.assumingMemoryBound(to: sockaddr.self).baseAddress,
                    length
                )
            }
            try #require(bound == 0, "errno \(errno)")
        }

        func next() -> String {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = recv(socket.number, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? "nothing" : String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    @Test
    func `a message is one datagram of lines`() throws {
        let path = folder.path + "/notify"
        let manager = try Manager(Array(path.utf8))
        defer { unlink(path) }
        let service = try #require(ServiceManager(address: path))
        #expect(service.tell(.ready, .mainProcess(17), .status("2 workers")))
        #expect(manager.next() == "READY=1\nMAINPID=17\nSTATUS=2 workers")
        #expect(service.tell(.reloading(monotonicNanoseconds: 1_234_567_999)))
        #expect(manager.next() == "RELOADING=1\nMONOTONIC_USEC=1234567")
        #expect(service.tell(.stopping))
        #expect(manager.next() == "STOPPING=1")
        #expect(service.tell(.alive))
        #expect(manager.next() == "WATCHDOG=1")
        #expect(manager.next() == "nothing")
    }

    @Test
    func `a status stays one line`() throws {
        let path = folder.path + "/notify"
        let manager = try Manager(Array(path.utf8))
        defer { unlink(path) }
        let service = try #require(ServiceManager(address: path))
        #expect(service.tell(.status("a\nREADY=1\r\nb\0c")))
        #expect(manager.next() == "STATUS=a READY=1 b c")
    }

    @Test
    func `an abstract name is reached`() throws {
        let name = "sluice-tests-\(Process.id)-\(Process.randomWord())"
        let manager = try Manager([0] + Array(name.utf8))
        #expect(try #require(ServiceManager(address: "@" + name)).tell(.ready))
        #expect(manager.next() == "READY=1")
    }

    @Test
    func `a service manager that is gone, or does not read, stops nothing`() throws {
        let path = folder.path + "/notify"
        let service = try #require(ServiceManager(address: path))
        #expect(!service.tell(.ready))
        let manager = try Manager(Array(path.utf8))
        defer { unlink(path) }
        var sent = 0
        while service.tell(.alive), sent < 100_000 { sent += 1 }
        // `net.unix.max_dgram_qlen` is about ten.
        #expect(sent > 0 && sent < 100_000)
        #expect(manager.next() == "WATCHDOG=1")
    }

    @Test(arguments: [
        "", "/", "@", "relative/path", "vsock:2:1234", "/a\0b",
        "/" + String(repeating: "p", count: 107),
    ])
    func `what is no address is refused`(address: String) {
        #expect(ServiceManager(address: address) == nil)
    }

    @Test
    func `the longest address is taken`() {
        #expect(ServiceManager(address: "/" + String(repeating: "p", count: 106)) != nil)
    }
}

struct ServiceEnvironmentTests {
    private func read(_ values: [String: String]) -> ServiceEnvironment {
        ServiceEnvironment(values, process: 42)
    }

    @Test
    func `no variables, no service manager`() {
        let none = read([:])
        #expect(none.manager == nil)
        #expect(none.socketCount == 0)
        #expect(none.problems.isEmpty)
    }

    @Test
    func `signs of life come twice in the time of the watchdog`() {
        let values = ["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "3000000"]
        #expect(read(values).manager?.aliveNanoseconds == 1_500_000_000)
        let ours = values.merging(["WATCHDOG_PID": "42"]) { $1 }
        #expect(read(ours).manager?.aliveNanoseconds == 1_500_000_000)
        let others = values.merging(["WATCHDOG_PID": "43"]) { $1 }
        #expect(read(others).manager?.aliveNanoseconds == nil)
        #expect(read(others).manager != nil)
    }

    @Test(arguments: ["", "0", "-1", "1s", "18446744073709551615"])
    func `a wrong time of the watchdog is said`(text: String) {
        let environment = read(["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": text])
        #expect(environment.manager?.aliveNanoseconds == nil)
        #expect(environment.problems == ["WATCHDOG_USEC: \(text) is no time in microseconds"])
    }

    @Test
    func `a wrong address is said`() {
        let environment = read(["NOTIFY_SOCKET": "vsock:2:1"])
        #expect(environment.manager == nil)
        #expect(
            environment.problems == [
                "NOTIFY_SOCKET: vsock:2:1 is neither a path nor an abstract name (@...)"
            ]
        )
    }

    @Test
    func `descriptors for this process are counted`() {
        let environment = read([
            "LISTEN_FDS": "2", "LISTEN_PID": "42", "LISTEN_FDNAMES": "web:",
        ])
        #expect(environment.socketCount == 2)
        #expect(environment.socketNames == ["web", ""])
        #expect(read(["LISTEN_FDS": "2", "LISTEN_PID": "43"]).socketCount == 0)
        #expect(read(["LISTEN_FDS": "2"]).socketCount == 0)
        let short = read(["LISTEN_FDS": "2", "LISTEN_PID": "42", "LISTEN_FDNAMES": "web"])
        #expect(short.socketNames.isEmpty && short.socketCount == 2)
    }

    @Test
    func `the number of descriptors has a bound`() {
        #expect(read(["LISTEN_FDS": "4096", "LISTEN_PID": "42"]).socketCount == 4_096)
        for text in ["4097", "-1", "x", ""] {
            let environment = read(["LISTEN_FDS": text, "LISTEN_PID": "42"])
            #expect(environment.socketCount == 0)
            #expect(environment.problems == ["LISTEN_FDS: \(text) is no number from 0 to 4096"])
        }
    }
}
