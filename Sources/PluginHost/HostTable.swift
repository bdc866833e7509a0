public import CSluice
import Sys

/// What the host says of itself to a library, and its tables by their ids.
public enum HostTable {
    /// What the host says in the handshake; one for the process.
    // Safe: filled once, never changed and never freed.
    public nonisolated(unsafe) static let hello: UnsafePointer<sluice_host_hello> = {
        let hello = UnsafeMutablePointer<sluice_host_hello>.allocate(capacity: 1)
        hello.initialize(to: sluice_host_hello())
        hello.pointee.size = UInt32(MemoryLayout<sluice_host_hello>.size)
        hello.pointee.abi_minor = UInt32(SLUICE_ABI_MINOR)
        hello.pointee.host_name = sluice_slice("sluice")
        hello.pointee.host_version = sluice_slice(hostVersion)
        hello.pointee.get_extension = { id in
            guard let id else { return nil }
            return HostTable.tables.first { HostTable.isEqual(id, $0.id) }?.table
        }
        return UnsafePointer(hello)
    }()

    /// The least minor version that libraries may be made for: minor 1 was a draft.
    static let abiMinorMin: UInt32 = 2

    /// The version of the plugin ABI that this host offers, as in "0.2".
    public static let abi = "\(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR)"

    /// Why a library that needs this ABI can't be loaded; nil when it can.
    public static func complaint(aboutABI major: UInt32, _ minor: UInt32) -> String? {
        let host = abi
        if major == UInt32(SLUICE_ABI_MAJOR), minor < abiMinorMin {
            return "is made for plugin ABI \(major).\(minor), a draft; this host has \(host)"
        }
        if major != UInt32(SLUICE_ABI_MAJOR) || minor > UInt32(SLUICE_ABI_MINOR) {
            return "needs plugin ABI \(major).\(minor), this host has \(host)"
        }
        return nil
    }

    /// Whether there is a table with this id.
    public static func offers(_ id: String) -> Bool {
        id.withCString { hello.pointee.get_extension($0) } != nil
    }

    /// Version of the host, as plugins see it.
    public static let hostVersion: StaticString = "0.1.0"

    private struct Table {
        let id: String
        let table: UnsafeRawPointer
    }

    /// All that `get_extension` finds.
    // Safe: tables are filled once, never changed and never freed.
    private nonisolated(unsafe) static let tables = [
        Table(id: SLUICE_CORE_ID, table: UnsafeRawPointer(CoreTable.functions)),
        Table(id: SLUICE_HTTP_ID, table: UnsafeRawPointer(HTTPTable.functions)),
        Table(id: SLUICE_SHARED_ID, table: UnsafeRawPointer(SharedTables.functions)),
        Table(id: SLUICE_WAITSET_ID, table: UnsafeRawPointer(Waitset.functions)),
        Table(id: SLUICE_HTTP_CLIENT_ID, table: UnsafeRawPointer(CalloutPort.functions)),
        Table(id: SLUICE_PEERS_ID, table: UnsafeRawPointer(PeersTable.functions)),
        Table(id: SLUICE_METRICS_ID, table: UnsafeRawPointer(CoreTable.metrics)),
        Table(id: SLUICE_THREAD_CHECK_ID, table: UnsafeRawPointer(CoreTable.threadCheck)),
    ]

    /// Ids of the tables that this host offers.
    public static var ids: [String] { tables.map(\.id) }

    /// Compares without reading beyond the first difference or the end of either.
    private static func isEqual(_ text: UnsafePointer<CChar>, _ id: String) -> Bool {
        var index = 0
        for byte in id.utf8 {
            guard text[index] == CChar(bitPattern: byte) else { return false }
            index += 1
        }
        return text[index] == 0
    }
}
