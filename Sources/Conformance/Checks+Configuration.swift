import CSluice
import PluginHost

/// Configurations that nobody would write.
extension CheckContext {
    func checkConfigurations() throws {
        guard let factory = library.hello.pointee.factory,
            let check = factory.pointee.check_config
        else { throw ConformanceCheck.Skipped.because("the plugin has no check_config") }
        log.step("check_config of the given configuration")
        try refuse(check, subject.configuration, mustSucceed: true)
        var numbers = numbers(2)
        let names = Self.keys(of: subject.configuration) + ["", "a", "name", "value"]
        for round in 0..<subject.iterations {
            let node =
                round % 2 == 0
                ? Self.object(&numbers, names, depth: 0)
                : Self.changed(subject.configuration, &numbers, names)
            log.step("check_config in round \(round) of seed \(subject.seed)")
            try refuse(check, node, mustSucceed: false)
        }
    }

    private typealias Check =
        @convention(c) (UnsafePointer<sluice_value>?, UnsafeMutablePointer<sluice_errbuf>?) -> Int32

    /// Checks a configuration, with room for the reason and without.
    private func refuse(
        _ check: Check,
        _ node: ConfigurationTree.Node,
        mustSucceed: Bool
    ) throws(CheckFailure) {
        let tree = ConfigurationTree.make(node)
        let done = PluginInstance.withErrorText { check(tree, $0) }
        if mustSucceed {
            try expect(done.result == SLUICE_OK, "the configuration is refused: \(done.text)")
        }
        guard done.result != SLUICE_OK else { return }
        try expect(
            done.result == SLUICE_ECONFIG,
            "check_config says \(done.result) instead of SLUICE_ECONFIG"
        )
        try expect(!done.text.isEmpty, "a configuration is refused without a reason")
        try expect(
            !done.text.utf8.contains { $0 < 0x20 },
            "the reason is more than one line: \(done.text)"
        )
        var error = sluice_errbuf()
        error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
        try expect(
            check(tree, &error) == done.result,
            "check_config says something else when there is no room for the reason"
        )
    }

    // MARK: Trees

    private static func keys(of node: ConfigurationTree.Node) -> [String] {
        switch node {
        case .object(let members): members.flatMap { [$0.key] + keys(of: $0.value) }
        case .array(let nodes): nodes.flatMap(keys)
        default: []
        }
    }

    private static func object(
        _ numbers: inout SeededNumbers,
        _ names: [String],
        depth: Int
    ) -> ConfigurationTree.Node {
        let count = Int.random(in: 0...4, using: &numbers)
        let keys = Set((0..<count).map { _ in names.randomElement(using: &numbers) ?? "a" })
        return .object(
            keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                .map { ($0, node(&numbers, names, depth: depth + 1)) }
        )
    }

    private static func node(
        _ numbers: inout SeededNumbers,
        _ names: [String],
        depth: Int
    ) -> ConfigurationTree.Node {
        switch Int.random(in: 0...(depth < 4 ? 8 : 5), using: &numbers) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &numbers))
        case 2: return .integer([0, 1, -1, .max, .min, 404].randomElement(using: &numbers) ?? 0)
        case 3: return .number([0.5, -1e300, .infinity, 1e-9].randomElement(using: &numbers) ?? 0)
        case 4, 5: return .string(text(&numbers))
        case 6:
            let count = Int.random(in: 0...4, using: &numbers)
            return .array((0..<count).map { _ in node(&numbers, names, depth: depth + 1) })
        default: return object(&numbers, names, depth: depth)
        }
    }

    private static func text(_ numbers: inout SeededNumbers) -> String {
        let texts = [
            "", "a", "on", "10.0.0.0/8", "::1/200", "{client_ip}", "{", "}}", "x-y: z", "\u{0}",
            "\r\n", "ä", "/etc/passwd", "../x", "1s", "-1", "999999999999999999999",
        ]
        if Int.random(in: 0..<8, using: &numbers) == 0 {
            return String(repeating: "x{a}", count: Int.random(in: 1...5_000, using: &numbers))
        }
        return texts.randomElement(using: &numbers) ?? ""
    }

    /// The same with one value replaced or left out.
    private static func changed(
        _ node: ConfigurationTree.Node,
        _ numbers: inout SeededNumbers,
        _ names: [String]
    ) -> ConfigurationTree.Node {
        switch node {
        case .object(var members) where !members.isEmpty:
            let at = Int.random(in: 0..<members.count, using: &numbers)
            if Int.random(in: 0..<4, using: &numbers) == 0 {
                members.remove(at: at)
            } else {
                members[at].value = changed(members[at].value, &numbers, names)
            }
            return .object(members)
        case .array(var nodes) where !nodes.isEmpty:
            let at = Int.random(in: 0..<nodes.count, using: &numbers)
            nodes[at] = changed(nodes[at], &numbers, names)
            return .array(nodes)
        case .object: return object(&numbers, names, depth: 1)
        default: return Self.node(&numbers, names, depth: 2)
        }
    }
}
