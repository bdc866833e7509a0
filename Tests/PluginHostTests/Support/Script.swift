import CSluice
import PluginHost

/// What a hook of a test gets, in Swift's terms.
struct HookRun {
    var phase: Phase
    var slot: Int
    var context: UnsafeMutableRawPointer?
    var request: OpaquePointer?
    var args: UnsafeMutablePointer<sluice_args>

    var headers: UnsafePointer<sluice_headers> { args.pointee.headers }

    /// Asks for an edit; the texts live for ever.
    func edit(_ op: Int, id: Int = 0, name: String = "", value: String = "") {
        guard let edits = args.pointee.edits else { preconditionFailure("no edits here") }
        edits.pointee.add(op, id: id, name: name, value: value)
    }
}

extension sluice_edits {
    mutating func add(_ op: Int, id: Int = 0, name: String = "", value: String = "") {
        ops[Int(count)] = sluice_edit(
            op: UInt32(op),
            id: UInt32(id),
            name: sluice_slice(permanent: name),
            value: sluice_slice(permanent: value)
        )
        count += 1
    }
}

/// Hooks written by a test, and the plugin instance that they belong to.
///
/// Lives for ever, as instances do.
final class Script {
    typealias Hook = (HookRun) -> Int

    let hooks: [Phase: Hook]

    init(_ hooks: [Phase: Hook]) { self.hooks = hooks }

    /// The C function of every hook.
    private static let call: sluice_hook = { state, slot, request, context, args in
        guard let state, let args, let phase = Phase(rawValue: Int(args.pointee.phase)) else {
            return UInt32(SLUICE_ERROR)
        }
        let script = Unmanaged<Script>.fromOpaque(state).takeUnretainedValue()
        let run = HookRun(
            phase: phase,
            slot: Int(bitPattern: slot),
            context: context,
            request: request,
            args: args
        )
        return UInt32(script.hooks[phase]?(run) ?? SLUICE_CONTINUE)
    }

    func instance(
        _ name: String = "scripted",
        index: Int = 0,
        failureStatus: UInt16 = 502,
        contextBytes: Int = 0
    ) throws -> PluginInstance {
        let address = Int64(Int(bitPattern: unsafeBitCast(Self.call, to: UnsafeRawPointer.self)))
        let state = Int(bitPattern: Unmanaged.passRetained(self).toOpaque())
        var members: [(key: String, value: ConfigurationTree.Node)] = [
            ("context_size", .integer(Int64(contextBytes))), ("state", .integer(Int64(state))),
        ]
        for phase in hooks.keys { members.append((phase.name, .integer(address))) }
        return try PluginInstance(
            name: name,
            index: index,
            library: Compiler.hooks(),
            failureStatus: failureStatus,
            configuration: .object(members),
            workerCount: 1,
            logLevel: 0
        )
    }
}
