import Synchronization
import Sys

/// A library's image in the memory of this process, from its load until it is unmapped.
public final class PluginImage: Sendable {
    /// Of this process, counted from 1.
    public let number: Int
    public let path: String
    /// Of the file that it was made from, in lower-case hex.
    public let sha256: String
    /// Bytes of address space that its segments span; what of it is in memory is less.
    public let mappedBytes: Int
    /// Seconds since the epoch.
    public let loadedSeconds: UInt64
    /// Why it can't be unmapped, each the end of "not unmapped: "; empty when it can be.
    public let obstacles: [String]
    /// Whether the manifest wants it unmapped.
    public let mayUnload: Bool
    /// Of the configuration that it was loaded for.
    public let generation: UInt64
    private let library: DynamicLibrary
    private let state = Mutex(State())

    private struct State {
        /// Instances whose code may be called, in the order in which they were made.
        var users: [InstanceHandle] = []
        /// Instances that are destroyed, and of which others hold buffers: freeing one may call
        /// code.
        var lenders: [InstanceHandle] = []
        var requestCount = 0
        var wasUsed = false
        var isClosed = false
    }

    /// How an image stands.
    public enum Standing: String, Sendable, CaseIterable {
        /// Instances of it serve.
        case inUse = "in_use"
        /// Instances of it only finish what they have begun.
        case draining
        /// Nobody uses it, and it is in memory.
        case retired
    }

    init(
        number: Int,
        _ file: PluginFile,
        _ library: DynamicLibrary,
        mayUnload: Bool,
        generation: UInt64
    ) {
        self.number = number
        path = file.path
        sha256 = file.sha256
        mappedBytes = file.mappedBytes
        loadedSeconds = Clock.wallSeconds()
        obstacles = mayUnload ? file.unloadObstacles : []
        self.mayUnload = mayUnload
        self.library = library
        self.generation = generation
    }

    // MARK: Users

    func began(_ handle: InstanceHandle) {
        state.withLock { state in
            precondition(!state.isClosed, "\(path) was unmapped and is used")
            state.users.append(handle)
            state.wasUsed = true
        }
    }

    /// The instance is destroyed: none of its functions is called any more.
    func ended(_ handle: InstanceHandle) {
        state.withLock { state in
            state.users.removeAll { $0 === handle }
            if Self.bytesOut(handle) > 0 { state.lenders.append(handle) }
        }
    }

    /// Requests that still go through its instances, which take no new ones; 0 when it serves.
    ///
    /// For whoever drains a generation to keep up to date: nothing but what is told depends on it.
    public func setDraining(requests: Int) {
        state.withLock { $0.requestCount = requests }
    }

    // MARK: What is told

    /// One line of the table of images.
    public struct Row: Sendable {
        public var image: PluginImage
        public var standing: Standing
        /// Instances whose code may be called, in the order in which they were made.
        public var instances: [String]
        /// Why it is in memory, in words.
        public var reason: String
    }

    /// Nil when it is no more in memory.
    func row() -> Row? {
        let (names, requests, buffers, wasUsed, isClosed) = state.withLock { state in
            (
                state.users.map(\.name), state.requestCount, Self.bytesOut(&state), state.wasUsed,
                state.isClosed
            )
        }
        guard !isClosed else {
            guard library.isMapped else { return nil }
            let reason = "the dynamic linker keeps it: a thread has a destructor in it to run"
            return Row(image: self, standing: .retired, instances: [], reason: reason)
        }
        guard names.isEmpty else {
            guard requests > 0 else {
                return Row(image: self, standing: .inUse, instances: names, reason: "serves")
            }
            let unit = requests == 1 ? "request" : "requests"
            return Row(
                image: self,
                standing: .draining,
                instances: names,
                reason: "waits for \(requests) \(unit) to end"
            )
        }
        let reason: String
        if !mayUnload {
            reason = "never unmapped: unload is \"never\""
        } else if let obstacle = obstacles.first {
            reason = "not unmapped: \(obstacle)"
        } else if buffers > 0 {
            reason = "waits for \(buffers) bytes of buffers to be given back"
        } else {
            reason = wasUsed ? "is to be unmapped" : "no instance was made of it"
        }
        return Row(image: self, standing: .retired, instances: [], reason: reason)
    }

    private static func bytesOut(_ handle: InstanceHandle) -> Int {
        handle.memoryBytes.load(ordering: .acquiring)
    }

    /// Bytes of buffers that others hold of destroyed instances.
    private static func bytesOut(_ state: inout State) -> Int {
        state.lenders.removeAll { bytesOut($0) == 0 }
        return state.lenders.reduce(0) { $0 + bytesOut($1) }
    }

    // MARK: Unmapping

    /// Gives its memory back if that is wanted, the file has nothing against it, and nobody can
    /// call it any more.
    ///
    /// - Returns: whether it is gone, now or since an earlier call.
    func unmap() -> Bool {
        let closes = state.withLock { state in
            guard !state.isClosed else { return false }
            // Whoever has loaded it may be about to make its first instance.
            guard state.wasUsed, mayUnload, obstacles.isEmpty, state.users.isEmpty,
                Self.bytesOut(&state) == 0
            else { return false }
            state.isClosed = true
            return true
        }
        if closes { library.close() }
        return state.withLock(\.isClosed) && !library.isMapped
    }
}
