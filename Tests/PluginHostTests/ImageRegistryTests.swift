import CSluice
import Glibc
import Synchronization
import Sys
import Testing

@testable import PluginHost

/// One after the other: the registry is the process's.
@Suite(.serialized)
struct ImageRegistryTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/plugin.so"
        try Compiler.library("hooks.c", to: path)
    }

    private func load(mayUnload: Bool) throws -> PluginLibrary {
        try PluginLibrary(
            try PluginFile(path: path, pin: nil),
            mayUnload: mayUnload,
            generation: 7
        )
    }

    private func instance(_ name: String, _ library: PluginLibrary) throws -> PluginInstance {
        try PluginInstance(
            name: name,
            index: 0,
            library: library,
            failureStatus: 500,
            configuration: .object([]),
            workerCount: 1,
            logLevel: 1
        )
    }

    private func row(_ image: PluginImage) -> PluginImage.Row? {
        ImageRegistry.shared.rows().first { $0.image === image }
    }

    @Test
    func `tells who uses an image, and why it stays`() throws {
        let library = try load(mayUnload: false)
        let image = try #require(library.image)
        #expect(image.path == path && image.generation == 7)
        #expect(image.sha256 == (try PluginFile(path: path, pin: nil).sha256))
        #expect(image.loadedSeconds + 60 > Clock.wallSeconds())
        #expect(image.mappedBytes >= 4_096 && image.mappedBytes < 1 << 20)
        #expect(row(image)?.standing == .retired)
        let one = try instance("one", library)
        let two = try instance("two", library)
        #expect(row(image)?.standing == .inUse)
        #expect(row(image)?.instances == ["one", "two"])
        image.setDraining(requests: 1)
        #expect(row(image)?.standing == .draining)
        #expect(row(image)?.reason == "waits for 1 request to end")
        image.setDraining(requests: 0)
        one.destroy()
        #expect(row(image)?.instances == ["two"])
        two.destroy()
        #expect(row(image)?.standing == .retired)
        #expect(row(image)?.reason == "never unmapped: unload is \"never\"")
        ImageRegistry.shared.sweep()
        #expect(row(image)?.standing == .retired)
    }

    @Test
    func `unmaps what may be, and nothing that is used`() throws {
        let library = try load(mayUnload: true)
        let image = try #require(library.image)
        let one = try instance("one", library)
        ImageRegistry.shared.sweep()
        #expect(row(image)?.standing == .inUse)
        #expect(library.facts.id == "org.example.hooks")
        one.destroy()
        #expect(row(image)?.reason == "is to be unmapped")
        let before = ImageRegistry.shared.totals().unmapped.count
        #expect(ImageRegistry.shared.sweep() >= 1)
        #expect(row(image) == nil)
        #expect(ImageRegistry.shared.totals().unmapped.count > before)
        #expect(!image.unmap() || row(image) == nil)
    }

    @Test
    func `waits for buffers that others hold`() throws {
        let library = try load(mayUnload: true)
        let image = try #require(library.image)
        let handle = InstanceHandle(
            name: "lender",
            levelMax: 1,
            workerCount: 1,
            memoryBytesMax: 65_536
        )
        image.began(handle)
        let buffer = try #require(Buffers.new(handle, capacity: 100))
        image.ended(handle)
        let held = Buffers.headerBytes + 100
        #expect(row(image)?.reason == "waits for \(held) bytes of buffers to be given back")
        ImageRegistry.shared.sweep()
        #expect(row(image) != nil)
        Buffers.release(buffer)
        #expect(row(image)?.reason == "is to be unmapped")
        ImageRegistry.shared.sweep()
        #expect(row(image) == nil)
    }

    @Test
    func `an image with an obstacle is not unmapped though that is wanted`() throws {
        let other = folder.path + "/stays.so"
        try Compiler.library("hooks.c", ["X=1"], to: other, options: ["-Wl,-z,nodelete"])
        let file = try PluginFile(path: other, pin: nil)
        let image = try #require(try PluginLibrary(file, mayUnload: true).image)
        #expect(row(image)?.reason == "not unmapped: linked with -z nodelete")
        ImageRegistry.shared.sweep()
        #expect(row(image)?.standing == .retired)
    }

    @Test
    func `tells once when too many are retired`() throws {
        let registry = ImageRegistry()
        let file = try PluginFile(path: path, pin: nil)
        func add() throws {
            let library = try DynamicLibrary(path: path)
            _ = registry.add(file, library, mayUnload: false, generation: 1)
        }
        try add()
        try add()
        #expect(registry.excess(over: 0) == nil)
        #expect(registry.excess(over: 2) == nil)
        try add()
        #expect(registry.excess(over: 2) == 3)
        #expect(registry.excess(over: 2) == nil)
        // As after some were unmapped, and others came.
        #expect(registry.excess(over: 3) == nil)
        #expect(registry.excess(over: 2) == 3)
    }

    @Test
    func `metrics have every state, and names that plugins can't take`() throws {
        let text = Metrics.text { sink in
            let writer = MetricWriter(.text, to: sink)
            ImageRegistry.shared.write(to: writer)
            return writer.finish()
        }
        for state in ["in_use", "draining", "retired"] {
            #expect(text.contains("\nsluice_plugin_images{state=\"\(state)\"} "))
            #expect(text.contains("\nsluice_plugin_image_bytes{state=\"\(state)\"} "))
        }
        #expect(text.contains("\nsluice_plugin_images_unmapped_total "))
        for name in ["images", "image_bytes", "images_unmapped_total"] {
            #expect(MetricRegistry.ownNames.contains(name))
        }
    }

    @Test
    func `two hundred swaps leave nothing mapped and no memory behind`() throws {
        func swap() throws {
            let library = try load(mayUnload: true)
            let one = try instance("swapped", library)
            one.destroy()
            #expect(ImageRegistry.shared.sweep() >= 1)
        }
        for _ in 0..<20 { try swap() }
        let before = mappedLines()
        for _ in 0..<200 { try swap() }
        #expect(mappedLines() <= before)
    }

    /// Mappings of files that were removed, as private copies are.
    private func mappedLines() -> Int {
        let text = File.read("/proc/self/maps", bytesMax: 16 << 20) ?? []
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
            .count { $0.contains("plugin.so (deleted)") }
    }
}
