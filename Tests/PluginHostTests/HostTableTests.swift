import CSluice
import Sys
import Testing

@testable import PluginHost

struct HostTableTests {
    @Test
    func `the host says what it is`() {
        let hello = HostTable.hello.pointee
        #expect(hello.size == UInt32(MemoryLayout<sluice_host_hello>.size))
        #expect(hello.abi_minor == SLUICE_ABI_MINOR)
        #expect(hello.host_name.text == "sluice")
        #expect(hello.host_version.text.split(separator: ".").count == 3)
    }

    private static func table(_ id: String) -> UnsafeRawPointer? {
        id.withCString { HostTable.hello.pointee.get_extension($0) }
    }

    @Test(arguments: [
        "sluice.core/1", "sluice.http/1", "sluice.shared/1", "sluice.waitset/1",
        "sluice.http_client/1", "sluice.metrics/1", "sluice.peers/1",
        "sluice.thread_check/1",
    ])
    func `a table is found by its whole id, and is always the same`(id: String) throws {
        let table = try #require(Self.table(id))
        #expect(Self.table(id) == table)
        #expect(HostTable.ids.contains(id))
        #expect(Self.table(String(id.dropLast())) == nil)
        #expect(Self.table(id + "0") == nil)
        #expect(Self.table(" " + id) == nil)
    }

    @Test(arguments: ["", "sluice.core/2", "sluice.lb/1", "sluice", "org.example.core/1"])
    func `an id that the host does not know is NULL`(id: String) {
        #expect(Self.table(id) == nil)
    }

    @Test
    func `no id is NULL`() {
        #expect(HostTable.hello.pointee.get_extension(nil) == nil)
    }

    @Test
    func `a table says its size`() throws {
        let sizes = [
            (SLUICE_CORE_ID, MemoryLayout<sluice_core>.size),
            (SLUICE_HTTP_ID, MemoryLayout<sluice_http>.size),
            (SLUICE_SHARED_ID, MemoryLayout<sluice_shared>.size),
            (SLUICE_WAITSET_ID, MemoryLayout<sluice_waitset>.size),
            (SLUICE_HTTP_CLIENT_ID, MemoryLayout<sluice_http_client>.size),
            (SLUICE_METRICS_ID, MemoryLayout<sluice_metrics>.size),
            (SLUICE_PEERS_ID, MemoryLayout<sluice_peers>.size),
            (SLUICE_THREAD_CHECK_ID, MemoryLayout<sluice_thread_check>.size),
        ]
        #expect(sizes.count == HostTable.ids.count)
        for (id, size) in sizes {
            #expect(try #require(Self.table(id)).load(as: UInt32.self) == UInt32(size), "\(id)")
        }
    }

    @Test
    func `the core's functions work for any plugin`() {
        let core = CoreTable.functions.pointee
        #expect(core.size == UInt32(MemoryLayout<sluice_core>.size))
        let handle = Host.handle(levelMax: 3)
        #expect(core.log_level(handle) == 3)
        #expect(core.log_level(nil) == 0)
        let before = core.now(handle)
        #expect(core.now(handle) >= before)
        #expect(core.wall_clock(handle) - Clock.wallSeconds() <= 1)
        #expect(core.random(handle) != core.random(handle))
        #expect(core.request_alloc(nil, 16) == nil)
    }
}
