import CSluice
import Testing

@testable import PluginHost

@Suite(.serialized)
struct AttributesTests {
    private let core = CoreTable.functions.pointee
    private let http = HTTPTable.functions.pointee

    private func key(_ name: String, _ type: Int) -> (result: Int32, key: UInt32) {
        var key: UInt32 = 0
        let result = core.attr_key(nil, sluice_slice(permanent: name), UInt32(type), &key)
        return (result, key)
    }

    /// The request as plugins have it.
    ///
    /// The exchange is kept for ever, since only a pointer into it is used from here on.
    private func request(_ exchange: Exchange) -> OpaquePointer {
        OpaquePointer(Unmanaged.passRetained(exchange).takeUnretainedValue().context)
    }

    private func bytes(_ exchange: Exchange, _ key: UInt32) -> String? {
        var slice = sluice_slice()
        guard http.attr_get_bytes(request(exchange), key, &slice) == SLUICE_OK else { return nil }
        return slice.text
    }

    @Test
    func `a key is the same for all that ask for it, and has one type`() {
        let first = key("test.same", SLUICE_ATTR_U64)
        #expect(first.result == SLUICE_OK)
        #expect(key("test.same", SLUICE_ATTR_U64) == first)
        #expect(key("test.other", SLUICE_ATTR_U64).key != first.key)
        #expect(key("test.same", SLUICE_ATTR_BYTES).result == SLUICE_EINVAL)
    }

    @Test(arguments: [(0, false), (1, true), (64, true), (65, false)])
    func `a key's name is bounded`(count: Int, isGood: Bool) {
        let text = String(repeating: "n", count: count)
        #expect((key(text, SLUICE_ATTR_U64).result == SLUICE_OK) == isGood)
        #expect(key("test.type", 0).result == SLUICE_EINVAL)
        #expect(key("test.type", 3).result == SLUICE_EINVAL)
    }

    @Test
    func `a number is read as it was set last`() {
        let exchange = Exchange()
        let made = key("test.number", SLUICE_ATTR_U64).key
        var value: UInt64 = 7
        #expect(http.attr_get_u64(request(exchange), made, &value) == SLUICE_ESTALE)
        #expect(value == 7)
        for number in [0, 1, UInt64.max] {
            #expect(http.attr_set_u64(request(exchange), made, number) == SLUICE_OK)
            #expect(http.attr_get_u64(request(exchange), made, &value) == SLUICE_OK)
            #expect(value == number)
        }
        #expect(http.attr_get_u64(request(Exchange()), made, &value) == SLUICE_ESTALE)
    }

    @Test
    func `bytes are copied, and may grow and shrink`() {
        let exchange = Exchange()
        let made = key("test.bytes", SLUICE_ATTR_BYTES).key
        #expect(bytes(exchange, made) == nil)
        for text in ["", "first", "second value", "", "x"] {
            var copy = Array(text.utf8)
            let result = copy.withUnsafeBufferPointer {
                http.attr_set_bytes(
                    request(exchange),
                    made,
                    sluice_slice(ptr: $0.baseAddress, len: UInt64($0.count))
                )
            }
            #expect(result == SLUICE_OK)
            for index in copy.indices { copy[index] = 0 }
            #expect(bytes(exchange, made) == text)
        }
    }

    @Test
    func `setting bytes of the same length again takes no memory`() {
        let exchange = Exchange()
        let made = key("test.again", SLUICE_ATTR_BYTES).key
        for _ in 0..<1_000 {
            let value = sluice_slice(permanent: String(repeating: "a", count: 4_096))
            #expect(http.attr_set_bytes(request(exchange), made, value) == SLUICE_OK)
        }
        #expect(exchange.context.pointee.pluginBytes == 4_096)
    }

    @Test
    func `a part of a value may be set in its place`() {
        let exchange = Exchange()
        let made = key("test.part", SLUICE_ATTR_BYTES).key
        _ = http.attr_set_bytes(request(exchange), made, sluice_slice("0123456789"))
        var slice = sluice_slice()
        _ = http.attr_get_bytes(request(exchange), made, &slice)
        let part = sluice_slice(ptr: slice.ptr + 2, len: 6)
        #expect(http.attr_set_bytes(request(exchange), made, part) == SLUICE_OK)
        #expect(bytes(exchange, made) == "234567")
    }

    @Test(arguments: [(4_096, SLUICE_OK), (4_097, SLUICE_EINVAL)])
    func `bytes are bounded`(count: Int, result: Int) {
        let made = key("test.bound", SLUICE_ATTR_BYTES).key
        let value = sluice_slice(permanent: String(repeating: "b", count: count))
        #expect(Int(http.attr_set_bytes(request(Exchange()), made, value)) == result)
    }

