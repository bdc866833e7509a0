import Glibc
import Sys
import Testing

struct DescriptorPassingTests {
    private let (here, there): (SharedDescriptor, SharedDescriptor)

    init() throws { (here, there) = try DescriptorPassing.pair() }

    private func receive(bytesMax: Int = 1_024) throws -> ([UInt8], [SharedDescriptor])? {
        guard
            case .message(let bytes, let descriptors) = try DescriptorPassing.receive(
                there.number,
                bytesMax: bytesMax,
                waits: false
            )
        else { return nil }
        return (bytes, descriptors)
    }

    private func isEnd() throws -> Bool {
        if case .end = try DescriptorPassing.receive(there.number, bytesMax: 8, waits: true) {
            return true
        }
        return false
    }

    private static func openDescriptors() -> Int { File.entries("/proc/self/fd")?.count ?? -1 }

    @Test func `messages keep their bounds`() throws {
        try DescriptorPassing.send(here.number, [1, 2, 3], [], waits: false)
        try DescriptorPassing.send(here.number, [4], [], waits: false)
        #expect(try receive()?.0 == [1, 2, 3])
        #expect(try receive()?.0 == [4])
        #expect(try receive() == nil)
    }

    @Test(arguments: [0, 1, DescriptorPassing.descriptorsMax])
    func `descriptors arrive as copies that close themselves`(count: Int) throws {
        let file = try MemoryFile.holding([7, 8], name: "test")
        let numbers = [Int32](repeating: file.number, count: count)
        try DescriptorPassing.send(here.number, [1], numbers, waits: false)
        let descriptors = try #require(try receive()).1
        #expect(descriptors.count == count)
        #expect(Set(descriptors.map(\.number)).count == count)
        for copy in descriptors {
            #expect(copy.number != file.number)
            #expect(fcntl(copy.number, F_GETFD) & FD_CLOEXEC != 0)
            #expect(try MemoryFile.bytes(of: copy, bytesMax: 2) == [7, 8])
        }
    }

    @Test func `more descriptors than one message carries are refused`() throws {
        let numbers = [Int32](repeating: 0, count: DescriptorPassing.descriptorsMax + 1)
        #expect(throws: Errno(EINVAL)) {
            try DescriptorPassing.send(here.number, [1], numbers, waits: false)
        }
    }

    @Test func `a message that is too long is gone, and so are its descriptors`() throws {
        let file = try MemoryFile.holding([], name: "test")
        try DescriptorPassing.send(here.number, [1, 2, 3], [file.number], waits: false)
        try DescriptorPassing.send(here.number, [4, 5], [], waits: false)
        #expect(throws: Errno(EMSGSIZE)) { try receive(bytesMax: 2) }
        #expect(try receive(bytesMax: 2)?.0 == [4, 5])
    }

    @Test func `a closed end is told`() throws {
        let (one, other) = try DescriptorPassing.pair()
        let kept = other
        let before = Self.openDescriptors()
        #expect(before > 0)
        try DescriptorPassing.send(one.number, [1], [], waits: false)
        shutdown(one.number, Int32(SHUT_RDWR))
        #expect(throws: Errno.self) {
            for _ in 0..<2 { try DescriptorPassing.send(kept.number, [1], [], waits: false) }
        }
        shutdown(here.number, Int32(SHUT_RDWR))
        #expect(try isEnd())
    }

    @Test func `whoever does not read stops nobody`() throws {
        var sent = 0
        #expect(throws: Errno.wouldBlock) {
            while sent < 100_000 {
                try DescriptorPassing.send(
                    here.number,
                    [UInt8](repeating: 1, count: 1_000),
                    [],
                    waits: false
                )
                sent += 1
            }
        }
        #expect(sent > 0)
    }

    @Test func `a file in memory over the bound is refused`() throws {
        let file = try MemoryFile.holding([1, 2, 3], name: "test")
        #expect(try MemoryFile.bytes(of: file, bytesMax: 3) == [1, 2, 3])
        // The second reader finds the same.
        #expect(try MemoryFile.bytes(of: file, bytesMax: 3) == [1, 2, 3])
        #expect(throws: Errno(EFBIG)) { _ = try MemoryFile.bytes(of: file, bytesMax: 2) }
        let zeroes = try MemoryFile.zeroes(5, name: "test")
        #expect(try MemoryFile.bytes(of: zeroes, bytesMax: 5) == [0, 0, 0, 0, 0])
    }
}
