import Testing

@testable import Server

struct NearestTests {
    static let known = ["listen", "listeners", "limits", "host", "first_byte", "tcp_keepalive"]

    @Test(arguments: [
        ("hots", "host"), ("hosts", "host"), ("ost", "host"), ("Host", "host"),
        ("listener", "listeners"), ("lisen", "listen"), ("limit", "limits"),
        ("firstByte", "first_byte"), ("tcp-keepalive", "tcp_keepalive"),
        ("firstbite", "first_byte"),
    ])
    func `finds what was meant`(name: String, meant: String) {
        #expect(nearest(to: name, among: Self.known) == meant)
    }

    @Test(arguments: ["", "x", "hxyt", "routes", String(repeating: "host", count: 100)])
    func `finds nothing far away`(name: String) {
        #expect(nearest(to: name, among: Self.known) == nil)
    }

    @Test func `takes the first of equals`() {
        #expect(nearest(to: "bat", among: ["cat", "hat"]) == "cat")
    }
}
