import Glibc
import SluiceSDK
import Testing

@testable import AccessLog

struct LaneTests {
    private func lane(_ capacity: Int = 128, lineBytes: Int = 32) throws -> Lane {
        try #require(Lane(capacity: capacity, lineBytes: lineBytes))
    }

    private func push(_ text: String, to lane: Lane) -> Bool {
        for (offset, byte) in text.utf8.enumerated() { lane.line[offset] = byte }
        lane.line[text.utf8.count] = 0x0A
        return lane.push(text.utf8.count + 1)
    }

    private func pop(_ lane: Lane) -> String? {
        var room = [UInt8](repeating: 0, count: 32)
        let count = room.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map { lane.pop(to: $0) } ?? 0
        }
        guard count > 0 else { return nil }
        #expect(room[count - 1] == 0x0A)
        return String(decoding: room[..<(count - 1)], as: UTF8.self)
    }

    @Test func `what does not fit is refused, and the rest is as it was`() throws {
        let lane = try lane()
        defer { lane.free() }
        for number in 0..<16 { #expect(push("line \(number % 10)9", to: lane)) }
        #expect(!push("", to: lane))
        #expect(pop(lane) == "line 09")
        #expect(!push("eight ch", to: lane))
        #expect(push("seven c", to: lane))
        for number in 1..<16 { #expect(pop(lane) == "line \(number % 10)9") }
        #expect(pop(lane) == "seven c")
        #expect(pop(lane) == nil)
        #expect(lane.isEmpty)
    }

    @Test func `lines go round the end of the ring`() throws {
        let lane = try lane()
        defer { lane.free() }
        for number in 0..<1_000 {
            let text = String(repeating: "x", count: number % 31)
            #expect(push(text, to: lane))
            if number % 3 == 0 { #expect(push("second", to: lane)) }
            #expect(pop(lane) == text)
            if number % 3 == 0 { #expect(pop(lane) == "second") }
        }
    }

    @Test func `one thread fills it and another one empties it`() async throws {
        let lane = try lane(1_024)
        defer { lane.free() }
        let count = 20_000
        let reader = Task.detached {
            var number = 0
            while number < count {
                guard let line = pop(lane) else {
                    sched_yield()
                    continue
                }
                if line != "\(number)" { return number }
                number += 1
            }
            return number
        }
        for number in 0..<count {
            while !push("\(number)", to: lane) { await Task.yield() }
        }
        #expect(await reader.value == count)
    }
}
