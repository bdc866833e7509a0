import CSluice

/// A plugin whose state moves over to an instance that takes its place.
public protocol StatefulPlugin: Plugin, ~Copyable {
    /// Writes the state, in a form that begins with a version of its own. Requests still run, and
    /// change it meanwhile.
    ///
    /// - Throws: why there is none; the new instance then begins empty, or not at all, as the
    ///   manifest says.
    func exportState(to sink: inout StateSink) throws(PluginError)

    /// Takes the state that another instance wrote, maybe one of an older version, before any
    /// worker starts.
    ///
    /// - Parameter state: comes from anywhere, so nothing in it can be relied on; valid until the
    ///   function returns.
    /// - Throws: when it is not understood; the instance must then be as if it had not been called.
    func importState(_ state: Bytes) throws(PluginError)
}

/// A plugin with state that requests change while it moves: what the requests that are still with
/// the old instance change is moved on its own, once the last of them has ended.
///
/// The role `sluice.handover/1`. In this order:
///
/// 1. `exportState` of the old instance and `importState` of the new one; requests still run, on
///    the old one;
/// 2. `warm` of the new one; from then on new requests go to it;
/// 3. `exportRest` of the old one, which has no request left, and `importRest` of the new one.
///
/// A counter is thus counted on in the old one and its difference added to the new one: nothing is
/// lost, and nothing is counted twice.
public protocol HandoverPlugin: StatefulPlugin, ~Copyable {
    /// Gets ready for requests, before any worker starts: fills tables, checks what it needs.
    ///
    /// - Throws: why it can't serve; the instance before it then stays.
    func warm() throws(PluginError)

    /// Writes what has changed since the last `exportState`, or since the instance was made. No
    /// request is left, and no worker.
    ///
    /// What is empty is not given to anybody.
    ///
    /// - Throws: why there is nothing; the change is then lost, with a line in the log.
    func exportRest(to sink: inout StateSink) throws(PluginError)

    /// Adds what another instance's `exportRest` wrote, while requests run.
    ///
    /// - Parameter rest: comes from anywhere, so nothing in it can be relied on; valid until the
    ///   function returns.
    /// - Throws: when it is not understood; the instance must then be as if it had not been called.
    func importRest(_ rest: Bytes) throws(PluginError)
}

extension HandoverPlugin where Self: ~Copyable {
    /// Always ready.
    public func warm() throws(PluginError) {}

    /// Nothing has changed.
    public func exportRest(to sink: inout StateSink) throws(PluginError) {}

    /// Takes nothing.
    public func importRest(_ rest: Bytes) throws(PluginError) {
        throw PluginError("takes no rest of a state")
    }
}

/// Where an instance writes its state.
public struct StateSink: ~Copyable {
    private let sink: UnsafePointer<sluice_sink>
    /// What the first write that failed said; 0 when none has.
    private(set) var result: Int32 = 0

    init(_ sink: UnsafePointer<sluice_sink>) { self.sink = sink }

    /// Writes a run of bytes.
    ///
    /// After one that failed, nothing is written any more.
    ///
    /// - Returns: whether it was taken.
    @discardableResult
    public mutating func write(_ bytes: Bytes) -> Bool {
        if result == 0 { result = sink.pointee.write(sink.pointee.context, bytes.slice) }
        return result == 0
    }

    /// Writes the bytes of a trivial value, as they lie in memory.
    ///
    /// A value with gaps between its members has whatever lay there in them.
    @discardableResult
    public mutating func write<Value: BitwiseCopyable>(value: Value) -> Bool {
        withUnsafeBytes(of: value) { bytes in
            guard let start = bytes.baseAddress else { return result == 0 }
            // Safe: the bytes are the value's, until the closure returns.
            return write(
                Bytes(start.assumingMemoryBound(to: UInt8.self), count: bytes.count)
            )
        }
    }
}

extension Bytes {
    /// The trivial value whose bytes lie at an offset, in any alignment; nil when they are not all
    /// there.
    ///
    /// Meant for numbers: any bytes must be a value of the type.
    public func load<Value: BitwiseCopyable>(_ type: Value.Type, at offset: Int) -> Value? {
        guard offset >= 0, offset <= count, MemoryLayout<Value>.size <= count - offset else {
            return nil
        }
        // Safe: all bytes are there.
        return UnsafeRawPointer(start).loadUnaligned(fromByteOffset: offset, as: Value.self)
    }
}
