import HTTP
import Sys
import Testing

@testable import Proxy

struct BodyPipeTests {
    private func pipe(_ framing: BodyFraming, _ writing: BodyWriting = .plain) -> BodyPipe {
        var pipe = BodyPipe()
        pipe.reader = BodyReader(framing)
        pipe.writing = writing
        return pipe
    }

    @Test(arguments: [
        (BodyPipe.spliceBytesMin - 1, false), (BodyPipe.spliceBytesMin, true),
        (BodyPipe.spliceBytesMin + 1, true), (.max, true), (1, false),
    ])
    func `a pipe is worth it from a number of bytes on`(count: Int64, isWorth: Bool) {
        #expect(pipe(.length(count)).canSplice == isWorth)
    }

    @Test
    func `the bytes that are left count`() {
        var pipe = pipe(.length(BodyPipe.spliceBytesMin))
        #expect(pipe.canSplice)
        pipe.reader.skip(1)
        #expect(!pipe.canSplice)
    }

    @Test
    func `a pipe in use is used to the end`() throws {
        var pipe = pipe(.length(1))
        #expect(!pipe.canSplice)
        let splice = try SplicePipe()
        pipe.splice = splice
        #expect(pipe.canSplice)
        pipe.reader.skip(1)
        #expect(pipe.canSplice, "what it holds is still to be written")
        splice.close()
    }

    @Test(arguments: [BodyWriting.chunked, .discard])
    func `what is written in another way must be seen`(writing: BodyWriting) {
        #expect(!pipe(.length(.max), writing).canSplice)
    }

    @Test(arguments: [BodyFraming.none, .chunked, .untilClose])
    func `a body whose end must be looked for is seen`(framing: BodyFraming) {
        #expect(!pipe(framing).canSplice)
    }

    @Test
    func `bytes are held between their start and end`() {
        var pipe = BodyPipe()
        #expect(!pipe.hasHeld)
        pipe.heldEnd = 1
        #expect(pipe.hasHeld)
        pipe.heldStart = 1
        #expect(!pipe.hasHeld)
    }
}
