import Glibc
import Synchronization
import Sys
import Testing

struct ProcessTests {
    @Test
    func `there is a core at least, and no more than the machine has`() {
        #expect(Process.coreCount() >= 1)
        #expect(Process.coreCount() <= max(1, sysconf(Int32(_SC_NPROCESSORS_CONF))))
    }

    @Test
    func `random bytes fill the value`() {
        var first: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var second = first
        Process.random(&first)
        Process.random(&second)
        #expect(first != second)
        #expect(first.0 != 0 && first.3 != 0)
    }

    @Test
    func `random words differ, in each thread`() {
        let words = Mutex<Set<UInt64>>([])
        let threads = (0..<4).map { index in
            PinnedThread.start(name: "random-\(index)") {
                for _ in 0..<100 {
                    let word = Process.randomWord()
                    words.withLock { _ = $0.insert(word) }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(words.withLock { $0.count } == 400)
    }

    @Test
    func `the environment is read`() {
        #expect(Process.environment("PATH")?.isEmpty == false)
        #expect(Process.environment("SLUICE_TESTS_NEVER_SET") == nil)
        #expect(Process.id == getpid())
    }

    @Test
    func `the executable has a path from the root`() {
        #expect(Process.executablePath().hasPrefix("/"))
        #expect(File.exists(Process.executablePath()))
    }

    @Test
    func `the limit of descriptors is as high as allowed`() {
        let limit = Process.raiseDescriptorLimit()
        var held = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &held) == 0)
        #expect(UInt(limit) == held.rlim_cur)
        #expect(held.rlim_cur == held.rlim_max)
    }

    @Test
    func `time goes on`() {
        let first = Clock.monotonicNanoseconds()
        #expect(Clock.monotonicNanoseconds() >= first)
        let wall = UInt64(time(nil))
        #expect(Clock.wallSeconds() - wall <= 1)
        #expect(Clock.wallNanoseconds() / 1_000_000_000 - wall <= 1)
    }

    @Test
    func `a thread runs to its end and has its name, cut at 15 bytes`() {
        let name = Mutex("")
        let thread = PinnedThread.start(name: "a-name-of-20-letters") {
            // The starter sets the name, maybe after this thread began.
            var text = ""
            while !text.hasPrefix("a-name") {
                let bytes = File.read("/proc/thread-self/comm", bytesMax: 64) ?? []
                text = String(decoding: bytes, as: UTF8.self)
            }
            name.withLock { $0 = text }
        }
        thread.join()
        #expect(name.withLock { $0 } == "a-name-of-20-le\n")
    }

    @Test
    func `a library that can't be loaded is named in the error`() {
        do throws(DynamicLibrary.LoadError) {
            _ = try DynamicLibrary(path: "/nowhere/libnone.so")
            Issue.record("loaded")
        } catch {
            #expect(
                error.text
                    == "/nowhere/libnone.so: cannot open shared object file: "
                    + "No such file or directory"
            )
        }
    }

    @Test
    func `symbols of a library are found by name`() throws {
        let library = try DynamicLibrary(path: "libc.so.6")
        #expect(library.symbol("strlen") != nil)
        #expect(library.symbol("no_such_symbol_at_all") == nil)
    }
}
