import CLinux
import Glibc
import Testing

@testable import Sys

struct CrashRecordTests {
    @Test
    func `Swift's structs are those of the handler`() {
        typealias Label = (swift: PartialKeyPath<CrashLabel>, c: PartialKeyPath<clinux_label>)
        let labels: [Label] = [
            (\.name, \.name), (\.library, \.library), (\.sha256, \.sha256), (\.version, \.version),
            (\.nameLength, \.name_length), (\.libraryLength, \.library_length),
            (\.sha256Length, \.sha256_length), (\.versionLength, \.version_length),
            (\.policy, \.policy),
        ]
        for label in labels {
            #expect(
                MemoryLayout<CrashLabel>.offset(of: label.swift)
                    == MemoryLayout<clinux_label>.offset(of: label.c)
            )
        }
        #expect(MemoryLayout<CrashLabel>.size == MemoryLayout<clinux_label>.size)
        typealias Crumb = (swift: PartialKeyPath<Breadcrumb>, c: PartialKeyPath<clinux_crumb>)
        let crumbs: [Crumb] = [
            (\.label, \.label), (\.request, \.request), (\.call, \.call), (\.worker, \.worker),
            (\.thread, \.thread), (\.turns, \.turns), (\.hookRequest, \.hook_request),
            (\.hookEntry, \.hook_entry), (\.hookPhase, \.hook_phase),
        ]
        for crumb in crumbs {
            #expect(
                MemoryLayout<Breadcrumb>.offset(of: crumb.swift)
                    == MemoryLayout<clinux_crumb>.offset(of: crumb.c)
            )
        }
        #expect(MemoryLayout<Breadcrumb>.size == MemoryLayout<clinux_crumb>.size)
    }

    /// A file with what a process may have left in it.
    private func read(_ change: (inout clinux_crash_record) -> Void) throws -> CrashRecord? {
        let file = try CrashRecord.makeFile()
        var record = clinux_crash_record()
        record.magic = UInt64(CLINUX_CRASH_MAGIC)
        record.version = UInt32(CLINUX_CRASH_VERSION)
        record.state = CLINUX_CRASH_WHOLE.rawValue
        record.kind = CLINUX_CRASH_SIGNAL.rawValue
        record.signal = SIGSEGV
        record.worker = 3
        record.found = CLINUX_FOUND_CALL.rawValue
        change(&record)
        withUnsafeBytes(of: record) { _ = pwrite(file.number, $0.baseAddress, $0.count, 0) }
        return CrashRecord.read(file.number)
    }

    private func fill<Bytes>(_ bytes: inout Bytes, _ text: [UInt8]) {
        withUnsafeMutableBytes(of: &bytes) { to in to.copyBytes(from: text.prefix(to.count)) }
    }

    @Test
    func `an unused file is no record`() throws {
        let file = try CrashRecord.makeFile()
        #expect(CrashRecord.read(file.number) == nil)
        #expect(try read { $0.state = CLINUX_CRASH_EMPTY.rawValue } == nil)
    }

    @Test
    func `a record of another layout is none`() throws {
        #expect(try read { $0.magic += 1 } == nil)
        #expect(try read { $0.version += 1 } == nil)
        #expect(try read { $0.kind = 7 } == nil)
    }

    @Test
    func `a record that is too short is none`() throws {
        let file = try CrashRecord.makeFile()
        #expect(ftruncate(file.number, 100) == 0)
        #expect(CrashRecord.read(file.number) == nil)
    }

    @Test
    func `what was written half is read as far as it is there`() throws {
        let record = try read { $0.state = CLINUX_CRASH_WRITING.rawValue }
        #expect(record?.kind == .signal(SIGSEGV, address: 0))
        #expect(record?.worker == 3)
    }

    @Test
    func `texts end with their room, and have nothing that a line would not`() throws {
        let record = try read { record in
            fill(&record.plugin, [UInt8](repeating: UInt8(ascii: "p"), count: 500))
            fill(&record.hook, Array("pick\n\u{1b}[31m".utf8))
            record.policy = 99
        }
        #expect(record?.plugin?.name == String(repeating: "p", count: 128))
        #expect(record?.plugin?.hook == "pick??[31m")
        #expect(record?.plugin?.policy == .restart)
    }

    @Test
    func `a hang and a thread that is no worker`() throws {
        let record = try read { record in
            record.kind = CLINUX_CRASH_HANG.rawValue
            record.hang_nanoseconds = 5
            record.worker = -1
            record.found = CLINUX_FOUND_NOT.rawValue
        }
        #expect(record?.kind == .hang(nanoseconds: 5))
        #expect(record?.worker == nil)
        #expect(record?.plugin == nil)
    }

    @Test
    func `a thread has a breadcrumb of its own, until it uses another one`() {
        let own = Breadcrumb.here
        #expect(own.pointee.label == nil)
        let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        word.initialize(to: 0)
        defer { word.deallocate() }
        let other = UnsafeMutablePointer<Breadcrumb>.allocate(capacity: 1)
        other.initialize(
            to: Breadcrumb(worker: 1, hookRequest: word, hookEntry: word, hookPhase: word)
        )
        Breadcrumb.use(other)
        #expect(Breadcrumb.here == other)
        #expect(other.pointee.thread > 0)
        #expect(Breadcrumb.sample(other) == .init(turns: 0, call: 0))
        // A hook runs.
        word.pointee = 8
        other.pointee.turns = 2
        let sample = Breadcrumb.sample(other)
        #expect(sample.turns == 2)
        #expect(sample.call != 0)
        Breadcrumb.use(nil)
        #expect(Breadcrumb.here == own)
        other.deallocate()
    }
}
