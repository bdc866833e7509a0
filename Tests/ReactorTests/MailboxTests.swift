import Glibc
import Reactor
import Sys
import Testing

struct MailboxTests {
    private func isReadable(_ fd: Int32, milliseconds: Int32 = 0) -> Bool {
        var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) == 1
    }

    @Test
    func `messages come in order, all at once`() throws {
        let mailbox = try Mailbox<Int>()
        #expect(mailbox.take() == [])
        for number in 1...3 { mailbox.post(number) }
        #expect(mailbox.take() == [1, 2, 3])
        #expect(mailbox.take() == [])
        mailbox.post(4)
        #expect(mailbox.take() == [4])
    }

    @Test
    func `the descriptor is readable while there are messages`() throws {
        let mailbox = try Mailbox<Int>()
        #expect(!isReadable(mailbox.descriptor))
        mailbox.post(1)
        mailbox.post(2)
        #expect(isReadable(mailbox.descriptor))
        #expect(mailbox.take().count == 2)
        #expect(!isReadable(mailbox.descriptor))
    }

    @Test
    func `a closed mailbox gives what it has, and takes no more`() throws {
        let mailbox = try Mailbox<Int>()
        #expect(mailbox.post(1))
        #expect(mailbox.close() == [1])
        #expect(!mailbox.post(2))
        #expect(mailbox.take() == [])
        #expect(mailbox.close() == [])
        #expect(!isReadable(mailbox.descriptor))
    }

    @Test
    func `nothing is lost when many threads post`() throws {
        let mailbox = try Mailbox<(sender: Int, number: Int)>()
        let threads = (0..<4).map { sender in
            PinnedThread.start(name: "sender-\(sender)") {
                for number in 0..<2_000 { mailbox.post((sender, number)) }
            }
        }
        var next = [0, 0, 0, 0]
        var count = 0
        while count < 8_000 {
            try #require(isReadable(mailbox.descriptor, milliseconds: 10_000))
            for message in mailbox.take() {
                #expect(message.number == next[message.sender])
                next[message.sender] += 1
                count += 1
            }
        }
        for thread in threads { thread.join() }
        #expect(mailbox.take().isEmpty)
    }
}
