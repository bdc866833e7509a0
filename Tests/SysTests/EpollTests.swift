import CLinux
import Glibc
import Sys
import Testing

struct EpollTests {
    @Test
    func `readiness has the bits of the header`() {
        #expect(Readiness.readable.rawValue == EPOLLIN.rawValue)
        #expect(Readiness.writable.rawValue == EPOLLOUT.rawValue)
        #expect(Readiness.readClosed.rawValue == EPOLLRDHUP.rawValue)
        #expect(Readiness.closed.rawValue == EPOLLHUP.rawValue)
        #expect(Readiness.failed.rawValue == EPOLLERR.rawValue)
    }

    @Test
    func `a wait without events is over after its time`() throws {
        let epoll = try Epoll()
        #expect(epoll.wait(milliseconds: 0) == 0)
    }

    @Test
    func `an event brings its token and what happened`() throws {
        let epoll = try Epoll()
        let first = try Connection(to: loopback())
        let second = try Connection(to: loopback())
        try epoll.add(connection: first.server.number, token: 0xFFFF_FFFF_FFFF_FFFE)
        try epoll.add(connection: second.server.number, token: 2)
        #expect(events(epoll) == [2: .writable, 0xFFFF_FFFF_FFFF_FFFE: .writable])
        #expect(events(epoll) == [:], "edge-triggered: told once")

        #expect(send(second.client.number, [1]) == 1)
        #expect(wait(second.server.number, for: POLLIN))
        #expect(events(epoll) == [2: [.readable, .writable]])

        Syscall.shutdownWrite(first.client.number)
        #expect(wait(first.server.number, for: POLLIN))
        #expect(
            events(epoll) == [0xFFFF_FFFF_FFFF_FFFE: [.readable, .writable, .readClosed]]
        )
    }

    @Test(arguments: [false, true])
    func `input is told until it is taken`(shared: Bool) throws {
        let epoll = try Epoll()
        let wakeup = try Wakeup()
        try epoll.add(input: wakeup.number, token: 7, shared: shared)
        #expect(events(epoll) == [:])
        wakeup.signal()
        wakeup.signal()
        #expect(events(epoll) == [7: .readable])
        #expect(events(epoll) == [7: .readable], "level-triggered: told again")
        wakeup.clear()
        #expect(events(epoll) == [:])
        wakeup.clear()
        wakeup.signal()
        epoll.remove(wakeup.number)
        #expect(events(epoll) == [:])
    }

    @Test
    func `a wait ends when another thread signals`() throws {
        let epoll = try Epoll()
        let wakeup = try Wakeup()
        try epoll.add(input: wakeup.number, token: 1, shared: false)
        let copy = Int32(dup(wakeup.number))
        let thread = PinnedThread.start(name: "signals") {
            var one: UInt64 = 1
            _ = write(copy, &one, 8)
        }
        #expect(epoll.wait(milliseconds: 10_000) == 1)
        thread.join()
        Syscall.close(copy)
    }

    @Test
    func `a descriptor is added once and must be open`() throws {
        let epoll = try Epoll()
        let wakeup = try Wakeup()
        try epoll.add(input: wakeup.number, token: 1, shared: false)
        #expect(
            code { () throws(Errno) in
                try epoll.add(input: wakeup.number, token: 1, shared: false)
            } == EEXIST
        )
        #expect(
            code { () throws(Errno) in
                try epoll.add(connection: -1, token: 1)
            } == EBADF
        )
    }

    private func code(_ body: () throws(Errno) -> Void) -> Int32 {
        do {
            try body()
            return 0
        } catch {
            return error.code
        }
    }

    /// What there is now, by token.
    private func events(_ epoll: borrowing Epoll) -> [UInt64: Readiness] {
        var found: [UInt64: Readiness] = [:]
        for index in 0..<epoll.wait(milliseconds: 0) {
            let event = epoll.event(index)
            found[event.token] = event.readiness
        }
        return found
    }
}
