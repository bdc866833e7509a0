import Glibc
import Testing

@testable import Sys

struct ErrnoTests {
    @Test(arguments: [
        (ENOENT, "No such file or directory"), (EACCES, "Permission denied"),
        (EADDRINUSE, "Address already in use"), (ECONNREFUSED, "Connection refused"),
        (99_999, "Unknown error 99999"),
    ])
    func `the text is the system's`(code: Int32, text: String) {
        #expect(Errno(code).description == text)
    }

    @Test
    func `names stand for the numbers of the header`() {
        #expect(Errno.wouldBlock.code == EAGAIN)
        #expect(Errno.inProgress.code == EINPROGRESS)
        #expect(Errno.tooManyOpenFiles.code == EMFILE)
        #expect(Errno.tooManyOpenFilesInSystem.code == ENFILE)
        #expect(Errno.addressInUse.code == EADDRINUSE)
        #expect(Errno.connectionReset.code == ECONNRESET)
        #expect(Errno.brokenPipe.code == EPIPE)
        #expect(Errno.timedOut.code == ETIMEDOUT)
    }

    @Test
    func `a result of 0 or more is a value`() throws {
        #expect(try Errno.check(0) == 0)
        #expect(try Errno.check(7) == 7)
    }

    @Test
    func `a negative result is the error`() {
        #expect(throws: Errno(ENOENT)) { try Errno.check(-Int(ENOENT)) }
        #expect(throws: Errno(1)) { try Errno.check(-1) }
    }
}
