import Testing

/// Threads on one folder.
///
/// The same under ThreadSanitizer: `make cache-tsan`.
struct ThreadTests {
    private let folder = TestFolder()

    @Test(arguments: [1 << 30, 2 << 20])
    func `threads see whole objects of the right key`(size: Int) throws {
        let arguments = ["stress", folder.path, "\(size)", "20000"]
        let ended = try Program(arguments).wait()
        #expect(ended.status == 0)
        #expect(ended.lines.last == ["faults", "0"])
    }
}
