import CSluice
public import Sys

/// What of a plugin's is called; numbers of a breadcrumb, of which those below 12 are phases.
public enum PluginCall: UInt32, Sendable, CaseIterable {
    case hello = 12
    case checkConfig = 13
    case create = 14
    case destroy = 15
    case workerStart = 16
    case workerStop = 17
    case task = 18
    case timer = 19
    case offload = 20
    case callout = 21
    case build = 22
    case pick = 23
    case export = 24
    case `import` = 25
    case warm = 26
    case getExtension = 27
    /// The function that frees what a plugin has wrapped.
    case free = 28
    /// What is given to a sink of the plugin.
    case write = 29
    /// What runs while the library is loaded: its constructors.
    case load = 30
    case probe = 31
    case workerDrain = 32
    case reopen = 33
    case purge = 34
}

extension Breadcrumb {
    /// Runs a call into a plugin, which a crash or a hang meanwhile is laid to.
    ///
    /// - Parameter label: never freed.
    @inline(__always)
    public static func mark<Result>(
        _ call: PluginCall,
        of label: UnsafePointer<CrashLabel>,
        _ body: () -> Result
    ) -> Result {
        let crumb = here
        // A plugin may call the host, and the host another plugin.
        let (labelBefore, callBefore) = (crumb.pointee.label, crumb.pointee.call)
        let requestBefore = crumb.pointee.request
        crumb.pointee.call = call.rawValue
        crumb.pointee.request = nil
        crumb.pointee.label = label
        let result = body()
        crumb.pointee.label = labelBefore
        crumb.pointee.call = callBefore
        crumb.pointee.request = requestBefore
        return result
    }
}

extension CrashRecord {
    /// Where this host's requests and hooks have what a record says of them.
    public static let layout: Layout = {
        let request = offset(\RequestContext.request)
        return Layout(
            entryLabel: offset(\HookEntry.plugin),
            number: offset(\RequestContext.facts) + offset(\sluice_facts.request_number),
            method: request + offset(\Message.method),
            path: request + offset(\Message.path)
        )
    }()

    private static func offset<Root>(_ path: PartialKeyPath<Root>) -> Int {
        guard let offset = MemoryLayout<Root>.offset(of: path) else {
            preconditionFailure("no offset of \(path)")
        }
        return offset
    }
}
