import Proxy
import Testing

@testable import Server

struct PatternTests {
    private func complaint<Value>(_ body: () throws(Complaint) -> Value) -> String? {
        do throws(Complaint) {
            _ = try body()
            return nil
        } catch {
            return error.message
        }
    }

    @Test func `reads hosts`() throws {
        #expect(try Pattern.host("Example.com") == .exact("example.com"))
        #expect(try Pattern.host("*.Example.com") == .suffix(".example.com"))
        #expect(try Pattern.host("192.0.2.1") == .exact("192.0.2.1"))
        #expect(try Pattern.host("[2001:DB8:0::1]") == .exact("[2001:db8::1]"))
    }

    @Test(arguments: [
        "", "*", "*.", "*.*.com", "a*.com", "example.com:80", "2001:db8::1", "[1:2]", "a..b", "a.",
        "a b", ".a", "http://a",
    ])
    func `refuses other hosts`(text: String) {
        #expect(complaint { () throws(Complaint) in try Pattern.host(text) } != nil)
    }

    @Test func `reads paths`() throws {
        #expect(try Pattern.path("/") == .exact("/"))
        #expect(try Pattern.path("/a/b") == .exact("/a/b"))
        #expect(try Pattern.path("/a/") == .exact("/a/"))
        #expect(try Pattern.path("/a/*") == .prefix("/a/"))
        #expect(try Pattern.path("/*") == .any)
        #expect(try Pattern.path("/%C3%A4/~!$&'()+,;=:@") == .exact("/%C3%A4/~!$&'()+,;=:@"))
    }

    @Test(arguments: ["", "a", "*", "/a*", "/*/a", "/**", "/a?b", "/a#b", "/a b", "/ä", "/a\n"])
    func `refuses other paths`(text: String) {
        #expect(complaint { () throws(Complaint) in try Pattern.path(text) } != nil)
    }

    @Test func `bounds paths`() {
        func path(_ count: Int) -> String { "/" + String(repeating: "a", count: count - 1) }
        #expect(complaint { () throws(Complaint) in try Pattern.path(path(4_096)) } == nil)
        #expect(complaint { () throws(Complaint) in try Pattern.path(path(4_097)) } != nil)
    }

    @Test func `reads methods and fields`() throws {
        #expect(try Pattern.method("GET") == "GET")
        #expect(try Pattern.method("M-SEARCH") == "M-SEARCH")
        #expect(
            complaint { () throws(Complaint) in try Pattern.method("get") }
                == "methods are upper case; did you mean \"GET\"?"
        )
        #expect(complaint { () throws(Complaint) in try Pattern.method("") } != nil)
        #expect(complaint { () throws(Complaint) in try Pattern.method("GET /") } != nil)
        #expect(try Pattern.fieldName("X-Api_Key") == "x-api_key")
        #expect(complaint { () throws(Complaint) in try Pattern.fieldName("x:") } != nil)
        #expect(try Pattern.fieldValue("a b\tc") == "a b\tc")
        #expect(try Pattern.fieldValue("") == "")
        for text in [" a", "a\t", "a\r\nb", "a\0", "\u{7F}"] {
            #expect(complaint { () throws(Complaint) in try Pattern.fieldValue(text) } != nil)
        }
    }

    @Test(arguments: [
        ("open", OnError.open), ("closed:400", .closed(400)), ("closed:503", .closed(503)),
        ("closed:599", .closed(599)),
    ])
    func `reads what an error means`(text: String, expected: OnError) throws {
        #expect(try Pattern.onError(text) == expected)
    }

    @Test(arguments: [
        "", "Open", "closed", "closed:", "closed:399", "closed:600", "closed:+50",
        "closed:0503", "closed:503:1", "open:503",
    ])
    func `refuses other meanings of an error`(text: String) {
        #expect(complaint { () throws(Complaint) in try Pattern.onError(text) } != nil)
    }

    @Test func `bounds names`() {
        for name in ["a", "_", "9", "a.b-c_D", String(repeating: "a", count: 64)] {
            #expect(Pattern.complaint(aboutName: name) == nil, "\(name)")
        }
        for name in ["", ".a", "-a", "a b", "ä", "a/b", String(repeating: "a", count: 65)] {
            #expect(Pattern.complaint(aboutName: name) != nil, "\(name)")
        }
    }
}
