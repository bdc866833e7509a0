public import CSluice
public import HTTP
import Sys

/// A request that a plugin wants made, copied from its `sluice_call` and checked.
public final class CalloutRequest {
    /// The request that it belongs to; nil for none.
    public let owner: UnsafeMutablePointer<RequestContext>?
    /// Index among the manifest's upstreams.
    public let upstream: Int
    /// Head and body as they are sent.
    public let bytes: [UInt8]
    /// Bytes of the first line; Host comes behind it where the plugin gave none.
    public let lineCount: Int
    public let namesHost: Bool
    public let method: Method
    public let bodyBytesMax: Int
    public let timeoutNanoseconds: UInt64
    public let sequence: UInt64
    /// Nil of a callout.
    public let probe: ProbeOrder?
    private let handle: InstanceHandle
    /// Nil of a probe, which has its own.
    private let done:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
                UnsafePointer<sluice_call_result>?
            ) -> Void
        )?
    private let context: UnsafeMutableRawPointer?

    /// Bytes of a callout's body, and of its answer's.
    public static let bodyBytesMost = 1_048_576
    static let answerBytesDefault = 65_536
    /// Nanoseconds of all of it.
    static let timeoutMost: UInt64 = 60_000_000_000
    static let timeoutDefault: UInt64 = 5_000_000_000
    /// Bytes of its head.
    static let headBytesMax = 65_536

    /// Nil when the call breaks a rule of HTTP or a bound.
    init?(
        _ call: UnsafePointer<sluice_call>,
        upstream: Int,
        _ handle: InstanceHandle,
        owner: UnsafeMutablePointer<RequestContext>?,
        sequence: UInt64
    ) {
        guard call.pointee.size == UInt32(MemoryLayout<sluice_call>.size),
            let done = call.pointee.done,
            call.pointee.body.len <= UInt64(Self.bodyBytesMost),
            call.pointee.body_max <= UInt64(Self.bodyBytesMost),
            call.pointee.timeout_ns <= Self.timeoutMost,
            let head = Self.head(call.pointee)
        else { return nil }
        self.done = done
        probe = nil
        self.handle = handle
        self.owner = owner
        self.upstream = upstream
        self.sequence = sequence
        method = Self.method(call.pointee.method)
        bytes = head + Self.bytes(call.pointee.body)
        lineCount = (head.firstIndex(of: UInt8(ascii: "\n")) ?? 0) + 1
        namesHost = call.pointee.authority.len > 0
        let answer = Int(call.pointee.body_max)
        bodyBytesMax = answer == 0 ? Self.answerBytesDefault : answer
        let timeout = call.pointee.timeout_ns
        timeoutNanoseconds = timeout == 0 ? Self.timeoutDefault : timeout
        context = call.pointee.context
    }

    /// Nil when the probe breaks a rule of HTTP or a bound.
    ///
    /// - Parameter order: of the same probe.
    init?(
        _ probe: UnsafePointer<sluice_probe>,
        _ order: ProbeOrder,
        upstream: Int,
        _ handle: InstanceHandle,
        sequence: UInt64
    ) {
        var call = sluice_call()
        call.method = probe.pointee.method
        call.path = probe.pointee.path.len == 0 ? sluice_slice("/") : probe.pointee.path
        call.authority = probe.pointee.authority
        call.fields = probe.pointee.fields
        call.field_count = probe.pointee.field_count
        call.body = probe.pointee.body
        guard probe.pointee.body.len <= UInt64(ProbeOrder.bodyBytesMax),
            probe.pointee.body_max <= UInt64(Self.bodyBytesMost),
            probe.pointee.timeout_ns <= Self.timeoutMost,
            let head = Self.head(call)
        else { return nil }
        done = nil
        self.probe = order
        self.handle = handle
        owner = nil
        self.upstream = upstream
        self.sequence = sequence
        method = Self.method(call.method)
        bytes = head + Self.bytes(call.body)
        lineCount = (head.firstIndex(of: UInt8(ascii: "\n")) ?? 0) + 1
        namesHost = call.authority.len > 0
        let answer = Int(probe.pointee.body_max)
        bodyBytesMax = answer == 0 ? Self.answerBytesDefault : answer
        let timeout = probe.pointee.timeout_ns
        timeoutNanoseconds = timeout == 0 ? ProbeOrder.timeoutDefault : timeout
        context = probe.pointee.context
    }

    /// Tells the plugin what came of its probe; the instance still runs here. [the worker]
    public func finish(worker: Int, _ result: UnsafePointer<sluice_probe_result>) {
        guard let done = probe?.done else { return }
        handle.withRunning(.probe, worker: worker) { instance, slot in
            done(instance, slot, context, result)
        }
    }

    /// Whether an instance has asked for it.
    public func isOf(_ instance: PluginInstance) -> Bool { instance.isBehind(handle) }

    /// Tells the plugin; the instance still runs on this worker. [the worker]
    public func finish(worker: Int, _ result: UnsafePointer<sluice_call_result>) {
        handle.withRunning(.callout, worker: worker) { instance, slot in
            done?(instance, slot, context, result)
        }
    }

    // MARK: The head

    private static func head(_ call: sluice_call) -> [UInt8]? {
        let method = call.method.len == 0 ? Array("GET".utf8) : bytes(call.method)
        let path = bytes(call.path)
        guard isToken(method), path.first == UInt8(ascii: "/"),
            path.withUnsafeBufferPointer({ isTarget($0) }), method != Array("CONNECT".utf8)
        else { return nil }
        var head = method + [UInt8(ascii: " ")] + path + Array(" HTTP/1.1\r\n".utf8)
        guard appendFields(call, to: &head), head.count <= headBytesMax else { return nil }
        if call.body.len > 0 || method == Array("POST".utf8) || method == Array("PUT".utf8) {
            head += Array("Content-Length: \(call.body.len)\r\n".utf8)
        }
        return head + Array("\r\n".utf8)
    }

    private static func appendFields(_ call: sluice_call, to head: inout [UInt8]) -> Bool {
        let authority = bytes(call.authority)
        if !authority.isEmpty {
            guard authority.withUnsafeBufferPointer({ isHost($0) }) else { return false }
            head += Array("Host: ".utf8) + authority + Array("\r\n".utf8)
        }
        guard call.field_count <= 100, call.field_count == 0 || call.fields != nil else {
            return false
        }
        for index in 0..<Int(call.field_count) {
            let field = call.fields[index]
            guard field.name.len <= 256, field.value.len <= 65_535 else { return false }
            let (name, value) = (bytes(field.name), bytes(field.value))
            guard isToken(name), name.withUnsafeBufferPointer({ !isHosts($0) }),
                value.withUnsafeBufferPointer({ isValue($0) })
            else { return false }
            head += name + Array(": ".utf8) + value + Array("\r\n".utf8)
        }
        return true
    }

    private static func bytes(_ slice: sluice_slice) -> [UInt8] {
        guard let pointer = slice.ptr, slice.len <= UInt64(bodyBytesMost) else { return [] }
        return Array(UnsafeBufferPointer(start: pointer, count: Int(slice.len)))
    }

    private static func isToken(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { FieldNames.isToken($0, count: buffer.count) } ?? false
        }
    }

    private static func isTarget(_ buffer: UnsafeBufferPointer<UInt8>) -> Bool {
        buffer.baseAddress.map { FieldNames.isTarget($0, count: buffer.count) } ?? false
    }

    private static func isHost(_ buffer: UnsafeBufferPointer<UInt8>) -> Bool {
        buffer.baseAddress.map { FieldNames.isHost($0, count: buffer.count) } ?? false
    }

    private static func isValue(_ buffer: UnsafeBufferPointer<UInt8>) -> Bool {
        buffer.baseAddress.map { FieldNames.isFieldValue($0, count: buffer.count) } ?? true
    }

    /// Fields that only the host writes.
    private static func isHosts(_ buffer: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let name = buffer.baseAddress else { return true }
        let id = FieldNames.id(name, count: buffer.count)
        return id == .host || id == .expect || FieldNames.isConnectionField(id)
    }

    private static func method(_ slice: sluice_slice) -> Method {
        let name = String(decoding: bytes(slice), as: UTF8.self)
        return switch name {
        case "", "GET": .get
        case "HEAD": .head
        case "PUT": .put
        case "DELETE": .delete
        case "OPTIONS": .options
        case "TRACE": .trace
        case "POST": .post
        default: .other
        }
    }
}
