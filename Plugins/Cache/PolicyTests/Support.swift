import CachePolicy

extension Text {
    /// A copy that stays for as long as the tests run.
    init(_ text: String) {
        let bytes = Array(text.utf8)
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        copy.initialize(from: bytes, count: bytes.count)
        self.init(UnsafePointer(copy), count: bytes.count)
    }

    var string: String {
        String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

/// The directives of lines of `Cache-Control`.
func response(_ lines: String...) -> ResponseDirectives {
    var directives = ResponseDirectives()
    for line in lines { directives.add(Text(line)) }
    return directives
}

func request(_ lines: String...) -> RequestDirectives {
    var directives = RequestDirectives()
    for line in lines { directives.add(Text(line)) }
    return directives
}
