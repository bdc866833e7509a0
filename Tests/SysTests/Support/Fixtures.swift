import Glibc
import Sys

/// A folder that goes away with all files in it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = try File.makeTemporaryFolder(prefix: "/tmp/sluice-sys-tests-")
    }

    deinit {
        for name in File.entries(path) ?? [] { File.remove(path + "/" + name) }
        File.removeFolder(path)
    }
}

/// Waits until a descriptor has the wanted readiness; false after ten seconds.
func wait(_ fd: Int32, for events: Int32) -> Bool {
    var entry = pollfd(fd: fd, events: Int16(events), revents: 0)
    return poll(&entry, 1, 10_000) == 1
}

/// What sending the bytes with one call returned.
func send(_ fd: Int32, _ bytes: [UInt8]) -> Int {
    Syscall.send(fd, bytes, bytes.count)
}

/// Reads up to `count` bytes that are there or come within ten seconds.
func receive(_ fd: Int32, _ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: count)
    while bytes.count < count {
        let got = Syscall.receive(fd, &block, count - bytes.count)
        if got == Syscall.wouldBlock, wait(fd, for: POLLIN) { continue }
        if got <= 0 { break }
        bytes += block[..<got]
    }
    return bytes
}

/// Bytes of the mode of a file that `chmod` sets.
func mode(of path: String) -> UInt32 {
    var status = stat()
    guard lstat(path, &status) == 0 else { return 0 }
    return status.st_mode & 0o7777
}

/// Two ends of a connection over loopback.
struct Connection: ~Copyable {
    let client: FileDescriptor
    let server: FileDescriptor
    let peer: SocketAddress

    init(to address: SocketAddress) throws {
        let listener = try Socket.listen(address, Socket.ListenOptions())
        try self.init(listener: listener.number)
    }

    init(listener: Int32) throws {
        let begun = try Socket.connect(try Socket.localAddress(listener))
        client = FileDescriptor(owning: begun.descriptor)
        precondition(wait(listener, for: POLLIN), "nobody connects")
        var peer = SocketAddress()
        server = FileDescriptor(owning: Int32(Socket.accept(listener, from: &peer)))
        self.peer = peer
    }
}

/// A loopback address with a port that the kernel chooses.
func loopback() throws -> SocketAddress {
    guard let address = SocketAddress(numericHost: "127.0.0.1", port: 0) else {
        throw Errno(EINVAL)
    }
    return address
}

/// Whether this machine has an IPv6 loopback.
let hasIPv6: Bool = {
    guard let address = SocketAddress(numericHost: "::1", port: 0) else { return false }
    do {
        return try Socket.listen(address, Socket.ListenOptions()).number >= 0
    } catch {
        return false
    }
}()
