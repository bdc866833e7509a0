internal import PluginHost
internal import Proxy

/// What a process serves, for one that takes its place after a crash: the manifest's text, and the
/// libraries that were swapped since it was read.
///
/// Reading the manifest again forgets the swaps: then it is what counts.
struct ServedManifest: Sendable, Equatable {
    /// A library that was swapped for the manifest's.
    struct Swap: Sendable, Equatable {
        var plugin: String
        var library: String
        var sha256: String?
    }

    var text: [UInt8]
    private(set) var swaps: [Swap] = []

    /// "sluice\0s": no manifest begins like this.
    private static let magic: UInt64 = 0x7300_6563_6975_6c73
    /// Bytes of the swaps of one manifest.
    private static let swapsBytesMax = 1 << 22
    /// Bytes of all of it.
    static let bytesMax = Manifest.bytesMax + swapsBytesMax

    init(text: [UInt8]) { self.text = text }

    /// Of `bytes`; anything else is a manifest's text.
    init(_ bytes: [UInt8]) {
        var reader = StateReader(bytes)
        guard reader.number() == Self.magic, let text = reader.run(), let count = reader.number()
        else {
            self.init(text: bytes)
            return
        }
        self.init(text: text)
        for _ in 0..<count {
            guard let plugin = reader.text(), let library = reader.text(), let pin = reader.text()
            else { return }
            swaps.append(Swap(plugin: plugin, library: library, sha256: pin.isEmpty ? nil : pin))
        }
    }

    var bytes: [UInt8] {
        guard !swaps.isEmpty else { return text }
        var writer = StateWriter()
        writer.number(Self.magic)
        writer.run(text)
        writer.number(UInt64(swaps.count))
        for swap in swaps {
            writer.text(swap.plugin)
            writer.text(swap.library)
            writer.text(swap.sha256 ?? "")
        }
        return writer.bytes
    }

    mutating func add(_ swap: Swap) {
        swaps.removeAll { $0.plugin == swap.plugin }
        swaps.append(swap)
    }

    /// Puts the swapped libraries into the settings of the text.
    func apply(to settings: inout ProxySettings) {
        for swap in swaps {
            guard let place = settings.plugins.firstIndex(where: { $0.name == swap.plugin }) else {
                continue
            }
            settings.plugins[place].libraryPath = swap.library
            settings.plugins[place].sha256 = swap.sha256
        }
    }
}
