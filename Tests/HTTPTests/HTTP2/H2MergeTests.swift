import HTTP
import Testing

private typealias B = H2Bytes

/// Content that joins the frame before it, as long as nobody has seen that one.
struct H2MergeTests {
    private func server(_ limits: H2Limits = H2Limits()) -> H2Endpoint {
        let server = H2Endpoint.ready(.server, limits: limits)
        server.receive(B.headers(1) + B.headers(3))
        server.sendHeaders(1)
        server.sendHeaders(3)
        _ = server.takeFrames()
        return server
    }

    @Test func `parts of one turn are one frame, with their bytes in order`() {
        let server = server()
        server.sendData(1, [1, 2, 3])
        server.sendData(1, [4])
        server.sendData(1, [5, 6], end: true)
        #expect(server.takeOutput() == [0, 0, 6, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6])
    }

    @Test func `an end without content joins as well`() {
        let server = server()
        server.sendData(1, count: 5)
        server.sendData(1, count: 0, end: true)
        #expect(server.takeFrames() == ["DATA 1 5 END"])
    }

    @Test func `other frames stand between`() {
        let server = server()
        server.sendData(1, count: 5)
        server.sendData(3, count: 5)
        server.sendData(1, count: 5)
        server.receive(B.ping())
        server.sendData(1, count: 5)
        server.sendHeaders(3, "t", end: true)
        server.sendData(1, count: 5)
        server.connection.resetStream(3, .cancel)
        server.sendData(1, count: 5)
        #expect(
            server.takeFrames() == [
                "DATA 1 5", "DATA 3 5", "DATA 1 5", "PING 7 ACK", "DATA 1 5", "HEADERS 3 1 END",
                "DATA 1 5", "RST_STREAM 3 8", "DATA 1 5",
            ]
        )
    }

    @Test func `a frame has as many bytes as the peer allows`() {
        let server = server()
        server.sendData(1, count: 16_000)
        server.sendData(1, count: 384)
        server.sendData(1, count: 1)
        #expect(server.takeFrames() == ["DATA 1 16384", "DATA 1 1"])
    }

    @Test func `the bound of the output is kept`() {
        var limits = H2Limits()
        limits.outputBytesMax = 16_384
        let server = server(limits)
        #expect(server.sendData(1, count: 8_000) == 8_000)
        #expect(server.sendData(1, count: 8_000) == 8_000)
        // 375 bytes are left, less than a frame is begun for.
        #expect(server.sendData(1, count: 1_000) == 0)
        #expect(server.sendData(1, count: 375) == 375)
        #expect(server.outputCount == 16_384)
        #expect(server.takeFrames() == ["DATA 1 16375"])
    }

    @Test func `what the writer has seen stays as it is`() {
        let server = server()
        server.sendData(1, count: 5)
        server.connection.sealOutput()
        server.sendData(1, count: 6)
        server.sendData(1, count: 7)
        #expect(server.takeFrames() == ["DATA 1 5", "DATA 1 13"])
    }

    @Test(arguments: 1...13) func `what was taken in part stays as it is`(taken: Int) {
        let server = server()
        server.sendData(1, [1, 2, 3, 4])
        server.connection.consumeOutput(taken)
        server.sendData(1, [5, 6])
        let first: [UInt8] = [0, 0, 4, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]
        let second: [UInt8] = [0, 0, 2, 0, 0, 0, 0, 0, 1, 5, 6]
        #expect(server.takeOutput() == first.dropFirst(taken) + second)
    }

    @Test func `windows count the bytes`() {
        let server = server()
        for _ in 0..<65 {
            #expect(server.sendData(1, count: 1_000) == 1_000)
            _ = server.takeOutput()
        }
        #expect(server.sendData(1, count: 300) == 300)
        #expect(server.sendData(1, count: 300, end: true) == 235)
        #expect(server.takeFrames() == ["DATA 1 535"])
        #expect(server.isOpen(1))
    }

    /// A peer that opens both windows by each frame it reads, and a sender whose parts and windows
    /// end at different places: the frames must not get shorter from window to window.
    @Test func `frames stay long where parts and windows do not fit each other`() {
        let server = server()
        var frames = 0
        for turn in 0..<400 {
            var part = 1_000
            while server.sendData(1, count: part) == part { part = 1_000 }
            let sizes = server.takeFrames().compactMap { Int($0.split(separator: " ")[2]) }
            frames += sizes.count
            for size in sizes.map(UInt32.init) {
                server.receive(B.window(0, size) + B.window(1, size))
            }
            #expect(server.failure == nil, "turn \(turn)")
            guard server.failure == nil else { return }
        }
        #expect(frames < 400 * 6)
    }
}
