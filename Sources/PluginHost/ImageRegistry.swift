import Synchronization
import Sys

/// All images of libraries that this process has loaded, and what became of them.
///
/// Loading happens on threads of control, not on the path of a request.
public final class ImageRegistry: Sendable {
    public static let shared = ImageRegistry()

    private let state = Mutex(State())

    private struct State {
        var images: [PluginImage] = []
        var loadedCount = 0
        var unmapped = Totals()
        var isOver = false
    }

    /// A number of images and their bytes.
    public struct Totals: Sendable, Equatable {
        public var count = 0
        public var bytes = 0

        mutating func add(_ image: PluginImage) {
            count += 1
            bytes += image.mappedBytes
        }
    }

    init() {}

    // MARK: Life

    func add(
        _ file: PluginFile,
        _ library: DynamicLibrary,
        mayUnload: Bool,
        generation: UInt64
    ) -> PluginImage {
        let number = state.withLock { state in
            state.loadedCount += 1
            return state.loadedCount
        }
        let image = PluginImage(
            number: number,
            file,
            library,
            mayUnload: mayUnload,
            generation: generation
        )
        state.withLock { $0.images.append(image) }
        return image
    }

    /// Unmaps what may be and nobody uses.
    ///
    /// To be called when no thread can be in a library that has no instance: after the generation
    /// that had it was drained and destroyed. Never from a hook.
    ///
    /// - Returns: how many images are gone.
    @discardableResult
    public func sweep() -> Int {
        let images = state.withLock { $0.images }
        var goneCount = 0
        for image in images where image.unmap() {
            goneCount += 1
            state.withLock { state in
                state.images.removeAll { $0 === image }
                state.unmapped.add(image)
            }
        }
        return goneCount
    }

    /// How many images are retired, when they are more than a limit for the first time, or again
    /// after they were not; else nil.
    ///
    /// - Parameter limit: 1 or more; 0 is never exceeded.
    public func excess(over limit: Int) -> Int? {
        let count = rows().count { $0.standing == .retired }
        return state.withLock { state in
            let isOver = limit > 0 && count > limit
            defer { state.isOver = isOver }
            return isOver && !state.isOver ? count : nil
        }
    }

    // MARK: What is told

    /// The images that are in memory, in the order in which they were loaded.
    public func rows() -> [PluginImage.Row] {
        state.withLock { $0.images }.compactMap { $0.row() }
    }

    /// The image of a library that was loaded last; nil when none has this path.
    public func image(path: String) -> PluginImage? {
        state.withLock { $0.images.last { $0.path == path } }
    }

    /// Images by their standing, as it is now, and those that are no more.
    public func totals() -> (standing: [PluginImage.Standing: Totals], unmapped: Totals) {
        var totals: [PluginImage.Standing: Totals] = [:]
        for row in rows() { totals[row.standing, default: Totals()].add(row.image) }
        return (totals, state.withLock(\.unmapped))
    }

    /// The metrics that tell of images.
    func write(to writer: MetricWriter) {
        let (standing, unmapped) = totals()
        let states = PluginImage.Standing.allCases.map { ($0, standing[$0] ?? Totals()) }
        writer.family(
            "sluice_plugin_images",
            .gauge,
            "Images of plugins' libraries by what they do."
        )
        for (state, total) in states { writer.sample(total.count, [("state", state.rawValue)]) }
        writer.family("sluice_plugin_image_bytes", .gauge, "Address space of these images.")
        for (state, total) in states { writer.sample(total.bytes, [("state", state.rawValue)]) }
        writer.family(
            "sluice_plugin_images_unmapped_total",
            .counter,
            "Images whose memory was given back."
        )
        writer.sample(unmapped.count)
    }
}
