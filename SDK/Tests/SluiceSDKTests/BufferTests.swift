import SluiceSDK
import SluiceTestKit
import Testing

/// Does with buffers, paths and threads what the target says.
private struct Keeper: RequestHeadersHook {
    static let id: StaticString = "org.sluice.test.keeper"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Keeps buffers."

    let host: Host
    let file: Bytes

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        file = host.path(try configuration.string("file") ?? "a.txt") ?? "none"
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        switch exchange.fields.target {
        case "/path": exchange.edits.set(.from, file)
        case "/thread":
            let isWorker = host.thread == .worker && host.workerIndex == 1
            return isWorker ? .next : .error
        case "/append": return append()
        case "/metrics": return writeMetrics(exchange)
        case "/wrap": return wrap()
        default: return .error
        }
        return .next
    }

    func writeMetrics(_ exchange: borrowing Exchange<Self>) -> Verdict {
        var writer = exchange.writer(capacity: 100)
        do throws(ServiceError) {
            try host.writeMetrics { piece in
                writer.append(piece)
                return true
            }
        } catch {
            return error == .unsupported ? .detach : .error
        }
        guard (try? host.writeMetrics { _ in false }) == nil else { return .error }
        return exchange.respond(status: 200, body: writer.bytes)
    }

    func append() -> Verdict {
        guard var buffer = host.makeBuffer(capacity: 8) else { return .detach }
        guard buffer.append("12345") == 5, buffer.append("67890") == 3, buffer.count == 8 else {
            return .error
        }
        guard let slice = buffer.slice(2..<4), slice.bytes == "34", slice.capacity == 0,
            buffer.slice(6..<9) == nil
        else { return .error }
        let copy = buffer.copy()
        let kept = copy.leak()
        guard let taken = host.adopt(kept), taken.bytes == "12345678" else { return .error }
        return .next
    }

    func wrap() -> Verdict {
        let flag = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        flag.initialize(to: 0)
        defer { flag.deallocate() }
        do {
            let buffer = host.wrap("literal", flag) { context in
                context?.assumingMemoryBound(to: UInt64.self).pointee += 1
            }
            guard let buffer, let part = buffer.slice(0..<3) else { return .error }
            guard part.bytes == "lit", flag.pointee == 0 else { return .error }
        }
        return flag.pointee == 1 ? .next : .error
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
    }
}

struct BufferTests {
    @Test(arguments: ["/append", "/wrap"])
    func `references are given up, each once`(target: String) throws {
        let plugin = try PluginFixture(Keeper.self)
        #expect(plugin.requestHeaders(RequestFixture("GET", target)) == .next)
        #expect(plugin.host.liveBuffers == 0)
    }

    @Test
    func `a budget bounds buffers`() throws {
        let plugin = try PluginFixture(Keeper.self)
        plugin.host.bufferBudget = 8
        #expect(plugin.requestHeaders(RequestFixture("GET", "/append")) == .next)
        plugin.host.bufferBudget = 7
        #expect(plugin.requestHeaders(RequestFixture("GET", "/append")) == .detach)
    }

    @Test(arguments: [
        ("a.txt", "/etc/sluice", "/etc/sluice/a.txt"), ("/x/a", "/etc/sluice", "/x/a"),
        ("a.txt", "", "none"),
    ])
    func `paths begin in the manifest's folder`(file: String, folder: String, path: String) throws {
        let host = FakeHost()
        host.folder = folder
        let plugin = try PluginFixture(Keeper.self, ["file": .string(file)], host: host)
        let request = RequestFixture("GET", "/path")
        plugin.requestHeaders(request)
        #expect(request.request["from"] == path)
    }

    @Test
    func `shows what all have counted`() throws {
        let plugin = try PluginFixture(Keeper.self)
        let request = RequestFixture("GET", "/metrics")
        #expect(plugin.requestHeaders(request) == .respond)
        #expect(request.replyBody == "# HELP sluice_plugin_x X.\nsluice_plugin_x 1\n")
        let without = try PluginFixture(Keeper.self, host: FakeHost(missing: .metrics))
        #expect(without.requestHeaders(RequestFixture("GET", "/metrics")) == .detach)
    }

    @Test
    func `knows its thread where the host says`() throws {
        let plugin = try PluginFixture(Keeper.self, workers: 2)
        #expect(plugin.requestHeaders(RequestFixture("GET", "/thread"), worker: 1) == .next)
        let host = FakeHost(missing: .threadCheck)
        let without = try PluginFixture(Keeper.self, host: host, workers: 2)
        #expect(without.requestHeaders(RequestFixture("GET", "/thread"), worker: 1) == .error)
    }
}
