import CSluice
import HTTP
import PluginHost
import Synchronization
package import Sys
package import TLS

/// A listener as workers see it.
package struct ListenerPlan {
    package let address: SocketAddress
    /// As in the manifest.
    let text: Slice
    package let settings: ListenerSettings
    let head: HeadLimits
    /// Bytes of a body, Int64.max for no bound.
    let bodyBytesMax: Int64
    let connectionsMax: Int
    /// Connections of all workers.
    let connections: UnsafeMutablePointer<Atomic<Int>>
    /// Connections by client address; nil without such a bound.
    let addresses: AddressCounts?
    /// What the headers of connections must be like; nil when they have none.
    let proxyProtocol: UnsafePointer<ProxyProtocolPlan>?
    /// Nil when clients don't speak TLS.
    package let tls: TLSServerContext?
    let speaksHTTP1: Bool
    /// In the clear.
    let speaksHTTP2: Bool
    let meter: Meter

    /// - Parameter old: the listener of the plan before whose connections this one takes over.
    init(
        _ settings: ListenerSettings,
        address: SocketAddress,
        tls: TLSServerContext? = nil,
        descriptorLimit: Int,
        meter: Meter,
        continuing old: UnsafeMutablePointer<ListenerPlan>? = nil
    ) {
        self.meter = meter
        self.tls = tls
        self.settings = settings
        self.address = address
        speaksHTTP1 = settings.protocols.contains(.h1)
        speaksHTTP2 = settings.tls == nil && settings.protocols.contains(.h2c)
        let copy = sluice_slice(permanent: settings.address)
        text = Slice(copy.ptr, Int(copy.len))
        var limits = HeadLimits()
        limits.headBytesMax = settings.limits.headBytes
        limits.fieldCountMax = settings.limits.fields
        limits.targetBytesMax = settings.limits.targetBytes
        head = limits
        bodyBytesMax = settings.limits.bodyBytes ?? .max
        connectionsMax = settings.limits.connections ?? max(1, descriptorLimit / 4 * 3)
        if let old {
            connections = old.pointee.connections
        } else {
            connections = .allocate(capacity: 1)
            connections.initialize(to: Atomic(0))
        }
        addresses = AddressCounts.make(
            most: settings.limits.connectionsPerAddress,
            continuing: old?.pointee.addresses
        )
        proxyProtocol = settings.proxyProtocol.map { settings in
            let plan = UnsafeMutablePointer<ProxyProtocolPlan>.allocate(capacity: 1)
            plan.initialize(to: ProxyProtocolPlan(settings))
            return UnsafePointer(plan)
        }
    }

    /// Whether connections of this one can go on as connections of another: what they begin with
    /// is the same.
    func continues(as other: ListenerSettings) -> Bool {
        (settings.tls == nil) == (other.tls == nil)
            && (settings.proxyProtocol == nil) == (other.proxyProtocol == nil)
    }
}

/// Connections by client address, over all workers; asked when one is accepted and when it ends.
final class AddressCounts: Sendable {
    private let most: Atomic<Int>
    private let counts = Mutex<[IPAddress: Int]>([:])

    init(most: Int) { self.most = Atomic(most) }

    /// - Parameters:
    ///   - most: connections of one address; 0 is no bound, and then nothing is counted.
    ///   - old: what has counted the connections that there are already, to go on with.
    static func make(most: Int, continuing old: AddressCounts?) -> AddressCounts? {
        guard most > 0 else { return nil }
        guard let old else { return AddressCounts(most: most) }
        old.most.store(most, ordering: .relaxed)
        return old
    }

    /// Counts one more; false, and not counted, when the address has as many as it may.
    func add(_ address: IPAddress) -> Bool {
        counts.withLock { counts in
            let count = counts[address, default: 0]
            guard count < most.load(ordering: .relaxed) else { return false }
            counts[address] = count + 1
            return true
        }
    }

    func remove(_ address: IPAddress) {
        counts.withLock { counts in
            guard let count = counts[address] else { return }
            counts[address] = count > 1 ? count - 1 : nil
        }
    }
}
