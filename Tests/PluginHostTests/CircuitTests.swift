import Sys
import Testing

@testable import PluginHost

/// A circuit whose calls may stand in an expectation.
private final class Subject {
    private var circuit = Circuit()

    var isWatched: Bool { circuit.isWatched }
    var isOpen: Bool { circuit.isOpen }

    func fault(now: UInt64, _ settings: CircuitSettings) -> Circuit.Change? {
        circuit.fault(now: now, settings)
    }

    func admit(_ request: UnsafeRawPointer, now: UInt64, _ settings: CircuitSettings) -> Bool {
        circuit.admit(request, now: now, settings)
    }

    func end(_ request: UnsafeRawPointer, now: UInt64) -> Circuit.Change? {
        circuit.end(request, now: now)
    }
}

struct CircuitTests {
    private let settings = CircuitSettings(faults: 3, window: 1_000, retry: 5_000)
    private let request = UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped
    private let other = UnsafeRawPointer(bitPattern: 32).unsafelyUnwrapped

    /// Requests that all fail, until the circuit opens; how many those were.
    private func open(_ circuit: Subject, at now: UInt64) -> Int {
        for count in 1...100 {
            #expect(circuit.admit(request, now: now, settings))
            if circuit.fault(now: now, settings) == .opened { return count }
        }
        return 0
    }

    @Test
    func `as many faults as are borne change nothing`() {
        let circuit = Subject()
        for _ in 0..<3 { #expect(circuit.fault(now: 10, settings) == nil) }
        #expect(!circuit.isWatched)
        #expect(circuit.fault(now: 10, settings) == nil)
        #expect(circuit.isWatched)
        #expect(!circuit.isOpen)
    }

    @Test
    func `faults of an earlier window do not count`() {
        let circuit = Subject()
        for now: UInt64 in [0, 1, 1_002, 1_003, 1_004] {
            #expect(circuit.fault(now: now, settings) == nil)
        }
        #expect(!circuit.isWatched)
        _ = circuit.fault(now: 2_002, settings)
        #expect(circuit.isWatched)
    }

    @Test
    func `no bound bears all`() {
        let circuit = Subject()
        for _ in 0..<1_000 { #expect(circuit.fault(now: 1, .off) == nil) }
        #expect(!circuit.isWatched)
    }

    @Test
    func `it opens when requests go on failing, and is tried after a while`() {
        let circuit = Subject()
        #expect(open(circuit, at: 10) == 7)
        #expect(circuit.isOpen)
        #expect(!circuit.admit(request, now: 5_009, settings))
        #expect(circuit.admit(request, now: 5_010, settings))
        // One tries, the others do not pass.
        #expect(!circuit.admit(other, now: 5_010, settings))
        #expect(circuit.end(other, now: 5_011) == nil)
        #expect(circuit.end(request, now: 5_011) == .closed)
        #expect(!circuit.isWatched)
    }

    @Test
    func `a trial that fails keeps it open`() {
        let circuit = Subject()
        _ = open(circuit, at: 0)
        #expect(circuit.admit(request, now: 5_000, settings))
        #expect(circuit.fault(now: 5_001, settings) == nil)
        #expect(circuit.end(request, now: 5_002) == nil)
        #expect(circuit.isOpen)
        #expect(!circuit.admit(other, now: 10_000, settings))
        #expect(circuit.admit(other, now: 10_001, settings))
    }

    @Test
    func `a trial that does not end is followed by another`() {
        let circuit = Subject()
        _ = open(circuit, at: 0)
        #expect(circuit.admit(request, now: 5_000, settings))
        #expect(!circuit.admit(other, now: 9_999, settings))
        #expect(circuit.admit(other, now: 10_000, settings))
        #expect(circuit.end(request, now: 10_001) == nil)
        #expect(circuit.end(other, now: 10_001) == .closed)
    }

    @Test(arguments: [(6, true), (7, false)])
    func `every second request must fail`(requests: Int, opens: Bool) {
        let circuit = Subject()
        for _ in 0..<4 { _ = circuit.fault(now: 1, settings) }
        for _ in 0..<requests { #expect(circuit.admit(request, now: 2, settings)) }
        var change: Circuit.Change?
        for _ in 0..<3 { change = circuit.fault(now: 3, settings) }
        #expect((change == .opened) == opens)
        #expect(circuit.isOpen == opens)
        #expect(circuit.isWatched == opens)
    }

    @Test
    func `a suspect that fails no more is none after the window`() {
        let circuit = Subject()
        for _ in 0..<4 { _ = circuit.fault(now: 1, settings) }
        #expect(circuit.admit(request, now: 1_001, settings))
        #expect(circuit.isWatched)
        #expect(circuit.admit(request, now: 1_002, settings))
        #expect(!circuit.isWatched)
    }
}

struct HangDetectorTests {
    /// What each of these looks, ten nanoseconds apart, makes of the time.
    private func times(_ looks: [(turns: UInt64, call: UInt64)]) -> [UInt64] {
        var detector = HangDetector()
        return looks.map { detector.look(Breadcrumb.Sample(turns: $0.turns, call: $0.call), 10) }
    }

    @Test
    func `only the same call in the same turn is a hang`() {
        #expect(times([(1, 7), (1, 7), (1, 7)]) == [0, 10, 20])
        #expect(times([(1, 7), (1, 7), (2, 7), (2, 7)]) == [0, 10, 0, 10])
        #expect(times([(2, 7), (2, 7), (2, 9), (2, 9)]) == [0, 10, 0, 10])
    }

    @Test
    func `a worker that waits is in no call`() {
        #expect(times([(1, 0), (1, 0), (1, 0)]) == [0, 0, 0])
    }
}