    @Test
    func `a value of another type is refused`() {
        let exchange = Exchange()
        let number = key("test.typed.u64", SLUICE_ATTR_U64).key
        let text = key("test.typed.bytes", SLUICE_ATTR_BYTES).key
        var value: UInt64 = 0
        var slice = sluice_slice()
        #expect(http.attr_set_u64(request(exchange), text, 1) == SLUICE_EINVAL)
        #expect(http.attr_set_bytes(request(exchange), number, slice) == SLUICE_EINVAL)
        #expect(http.attr_get_u64(request(exchange), text, &value) == SLUICE_EINVAL)
        #expect(http.attr_get_bytes(request(exchange), number, &slice) == SLUICE_EINVAL)
        for forged: UInt32 in [0, 1, .max, 1 << 16 | 0xffff] {
            #expect(http.attr_set_u64(request(exchange), forged, 1) == SLUICE_EINVAL)
        }
    }

    @Test
    func `a request without attributes has no table`() {
        let exchange = Exchange()
        let made = key("test.lazy", SLUICE_ATTR_U64).key
        var value: UInt64 = 0
        _ = http.attr_get_u64(request(exchange), made, &value)
        #expect(exchange.context.pointee.attributes == nil)
    }

    @Test
    func `a key that is younger than the table fits too`() {
        let exchange = Exchange()
        let old = key("test.old", SLUICE_ATTR_U64).key
        _ = http.attr_set_u64(request(exchange), old, 5)
        let young = key("test.young", SLUICE_ATTR_U64).key
        #expect(http.attr_set_u64(request(exchange), young, 6) == SLUICE_OK)
        var value: UInt64 = 0
        #expect(http.attr_get_u64(request(exchange), old, &value) == SLUICE_OK && value == 5)
        #expect(http.attr_get_u64(request(exchange), young, &value) == SLUICE_OK && value == 6)
    }

    @Test
    func `plugins of a request share one budget`() {
        let exchange = Exchange()
        for index in 0..<16 {
            let made = key("test.budget\(index)", SLUICE_ATTR_BYTES).key
            let value = sluice_slice(permanent: String(repeating: "c", count: 4_096))
            #expect(http.attr_set_bytes(request(exchange), made, value) == SLUICE_OK)
        }
        let over = key("test.budget16", SLUICE_ATTR_BYTES).key
        #expect(http.attr_set_bytes(request(exchange), over, sluice_slice("x")) == SLUICE_ENOMEM)
        #expect(core.request_alloc(request(exchange), 1) == nil)
        #expect(bytes(exchange, over) == nil)
    }

    // MARK: The hash key

    /// What `set_hash_key` says in a hook of this phase.
    private func setHashKey(_ key: sluice_slice, in phase: Phase) throws -> (Int32?, String?) {
        var result: Int32?
        let http = http
        let script = Script([
            phase: { run in
                result = http.set_hash_key(run.request, key)
                return SLUICE_CONTINUE
            }
        ])
        let chain = Chain(route: [try script.instance()])
        _ = chain.run(phase)
        return (result, chain.exchange.context.pointee.hashKey?.text)
    }

    @Test(arguments: [Phase.requestHeaders, .upstreamRequest, .responseHeaders, .requestEnd])
    func `a hash key is set before a peer is picked`(phase: Phase) throws {
        let (result, text) = try setHashKey(sluice_slice("user 7"), in: phase)
        if phase == .requestHeaders {
            #expect((result, text) == (Int32(SLUICE_OK), "user 7"))
        } else {
            #expect((result, text) == (Int32(SLUICE_ENOTSUP), nil))
        }
    }

    @Test
    func `a hash key may be empty`() throws {
        #expect(try setHashKey(sluice_slice(), in: .requestHeaders) == (Int32(SLUICE_OK), ""))
    }

    @Test(arguments: [(4_096, SLUICE_OK), (4_097, SLUICE_EINVAL)])
    func `a hash key is bounded`(count: Int, result: Int) throws {
        let key = sluice_slice(permanent: String(repeating: "k", count: count))
        #expect(try setHashKey(key, in: .requestHeaders).0 == Int32(result))
    }

    @Test
    func `outside of a hook there is no hash key`() {
        let exchange = Exchange()
        #expect(http.set_hash_key(request(exchange), sluice_slice("x")) == SLUICE_ENOTSUP)
    }
}
