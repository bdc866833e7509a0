import Sys
import Testing

@testable import TLS

struct ResumptionTests {
    let certificates: Certificates
    let files: TLSFiles

    init() throws {
        certificates = try Certificates()
        files = try certificates.make("site", names: ["example.test", "other.test"])
    }

    /// Two connections with one slot: whether the second took up the session of the first.
    private func resumes(
        _ first: TLSServerContext,
        _ second: TLSServerContext? = nil,
        _ client: TLSClientContext? = nil,
        names: (String, String) = ("example.test", "example.test"),
        between: () throws -> Void = {}
    ) throws -> Bool {
        let client = try client ?? .make(trusting: files)
        let slot = UnsafeMutablePointer<TLSSessionSlot>.allocate(capacity: 1)
        slot.initialize(to: TLSSessionSlot())
        defer {
            slot.pointee.clear()
            slot.deallocate()
        }
        for (index, name) in [names.0, names.1].enumerated() {
            let server = index == 0 ? first : second ?? first
            let pair = try StreamPair(server, client, session: slot, name: name)
            try pair.establish()
            _ = pair.drain(pair.client)
            pair.client.pointee.close()
            _ = pair.drain(pair.server)
            if index == 1 {
                #expect(pair.client.pointee.isResumed == pair.server.pointee.isResumed)
                #expect(pair.client.pointee.isPeerVerified == (name == "example.test"))
                return pair.client.pointee.isResumed
            }
            try between()
        }
        return false
    }

    @Test(arguments: TLSVersion.allCases)
    func `a session is taken up, and is as verified as its first connection`(
        version: TLSVersion
    ) throws {
        let server = try TLSServerContext.make([files]) { $0.parameters.maxVersion = version }
        #expect(try resumes(server))
    }

    @Test(arguments: TLSVersion.allCases)
    func `without tickets there are no sessions`(version: TLSVersion) throws {
        let server = try TLSServerContext.make([files]) {
            $0.parameters.maxVersion = version
            $0.tickets = 0
        }
        #expect(try !resumes(server))
    }

    @Test func `an upstream may not resume`() throws {
        let client = try TLSClientContext.make(trusting: files) { $0.resumes = false }
        #expect(try !resumes(.make([files]), nil, client))
    }

    @Test func `a server that does not know the name is resumed with too, by that name`() throws {
        let client = try TLSClientContext.make { $0.verify = false }
        let server = try TLSServerContext.make([files])
        let unknown = "unknown.test"
        #expect(try resumes(server, nil, client, names: (unknown, unknown)))
        #expect(try !resumes(server, nil, client, names: (unknown, "other.test")))
        #expect(try !resumes(server, nil, client, names: (unknown, "elsewhere.test")))
    }

    @Test func `a session of another host is not taken up`() throws {
        #expect(try !resumes(.make([files]), names: ("other.test", "example.test")))
    }

    @Test func `a session is good after a reload, and with a client whose files are the same`()
        throws
    {
        let server = try TLSServerContext.make([files])
        #expect(try resumes(server) { try server.reload() })
    }

    @Test func `a session that other files have verified is not taken up`() throws {
        let client = try TLSClientContext.make(trusting: files)
        #expect(try !resumes(.make([files]), nil, client) { try client.reload() })
    }

    @Test func `a session goes to a listener with the same keys, and to no other`() throws {
        let first = try TLSServerContext.make([files])
        let second = try TLSServerContext.make([files])
        #expect(try !resumes(first, second))
        #expect(second.importTicketKeys(first.exportTicketKeys()))
        #expect(try resumes(first, second))
    }

    @Test func `other rules for clients' certificates end a session`() throws {
        let first = try TLSServerContext.make([files])
        let second = try TLSServerContext.make([files]) {
            $0.clientAuth.mode = .optional
            $0.clientAuth.ca = files.certificate
        }
        #expect(second.importTicketKeys(first.exportTicketKeys()))
        #expect(try !resumes(first, second))
    }

    // MARK: Keys

    private let hour: UInt64 = 3_600

    @Test func `a key is replaced when it is time, and two old ones are kept`() {
        let keys = TicketKeys(rotationSeconds: hour)
        let begin = Clock.wallSeconds()
        let first = keys.exported()
        keys.rotate(now: begin + hour - 2)
        #expect(keys.exported() == first)
        keys.rotate(now: begin + hour + 2)
        let second = keys.exported()
        #expect(second.count == 2 * first.count)
        #expect(Array(second.dropFirst(first.count)) == first)
        keys.rotate(now: begin + 2 * hour + 4)
        #expect(keys.exported().count == 3 * first.count)
        keys.rotate(now: begin + 3 * hour + 6)
        let fourth = keys.exported()
        #expect(fourth.count == 3 * first.count)
        #expect(Array(fourth.suffix(first.count)) == Array(second.prefix(first.count)))
    }

    @Test func `after a long silence no old key is kept`() {
        let keys = TicketKeys(rotationSeconds: hour)
        let first = keys.exported()
        keys.rotate(now: Clock.wallSeconds() + 4 * hour)
        #expect(keys.exported().count == first.count)
        #expect(keys.exported() != first)
    }

    @Test func `a clock that was set back makes a new key`() {
        let keys = TicketKeys(rotationSeconds: hour)
        let first = keys.exported()
        keys.rotate(now: Clock.wallSeconds() - 2 * hour)
        #expect(keys.exported() != first)
    }

    @Test(arguments: [0, 1, 87, 89, 4 * 88])
    func `keys of another form are refused`(count: Int) {
        let keys = TicketKeys(rotationSeconds: hour)
        let before = keys.exported()
        #expect(!keys.take([UInt8](repeating: 1, count: count)))
        #expect(keys.exported() == before)
    }

    @Test func `a ticket of an old key still works`() throws {
        let server = try TLSServerContext.make([files])
        let other = try TLSServerContext.make([files])
        let isResumed = try resumes(server) {
            // The key of now becomes the second one.
            let size = TicketKeys.keyBytes + 8
            let keys = other.exportTicketKeys().prefix(size) + server.exportTicketKeys()
            try #require(server.importTicketKeys(Array(keys)))
        }
        #expect(isResumed)
    }
}
