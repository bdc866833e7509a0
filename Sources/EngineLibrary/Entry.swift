import CSluice
public import CSluiceEngine
import Engine
import PluginHost
import Proxy
import Server
import Sys

/// The library's only symbol: see `sluice/testing/engine.h`.
@c @implementation
public func sluice_engine_v1() -> UnsafePointer<sluice_engine_table>? {
    EngineTable.functions
}

/// The functions of `libSluiceEngine.so`.
enum EngineTable {
    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_engine_table> = {
        let table = UnsafeMutablePointer<sluice_engine_table>.allocate(capacity: 1)
        table.initialize(to: sluice_engine_table())
        table.pointee.size = UInt32(MemoryLayout<sluice_engine_table>.size)
        fillLife(table)
        fillConnections(table)
        fillLoop(table)
        fillLooking(table)
        return UnsafePointer(table)
    }()

    private static func fillLife(_ table: UnsafeMutablePointer<sluice_engine_table>) {
        table.pointee.open = { options, text in
            guard let options,
                Int(options.pointee.size) == MemoryLayout<sluice_engine_options>.size
            else {
                EngineTable.write(["this engine has another size of its options"], to: text)
                return nil
            }
            do throws(PluginError) {
                let engine = try Opening(options.pointee).open()
                return OpaquePointer(Unmanaged.passRetained(engine).toOpaque())
            } catch {
                EngineTable.write([error.description], to: text)
                return nil
            }
        }
        table.pointee.close = { engine, report in
            guard let engine else { return 0 }
            // Safe: `open` passed it retained, and it is closed once.
            let lines = Unmanaged<TestEngine>.fromOpaque(UnsafeRawPointer(engine))
                .takeRetainedValue().close()
            EngineTable.write(lines, to: report)
            return UInt32(lines.count)
        }
    }

    private static func fillConnections(_ table: UnsafeMutablePointer<sluice_engine_table>) {
        table.pointee.connect = { engine, address, listener in
            let text = address.text
            guard let engine = EngineTable.engine(engine),
                let client = text.isEmpty ? SocketAddress() : SocketAddress(text)
            else { return Int32(SLUICE_EINVAL) }
            let end = try? engine.connect(from: client, listener: Int(listener))
            return end ?? Int32(SLUICE_ENOMEM)
        }
        table.pointee.accept = { engine, peer in
            EngineTable.engine(engine)?.accept(peer: Int(peer)) ?? Int32(SLUICE_EAGAIN)
        }
        table.pointee.listen = { engine, peer, takes in
            guard let engine = EngineTable.engine(engine), Int(peer) < engine.peerCount,
                (try? engine.setListening(takes != 0, peer: Int(peer))) != nil
            else { return Int32(SLUICE_EINVAL) }
            return Int32(SLUICE_OK)
        }
        table.pointee.send = { engine, end, bytes in
            let bytes = UnsafeRawBufferPointer(start: bytes.ptr, count: Int(bytes.len))
            return EngineTable.number(EngineTable.engine(engine)?.send(bytes, to: end))
        }
        table.pointee.receive = { engine, end, to, capacity in
            let buffer = UnsafeMutableRawBufferPointer(start: to, count: Int(capacity))
            return EngineTable.number(EngineTable.engine(engine)?.receive(buffer, from: end))
        }
        table.pointee.shutdown = { engine, end in EngineTable.engine(engine)?.shutdown(end) }
        table.pointee.close_end = { engine, end in EngineTable.engine(engine)?.close(end) }
    }

    private static func fillLoop(_ table: UnsafeMutablePointer<sluice_engine_table>) {
        table.pointee.settle = { engine in
            EngineTable.engine(engine)?.settle() == true ? 1 : 0
        }
        table.pointee.wait = { engine, milliseconds in
            let milliseconds = Int32(clamping: milliseconds)
            return EngineTable.engine(engine)?.wait(milliseconds: milliseconds) == true ? 1 : 0
        }
        table.pointee.advance = { engine, nanoseconds in
            EngineTable.engine(engine)?.advance(nanoseconds)
        }
        table.pointee.now = { engine in EngineTable.engine(engine)?.now ?? 0 }
    }

    private static func fillLooking(_ table: UnsafeMutablePointer<sluice_engine_table>) {
        table.pointee.take_log = { engine, to, capacity in
            guard let engine = EngineTable.engine(engine), let to else { return 0 }
            return UInt64(engine.takeLog(to, Int(capacity)))
        }
        table.pointee.counts = { engine, name, out in
            guard let engine = EngineTable.engine(engine), let out,
                Int(out.pointee.size) == MemoryLayout<sluice_engine_counts>.size,
                let index = engine.instances.firstIndex(where: { $0.name == name.text })
            else { return Int32(SLUICE_EINVAL) }
            EngineTable.count(engine, index, out)
            return Int32(SLUICE_OK)
        }
        table.pointee.problem = { engine, end, text in
            guard let problem = EngineTable.engine(engine)?.problem(of: end) else {
                return Int32(SLUICE_EAGAIN)
            }
            EngineTable.write([problem], to: text)
            return Int32(SLUICE_OK)
        }
        table.pointee.resume_all = { engine, payload in
            UInt32(EngineTable.engine(engine)?.resumeAll(payload: payload) ?? 0)
        }
    }

    // MARK: Helpers

    private static func engine(_ engine: OpaquePointer?) -> TestEngine? {
        // Safe: `open` passed it retained; `close` is the last call.
        engine.map {
            Unmanaged<TestEngine>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue()
        }
    }

    private static func number(_ transfer: TestEngine.Transfer?) -> Int64 {
        switch transfer {
        case .bytes(let count): Int64(count)
        case .later: Int64(SLUICE_EAGAIN)
        case .closed, nil: Int64(SLUICE_ESTALE)
        case .refused: Int64(SLUICE_EINVAL)
        }
    }

    private static func count(
        _ engine: TestEngine,
        _ index: Int,
        _ out: UnsafeMutablePointer<sluice_engine_counts>
    ) {
        let probe = engine.probes[index]
        out.pointee.waits_now = UInt32(engine.waitCount)
        out.pointee.connections_now = UInt32(engine.openConnections)
        withUnsafeMutableBytes(of: &out.pointee.calls) { to in
            probe.calls.withUnsafeBytes { to.copyMemory(from: $0) }
        }
        out.pointee.resumptions = probe.resumptions
        withUnsafeMutableBytes(of: &out.pointee.verdicts) { to in
            probe.verdicts.withUnsafeBytes { to.copyMemory(from: $0) }
        }
        out.pointee.waits_begun = UInt64(probe.waits.count)
    }

    /// Writes lines into a text of the caller's, as much as there is room for.
    static func write(_ lines: [String], to error: UnsafeMutablePointer<sluice_errbuf>?) {
        guard let error, let to = error.pointee.ptr else { return }
        let bytes = Array(lines.joined(separator: "\n").utf8.prefix(Int(error.pointee.cap)))
        for (index, byte) in bytes.enumerated() { to[index] = CChar(bitPattern: byte) }
        error.pointee.len = UInt32(bytes.count)
    }
}
