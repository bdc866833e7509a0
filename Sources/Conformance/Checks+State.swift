import CSluice
import PluginHost

/// State that moves from one instance to the next.
extension CheckContext {
    func checkState() throws {
        log.step("create an instance")
        let instance = try makeInstance()
        defer { instance.destroy() }
        let handover = instance.handover
        try expect(
            (handover != nil) == library.facts.roles.contains(SLUICE_HANDOVER_ID),
            "an instance and the handshake's roles disagree on \(SLUICE_HANDOVER_ID)"
        )
        guard instance.exportsState else {
            try expect(!instance.importsState, "there is import_state, but no export_state")
            guard handover != nil else {
                throw ConformanceCheck.Skipped.because("the plugin has no state to export")
            }
            try checkHandover()
            return
        }
        log.step("export_state")
        let state = try instance.exportState()
        log.step("import_state of its own \(state.count) bytes")
        let (result, other) = try importing(state)
        try expect(result == SLUICE_OK, "import_state refuses what export_state wrote")
        try expect(other == state, "what was imported is exported as something else")
        for (name, text) in broken(state) {
            log.step("import_state of \(name) (\(text.count) bytes)")
            let (result, _) = try importing(text)
            try expect(
                result == SLUICE_OK || result == SLUICE_EINVAL,
                "import_state of \(name) says \(result) instead of SLUICE_EINVAL"
            )
        }
        if handover != nil { try checkHandover() }
    }

    /// What no instance wrote, or not like this.
    private func broken(_ state: [UInt8]) -> [(String, [UInt8])] {
        var numbers = numbers(1)
        var texts: [(String, [UInt8])] = [("nothing", [])]
        for count in stride(from: 1, to: state.count, by: max(1, state.count / 64)) {
            texts.append(("the first \(count) bytes", Array(state.prefix(count))))
        }
        for _ in 0..<min(subject.iterations, 500) {
            var text = state
            if !text.isEmpty {
                for _ in 0...Int.random(in: 0..<4, using: &numbers) {
                    text[Int.random(in: 0..<text.count, using: &numbers)] ^=
                        1 << UInt8.random(in: 0..<8, using: &numbers)
                }
                texts.append(("some other bits", text))
            }
            let count = Int.random(in: 0...200, using: &numbers)
            let random = (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
            texts.append(("random bytes", random))
        }
        return texts
    }

    /// Gives a new instance some state; the result, and what it then exports.
    private func importing(_ state: [UInt8]) throws -> (Int32, [UInt8]) {
        let instance = try makeInstance()
        defer { instance.destroy() }
        let result = instance.offerState(state)?.result ?? Int32(SLUICE_ENOTSUP)
        return (result, try instance.exportState())
    }

    // MARK: Hand-over

    private func checkHandover() throws {
        let instance = try makeInstance()
        defer { instance.destroy() }
        guard let handover = instance.handover else { return }
        for time in ["", " once more"] {
            log.step("warm\(time)")
            try handover.warm()
        }
        let before = try exported(instance)
        log.step("export_rest of an instance that has seen no request")
        let rest = try handover.exportRest()
        if !rest.isEmpty {
            log.step("import_rest of its own \(rest.count) bytes")
            try handover.importRest(rest)
            try expect(
                try exported(instance) == before,
                "the rest of an instance that has seen no request adds something"
            )
        }
        guard handover.importsRest else { return }
        var numbers = numbers(2)
        let count = min(subject.iterations, 500)
        var taken = 0
        for _ in 0..<count {
            let text = (0..<Int.random(in: 1...200, using: &numbers))
                .map { _ in UInt8.random(in: 0...255, using: &numbers) }
            taken += try refuses(text) ? 0 : 1
        }
        try expect(taken < count, "import_rest takes every one of \(count) random texts")
    }

    /// Whether a running instance refuses a rest that no instance wrote, and is then as before.
    private func refuses(_ text: [UInt8]) throws -> Bool {
        let instance = try makeInstance()
        defer { instance.destroy() }
        let slot = instance.startWorker(0)
        defer { instance.stopWorker(0, slot) }
        let before = try exported(instance)
        log.step("import_rest of random bytes (\(text.count) bytes)")
        let result = instance.handover?.offerRest(text)?.result ?? Int32(SLUICE_ENOTSUP)
        if result == SLUICE_OK { return false }
        try expect(
            result == SLUICE_EINVAL,
            "import_rest of random bytes says \(result) instead of SLUICE_EINVAL"
        )
        try expect(
            try exported(instance) == before,
            "import_rest refuses random bytes, and changes the state all the same"
        )
        return true
    }

    private func exported(_ instance: PluginInstance) throws(PluginError) -> [UInt8] {
        instance.exportsState ? try instance.exportState() : []
    }
}
