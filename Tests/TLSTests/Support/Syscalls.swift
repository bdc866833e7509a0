import Glibc
import Sys

/// What tests do with bare sockets.
enum Syscalls {
    @discardableResult
    static func send(_ fd: Int32, _ bytes: [UInt8]) -> Int {
        Syscall.send(fd, bytes, bytes.count)
    }

    /// All bytes that are there.
    static func receive(_ fd: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Syscall.receive(fd, &room, room.count)
            if count <= 0 { return bytes }
            bytes += room[..<count]
        }
    }

    static func shutdownWrite(_ fd: Int32) { Syscall.shutdownWrite(fd) }

    /// Bytes that a socket keeps for its reader, at most.
    static func setSendBuffer(_ fd: Int32, _ bytes: Int32) {
        var value = bytes
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// The same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// Changes a file's permissions, whatever the umask is; false when it can't be done.
func setMode(_ path: String, _ mode: UInt32) -> Bool { chmod(path, mode) == 0 }
