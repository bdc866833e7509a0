import CSluice
import PluginHost
import Testing

struct PluginInstanceTests {
    typealias Members = [(key: String, value: ConfigurationTree.Node)]

    private func make(_ members: Members, name: String = "one") throws -> PluginInstance {
        try PluginInstance(
            name: name,
            index: 3,
            library: Compiler.hooks(),
            failureStatus: 502,
            configuration: .object(members),
            workerCount: 2,
            logLevel: 0
        )
    }

    private func refusal(_ members: Members) -> String? {
        do {
            _ = try make(members)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test
    func `an instance has what it was made with`() throws {
        let instance = try make([("context_size", .integer(48)), ("state", .integer(64))])
        #expect(instance.name == "one")
        #expect(instance.index == 3)
        #expect(instance.failureStatus == 502)
        #expect(instance.contextBytes == 48)
        #expect(instance.state == UnsafeMutableRawPointer(bitPattern: 64))
        #expect(instance.balancer == nil)
        for phase in Phase.allCases { #expect(instance.hook(phase) == nil) }
        #expect(instance.startWorker(0) == nil)
        instance.stopWorker(0, nil)
        instance.destroy()
    }

    @Test
    func `an instance may have no hooks at all`() throws {
        let instance = try make([("no_hooks", .integer(1))])
        for phase in Phase.allCases { #expect(instance.hook(phase) == nil) }
    }

    @Test(arguments: Phase.allCases)
    func `a hook is that of its phase`(phase: Phase) throws {
        let instance = try Script([phase: { _ in SLUICE_CONTINUE }]).instance()
        for other in Phase.allCases { #expect((instance.hook(other) != nil) == (other == phase)) }
    }

    @Test
    func `a worker's slot is what the plugin gave`() throws {
        let instance = try make([("slot", .integer(4_096))])
        #expect(instance.startWorker(0) == UnsafeMutableRawPointer(bitPattern: 4_096))
        #expect(instance.startWorker(1) == UnsafeMutableRawPointer(bitPattern: 4_097))
    }

    @Test
    func `a refused configuration is explained in the plugin's words`() {
        #expect(
            refusal([
                ("create", .integer(Int64(SLUICE_ECONFIG))),
                ("create_error", .string("a.b: must be a number")),
            ]) == "plugins.one.config: a.b: must be a number"
        )
        #expect(
            refusal([
                ("check", .integer(Int64(SLUICE_ECONFIG))), ("check_error", .string("a: no")),
                ("create_error", .string("never asked")),
            ]) == "plugins.one.config: a: no"
        )
        #expect(refusal([("create", .integer(-6))]) == "plugins.one.config: result -6")
        #expect(refusal([("check", .integer(-1))]) == "plugins.one.config: result -1")
    }

    @Test(arguments: [1_023, 1_024, 1_025])
    func `the plugin's words are cut at their bound`(count: Int) throws {
        let text = String(repeating: "e", count: count)
        let reason = refusal([("create", .integer(-6)), ("create_error", .string(text))])
        #expect(reason == "plugins.one.config: " + text.prefix(1_024))
    }

    @Test
    func `a length beyond the buffer is cut too`() {
        let made = PluginInstance.withErrorText { error in
            error.pointee.ptr.update(repeating: 0x65, count: Int(error.pointee.cap))
            error.pointee.len = .max
            return -1
        }
        #expect(made.result == -1)
        #expect(made.text == String(repeating: "e", count: 1_024))
    }

    @Test(arguments: [(0, true), (4_095, true), (4_096, true), (4_097, false)])
    func `the context is bounded`(size: Int64, isAllowed: Bool) {
        let reason =
            "plugins.one: asks for \(size) bytes of request context, at most 4096 are given"
        #expect(refusal([("context_size", .integer(size))]) == (isAllowed ? nil : reason))
    }

    @Test
    func `tables of another size are refused`() {
        #expect(
            refusal([("instance_size", .integer(8))])
                == "plugins.one: size of sluice_instance is 8, this host has "
                + "\(MemoryLayout<sluice_instance>.size)"
        )
        #expect(
            refusal([("hooks_size", .integer(8))])
                == "plugins.one: size of sluice_http_hooks is 8, this host has "
                + "\(MemoryLayout<sluice_http_hooks>.size)"
        )
    }
}
