public import CSluice
import Sys

/// One entry of the manifest's `plugins`, made from a library.
public final class PluginInstance: @unchecked Sendable {
    // Safe: written in `init` only; the plugin's own state is the plugin's to guard.
    public let name: String
    /// Place in the worker's table of slots.
    public let index: Int
    public let library: PluginLibrary
    /// Status when one of its hooks fails; 0 goes on without it.
    public let failureStatus: UInt16
    /// The name as bytes that are never freed.
    let nameText: Slice
    private let table: UnsafePointer<sluice_instance>

    /// Bytes of request context that an instance may ask for.
    public static let contextBytesMax = 4_096
    /// Bytes of an error text.
    private static let errorBytesMax = 1_024

    /// Makes an instance.
    ///
    /// - Parameters:
    ///   - failureStatus: 0, or 400 to 599.
    ///   - logLevel: the highest level that is written.
    public init(
        name: String,
        index: Int,
        library: PluginLibrary,
        failureStatus: UInt16,
        configuration: ConfigurationTree.Node,
        workerCount: Int,
        logLevel: UInt32
    ) throws(PluginError) {
        self.name = name
        self.index = index
        self.library = library
        self.failureStatus = failureStatus
        let text = sluice_slice(permanent: name)
        guard let textBytes = text.ptr, let factory = library.hello.pointee.factory else {
            throw PluginError("plugins.\(name): no factory")
        }
        nameText = Slice(textBytes, Int(text.len))
        let instance = UnsafeMutablePointer<sluice_instance>.allocate(capacity: 1)
        instance.initialize(to: sluice_instance())
        instance.pointee.size = UInt32(MemoryLayout<sluice_instance>.size)
        var args = sluice_create_args()
        args.size = UInt32(MemoryLayout<sluice_create_args>.size)
        args.worker_count = UInt32(workerCount)
        args.host = HostTable.makeHandle(name: name, levelMax: logLevel)
        args.name = text
        args.config = ConfigurationTree.make(configuration)
        let created = Self.withErrorText { error in
            let checked = factory.pointee.check_config?(args.config, error) ?? 0
            guard checked == SLUICE_OK else { return checked }
            return factory.pointee.create(&args, instance, error)
        }
        guard created.result == SLUICE_OK else {
            let reason = created.text.isEmpty ? "result \(created.result)" : created.text
            throw PluginError("plugins.\(name).config: \(reason)")
        }
        table = UnsafePointer(instance)
        do throws(PluginError) {
            try check()
        } catch {
            destroy()
            throw error
        }
    }

    private func check() throws(PluginError) {
        let size = Int(table.pointee.size)
        guard size == MemoryLayout<sluice_instance>.size else {
            throw PluginError("plugins.\(name): size of sluice_instance is \(size)")
        }
        guard contextBytes <= Self.contextBytesMax else {
            throw PluginError(
                "plugins.\(name): asks for \(contextBytes) bytes of request context, at most "
                    + "\(Self.contextBytesMax) are given"
            )
        }
        if let hooks = table.pointee.hooks,
            Int(hooks.pointee.size) != MemoryLayout<sluice_http_hooks>.size
        {
            throw PluginError("plugins.\(name): size of sluice_http_hooks is \(hooks.pointee.size)")
        }
        if let balancer, Int(balancer.pointee.size) != MemoryLayout<sluice_lb>.size {
            throw PluginError("plugins.\(name): size of sluice_lb is \(balancer.pointee.size)")
        }
    }

    /// Runs a call that may leave an error text.
    public static func withErrorText(
        _ body: (UnsafeMutablePointer<sluice_errbuf>) -> Int32
    ) -> (result: Int32, text: String) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: errorBytesMax) { buffer in
            var error = sluice_errbuf()
            error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
            error.cap = UInt32(buffer.count)
            error.ptr = buffer.baseAddress
            let result = body(&error)
            let count = min(Int(error.len), buffer.count)
            let text = String(
                decoding: buffer[..<count].map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
            return (result, text)
        }
    }

    public var state: UnsafeMutableRawPointer? { table.pointee.state }

    public var contextBytes: Int { Int(table.pointee.context_size) }

    /// The table of the balancer role, or nil when it has none.
    public var balancer: UnsafePointer<sluice_lb>? {
        table.pointee.get_extension?(table.pointee.state, SLUICE_LB_ID)?
            .assumingMemoryBound(to: sluice_lb.self)
    }

    /// The hook of a phase; nil when the instance has none.
    public func hook(_ phase: Phase) -> sluice_hook? {
        guard let hooks = table.pointee.hooks else { return nil }
        return switch phase {
        case .requestHeaders: hooks.pointee.request_headers
        case .requestBody: hooks.pointee.request_body
        case .upstreamRequest: hooks.pointee.upstream_request
        case .upstreamResult: hooks.pointee.upstream_result
        case .upstreamResponse: hooks.pointee.upstream_response
        case .upstreamBody: hooks.pointee.upstream_body
        case .responseHeaders: hooks.pointee.response_headers
        case .responseBody: hooks.pointee.response_body
        case .localReply: hooks.pointee.local_reply
        case .requestEnd: hooks.pointee.request_end
        }
    }

    /// What is called after a wait; nil when the instance can't wait.
    var resumedHook: sluice_hook? { table.pointee.hooks?.pointee.resumed }

    /// The slot of a worker. [worker]
    public func startWorker(_ worker: Int) -> UnsafeMutableRawPointer? {
        table.pointee.worker_start?(table.pointee.state, UInt32(worker))
    }

    /// Gives the slot back. [worker]
    public func stopWorker(_ slot: UnsafeMutableRawPointer?) {
        table.pointee.worker_stop?(table.pointee.state, slot)
    }

    /// After the last worker stopped. [control]
    public func destroy() {
        table.pointee.destroy?(table.pointee.state)
    }
}
