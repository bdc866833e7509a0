import CSluice
import PluginHost
import Sys
import Testing

/// The table of the cache's role: what it must have, and its orders.
struct CacheRoleTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func instance(
        _ definitions: [String] = [],
        control: UInt64 = 0
    ) throws -> PluginInstance {
        let path = folder.path + "/libcache.so"
        try Compiler.library("cache.c", definitions, to: path)
        return try PluginInstance(
            name: "one",
            index: 0,
            library: try PluginLibrary(path: path, pin: nil),
            failureStatus: 500,
            configuration: .object([]),
            workerCount: 1,
            logLevel: 0,
            guards: PluginGuards(controlNanoseconds: control)
        )
    }

    private func refusal(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `an instance with the table is a cache`() throws {
        let cache = try instance()
        #expect(cache.isCache)
        let chain = PhaseChain(global: [], route: [cache])
        #expect(chain.cache?.pointee.position == 0)
        #expect(chain.hooks(any: .responseHeads) && chain.hooks(any: .responseBodies))
        #expect(chain.hookCount(.cacheLookup) == 0)
    }

    @Test func `a chain without one has none`() throws {
        let other = try Script([.requestEnd: { _ in SLUICE_CONTINUE }]).instance()
        #expect(!other.isCache)
        let chain = PhaseChain(global: [], route: [other])
        #expect(chain.cache == nil)
        #expect(!chain.hooks(any: .responseHeads) && !chain.hooks(any: .responseBodies))
    }

    @Test(arguments: [
        "lookup", "admit", "failed", "write", "commit", "abort", "read", "close",
    ])
    func `a table that lacks a function is refused`(name: String) {
        #expect(
            refusal { _ = try instance(["WITHOUT=" + name]) }
                == "plugins.one: its sluice.cache/1 has no \(name)"
        )
    }

    @Test func `a table of another size is refused`() {
        #expect(
            refusal { _ = try instance(["SIZE=8"]) }
                == "plugins.one: size of sluice_cache is 8, this host has "
                + "\(MemoryLayout<sluice_cache>.size)"
        )
    }

    @Test func `a purge says what it is told`() throws {
        let cache = try instance()
        #expect(try cache.purge(.url("abc"), isSoft: false) == 103)
        #expect(try cache.purge(.prefix("abcd"), isSoft: true) == 1_204)
        #expect(try cache.purge(.tag("a"), isSoft: false) == 301)
        #expect(try cache.purge(.all, isSoft: false) == 400)
    }

    @Test func `a purge may be refused`() throws {
        let cache = try instance()
        #expect(
            refusal { _ = try cache.purge(.url("no"), isSoft: false) }
                == "plugin one: purge: told so"
        )
        let without = try instance(["WITHOUT=purge"])
        #expect(
            refusal { _ = try without.purge(.all, isSoft: false) }
                == "plugin one is a cache that can't purge"
        )
        let other = try Script([.requestEnd: { _ in SLUICE_CONTINUE }]).instance()
        #expect(
            refusal { _ = try other.purge(.all, isSoft: false) }?.hasSuffix("is no cache") == true
        )
    }

    @Test func `a purge has a time`() throws {
        let cache = try instance(control: 50_000_000)
        #expect(
            refusal { _ = try cache.purge(.url("never"), isSoft: false) }
                == "plugin one: purge has not returned in 50 ms (budgets.control)"
        )
        #expect(try cache.purge(.all, isSoft: false) == 400)
    }
}
