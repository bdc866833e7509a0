import CSluice
import Glibc
import Sys
import Testing

@testable import PluginHost

// The libraries are those that were kept when a version of the ABI was released.
#if arch(x86_64)
    extension ImageRegistryTests {
        /// Libraries of several languages are loaded, used, and unmapped, again and again.
        ///
        /// Within the other suite of the registry, so that neither sweeps what the other is at.
        @Suite(.serialized)
        struct UnmappingTests {
            private static let swapCount = 200
            private let folder: TemporaryFolder

            init() throws {
                folder = try TemporaryFolder()
            }

            enum Language: String, CaseIterable {
                case c = "libfilter-c.so"
                case rust = "libfilter-rust.so"
                case embeddedSwift = "embedded/libHeaders.so"
            }

            /// A copy of the library; without the flag that makes the linker keep it.
            private func copy(_ language: Language) throws -> String {
                let golden = Compiler.root + "/Tests/ABI/golden/v0-minor-2/x86_64/"
                var bytes = try #require(File.read(golden + language.rawValue, bytesMax: 4 << 20))
                // `DT_FLAGS_1` with `DF_1_NODELETE` alone, as it stands in the dynamic table.
                let entry: [UInt8] = [0xfb, 0xff, 0xff, 0x6f, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]
                var at = 0
                while language == .embeddedSwift, at + entry.count <= bytes.count {
                    if bytes[at..<(at + entry.count)].elementsEqual(entry) { bytes[at + 8] = 0 }
                    at += 8
                }
                let path = folder.path + "/\(language).so"
                try File.writeNew(path, bytes, mode: 0o600)
                return path
            }

            /// One library's life with a request.
            private func swap(_ file: PluginFile, mayUnload: Bool) throws {
                let library = try PluginLibrary(file, mayUnload: mayUnload)
                let instance = try PluginInstance(
                    name: "swapped",
                    index: 0,
                    library: library,
                    failureStatus: 500,
                    configuration: .object([]),
                    workerCount: 1,
                    logLevel: 1
                )
                let slot = instance.startWorker(0)
                do {
                    let exchange = Exchange(slots: [Int(bitPattern: slot)])
                    let chain = Chain(route: [instance], exchange: exchange)
                    for phase in [Phase.requestHeaders, .responseHeaders, .requestEnd] {
                        #expect(chain.run(phase) == .proceed)
                    }
                }
                instance.stopWorker(0, slot)
                instance.destroy()
            }

            @Test(arguments: Language.allCases)
            func `two hundred swaps give the memory back`(language: Language) throws {
                let file = try PluginFile(path: try copy(language), pin: nil)
                #expect(file.unloadObstacles == [])
                for _ in 0..<10 {
                    try swap(file, mayUnload: true)
                    #expect(ImageRegistry.shared.sweep() >= 1)
                }
                let before = resident()
                for _ in 0..<Self.swapCount {
                    try swap(file, mayUnload: true)
                    #expect(ImageRegistry.shared.sweep() >= 1)
                }
                let unmapped = resident() - before
                #expect(mappings(of: language) == 0)
                for _ in 0..<Self.swapCount { try swap(file, mayUnload: false) }
                let kept = resident() - before - unmapped
                #expect(mappings(of: language) > 0)
                let count = Self.swapCount
                print("\(language): \(count) swaps: \(unmapped) KiB unmapped, \(kept) KiB kept")
            }

            /// Parts of the address space that private copies have.
            private func mappings(of language: Language) -> Int {
                let text = File.read("/proc/self/maps", bytesMax: 16 << 20) ?? []
                return String(decoding: text, as: UTF8.self).split(separator: "\n")
                    .count { $0.contains("/\(language).so (deleted)") }
            }

            /// KiB of the process in memory.
            private func resident() -> Int {
                let text = File.read("/proc/self/statm", bytesMax: 256) ?? []
                let words = String(decoding: text, as: UTF8.self).split(separator: " ")
                return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * 4
            }
        }
    }
#endif
