import CSluice
import Synchronization

// What the host said hello with, kept for the life of the process.

let coreID: StaticString = "sluice.core/1"
let balancerID: StaticString = "sluice.lb/1"
let cacheID: StaticString = "sluice.cache/1"
let handoverID: StaticString = "sluice.handover/1"

/// The tables beside the core, with their ids.
private let tableIDs: [(table: HostTables, id: StaticString)] = [
    (.http, "sluice.http/1"), (.httpClient, "sluice.http_client/1"),
    (.shared, "sluice.shared/1"), (.waitset, "sluice.waitset/1"),
    (.threadCheck, "sluice.thread_check/1"), (.metrics, "sluice.metrics/1"),
    (.peers, "sluice.peers/1"),
]

// Addresses; 0 before the library said hello, or where the host has no such table.
private let coreAddress = Atomic<UInt>(0)
private let httpAddress = Atomic<UInt>(0)
private let clientAddress = Atomic<UInt>(0)
private let sharedAddress = Atomic<UInt>(0)
private let waitsetAddress = Atomic<UInt>(0)
private let threadsAddress = Atomic<UInt>(0)
private let metricsAddress = Atomic<UInt>(0)
private let peersAddress = Atomic<UInt>(0)

/// Looks all tables up; false when the host has no core.
func keepTables(of host: UnsafePointer<sluice_host_hello>) -> Bool {
    func address(_ id: StaticString, _ size: Int) -> UInt {
        // Safe: literals end with a NUL, and every table begins with its size.
        guard let table = host.pointee.get_extension(cString(id)),
            table.load(as: UInt32.self) == UInt32(size)
        else { return 0 }
        return UInt(bitPattern: table)
    }
    let core = address(coreID, MemoryLayout<sluice_core>.size)
    guard core != 0 else { return false }
    coreAddress.store(core, ordering: .releasing)
    let http = address("sluice.http/1", MemoryLayout<sluice_http>.size)
    httpAddress.store(http, ordering: .releasing)
    let client = address("sluice.http_client/1", MemoryLayout<sluice_http_client>.size)
    clientAddress.store(client, ordering: .releasing)
    let shared = address("sluice.shared/1", MemoryLayout<sluice_shared>.size)
    sharedAddress.store(shared, ordering: .releasing)
    let waitset = address("sluice.waitset/1", MemoryLayout<sluice_waitset>.size)
    waitsetAddress.store(waitset, ordering: .releasing)
    let threads = address("sluice.thread_check/1", MemoryLayout<sluice_thread_check>.size)
    threadsAddress.store(threads, ordering: .releasing)
    let metrics = address("sluice.metrics/1", MemoryLayout<sluice_metrics>.size)
    metricsAddress.store(metrics, ordering: .releasing)
    let peers = address("sluice.peers/1", MemoryLayout<sluice_peers>.size)
    peersAddress.store(peers, ordering: .releasing)
    return true
}

/// The services of a new instance; nil before the library said hello.
func makeServices(
    _ args: UnsafePointer<sluice_create_args>,
    _ offer: Offer,
    _ blocks: Blocks
) -> UnsafePointer<Services>? {
    guard let core = UnsafePointer<sluice_core>(bitPattern: load(coreAddress)) else { return nil }
    return blocks.place(
        Services(
            core: core,
            http: UnsafePointer(bitPattern: load(httpAddress)),
            client: UnsafePointer(bitPattern: load(clientAddress)),
            shared: UnsafePointer(bitPattern: load(sharedAddress)),
            waitset: UnsafePointer(bitPattern: load(waitsetAddress)),
            threads: UnsafePointer(bitPattern: load(threadsAddress)),
            metrics: UnsafePointer(bitPattern: load(metricsAddress)),
            peers: UnsafePointer(bitPattern: load(peersAddress)),
            handle: args.pointee.host,
            folder: Bytes(args.pointee.folder),
            workerCount: Int(args.pointee.worker_count),
            perform: offer.perform,
            run: offer.run,
            finish: offer.finish,
            calloutDone: offer.calloutDone,
            peersChanged: offer.peersChanged,
            probeDone: offer.probeDone
        )
    )
}

/// A list of the ids of one table and some more, for ever.
func makeList(
    _ first: StaticString,
    _ tables: HostTables
) -> UnsafePointer<UnsafePointer<CChar>?> {
    let room = tableIDs.count + 2
    let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: room)
    list.initialize(repeating: nil, count: room)
    list[0] = cString(first)
    var count = 1
    for known in tableIDs where tables.contains(known.table) {
        list[count] = cString(known.id)
        count += 1
    }
    return UnsafePointer(list)
}

/// A list of the ids of the tables that instances offer, for ever; nil without any.
func makeRoles(_ offer: Offer) -> UnsafePointer<UnsafePointer<CChar>?>? {
    guard offer.isBalancer || offer.isCache || offer.hasHandover else { return nil }
    let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: 4)
    list.initialize(repeating: nil, count: 4)
    var count = 0
    if offer.isBalancer {
        list[count] = cString(balancerID)
        count += 1
    }
    if offer.isCache {
        list[count] = cString(cacheID)
        count += 1
    }
    if offer.hasHandover { list[count] = cString(handoverID) }
    return UnsafePointer(list)
}

private func load(_ address: borrowing Atomic<UInt>) -> UInt { address.load(ordering: .acquiring) }

private func cString(_ literal: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
}
