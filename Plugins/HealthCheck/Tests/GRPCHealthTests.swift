import HealthCheck
import SluiceSDK
import Testing

struct GRPCHealthTests {
    private func complaint(_ status: StaticString?, _ body: [UInt8]) -> String? {
        body.withUnsafeBufferPointer { body in
            let bytes = body.baseAddress.map { Bytes($0, count: body.count) } ?? .empty
            return GRPCHealth.complaint(status: status.map { Bytes($0) }, body: bytes)
        }
    }

    @Test func `frames a request`() {
        #expect(GRPCHealth.request("") == [0, 0, 0, 0, 0])
        #expect(
            GRPCHealth.request("a.B") == [0, 0, 0, 0, 5, 0x0A, 3] + Array("a.B".utf8)
        )
    }

    @Test(arguments: [127, 128, 256])
    func `frames a long name`(count: Int) {
        let name = [UInt8](repeating: 0x61, count: count)
        let frame = name.withUnsafeBufferPointer { name in
            GRPCHealth.request(Bytes(name.baseAddress.unsafelyUnwrapped, count: name.count))
        }
        let prefix: [UInt8] =
            count < 128 ? [UInt8(count)] : [UInt8(count & 0x7F) | 0x80, UInt8(count >> 7)]
        let length = 1 + prefix.count + count
        #expect(frame == [0, 0, 0, UInt8(length >> 8), UInt8(length & 0xFF), 0x0A] + prefix + name)
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0, 2, 8, 1], nil),
            ([0, 0, 0, 0, 2, 8, 2], "the service says NOT_SERVING"),
            ([0, 0, 0, 0, 2, 8, 3], "the service says SERVICE_UNKNOWN"),
            ([0, 0, 0, 0, 0], "the service says UNKNOWN"),
            ([0, 0, 0, 0, 3, 8, 0x81, 0x01], "the service says status 129"),
            // Other fields are passed over.
            ([0, 0, 0, 0, 6, 0x12, 2, 9, 9, 8, 1], nil),
            ([0, 0, 0, 0, 7, 0x1D, 1, 2, 3, 4, 8, 1], nil),
            ([], "no health answer"),
            ([0, 0, 0, 0], "no health answer"),
            ([1, 0, 0, 0, 2, 8, 1], "no health answer"),
            ([0, 0, 0, 0, 3, 8, 1], "no health answer"),
            ([0, 0, 0, 0, 1, 8], "no health answer"),
            ([0, 0, 0, 0, 2, 0x12, 9], "no health answer"),
            ([0, 0, 0, 0, 2, 8, 0x80], "no health answer"),
            ([0, 255, 255, 255, 255, 8, 1], "no health answer"),
        ] as [([UInt8], String?)]
    )
    func `reads an answer`(body: [UInt8], expected: String?) {
        #expect(complaint("0", body) == expected)
    }

    @Test func `the status counts before the message`() {
        #expect(complaint(nil, [0, 0, 0, 0, 2, 8, 1]) == "no grpc-status came")
        #expect(complaint("14", [0, 0, 0, 0, 2, 8, 1]) == "grpc-status 14")
    }
}
