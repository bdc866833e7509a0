import HTTP
import Testing

/// Trailer sections (RFC 9112 §7.1.2).
struct TrailersTests {
    @Test
    func `an empty section is its empty line`() {
        let section = trailers("\r\nGET / HTTP/1.1\r\n")
        #expect(section.outcome == .complete)
        #expect(section.head.fieldCount == 0)
        #expect(section.head.consumed == 2)
    }

    @Test
    func `fields are found and may be repeated`() {
        let section = trailers("Grpc-Status: 0\r\nX:y\r\nETag: a\r\netag: b\r\n\r\nrest")
        #expect(section.outcome == .complete)
        #expect(section.head.consumed == 41)
        #expect(section.fields.map { $0.name } == ["Grpc-Status", "X", "ETag", "etag"])
        #expect(section.fields.map { $0.value } == ["0", "y", "a", "b"])
        #expect(section.fields.map { $0.isRepeated } == [false, false, false, true])
        #expect(section.droppedNames.isEmpty)
    }

    /// The kinds of RFC 9110 §6.5.1, and fields that are trusted behind a proxy.
    @Test
    func `fields that a trailer section may not carry are dropped`() {
        let dropped = [
            "Transfer-Encoding", "Content-Length", "Host", "Cache-Control", "Expect",
            "Max-Forwards", "Pragma", "Range", "TE", "If-Match", "If-None-Match",
            "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Authorization",
            "Proxy-Authorization", "Proxy-Authenticate", "WWW-Authenticate", "Cookie",
            "Set-Cookie", "Content-Encoding", "Content-Type", "Content-Range", "Trailer", "Age",
            "Expires", "Date", "Location", "Retry-After", "Vary", "Warning", "Connection",
            "Keep-Alive", "Proxy-Connection", "Upgrade", "X-Forwarded-For", "Forwarded",
        ]
        let kept = ["ETag", "Server-Timing", "Grpc-Status", "Content-Digest", "X-Checksum", "Link"]
        for name in dropped {
            #expect(trailers("X: y\r\n\(name): 1\r\n\r\n").droppedNames == [name])
        }
        for name in kept {
            #expect(trailers("\(name): 1\r\n\r\n").droppedNames.isEmpty)
        }
    }
}
