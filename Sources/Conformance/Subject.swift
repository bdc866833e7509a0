package import PluginHost
import Proxy
import Sys

/// What is checked: a library, and the configuration that its instances get.
package struct ConformanceSubject {
    package var file: PluginFile
    /// With defaults filled in, where there is a schema.
    package var configuration: ConfigurationTree.Node
    /// Differences between the descriptor and the handshake, a line each.
    package var differences: (PluginLibrary.Facts) -> [String]
    /// What all that is random is made from.
    package var seed: UInt64
    /// Rounds of what is random.
    package var iterations: Int

    package init(
        file: PluginFile,
        configuration: ConfigurationTree.Node,
        differences: @escaping (PluginLibrary.Facts) -> [String],
        seed: UInt64,
        iterations: Int
    ) {
        self.file = file
        self.configuration = configuration
        self.differences = differences
        self.seed = seed
        self.iterations = iterations
    }
}

/// Why a check failed, in one line.
struct CheckFailure: Error {
    var line: String

    init(_ line: String) { self.line = line }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

/// Where a check says what it is at, so that whoever waits for it knows what it died of.
package struct StepLog: Sendable {
    private let write: @Sendable (String) -> Void

    package init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// Before something that may crash or hang.
    func step(_ text: String) { write("step " + text) }

    /// Before a hook is called.
    func hook(_ name: String) { write("hook " + name) }

    package func failed(_ reason: String) { write("fail " + reason) }

    package func passed(_ text: String) { write("pass " + text) }

    package func skipped(_ text: String) { write("skip " + text) }
}
