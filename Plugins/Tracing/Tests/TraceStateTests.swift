import SluiceSDK
import Testing

@testable import Tracing

/// `tracestate` by the cases of the working group's own tests of implementations.
struct TraceStateTests {
    private func isValid(_ values: [String]) -> Bool {
        var check = TraceStateCheck()
        for value in values where !check.add(bytes(value)) { return false }
        return true
    }

    private static func members(_ count: Int) -> String {
        (0..<count).map { "bar\($0)=\($0)" }.joined(separator: ",")
    }

    @Test(arguments: [
        ["foo=1"], ["foo=1,bar=2"], ["foo=1", "bar=2"], ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        // Empty lists and members.
        [""], ["foo=1", ""], ["", "foo=1"], ["foo=1,"], [",foo=1"], ["foo=1,,,bar=2"],
        // A key that occurs twice is for those who read the list.
        ["foo=1,foo=1"], ["foo=1", "foo=2"],
        ["foo=1 \t , \t bar=2, \t baz=3"], ["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], [" foo=1"],
        ["foo=1\t"], ["\tfoo=1 \t"],
        ["abcdefghijklmnopqrstuvwxyz0123456789_-*/=1"], ["a-b@c-d=1"], ["0tenant@system=1"],
        // Since level 2 a key may begin with a digit.
        ["0a=1"],
        [
            "foo="
                + String((0x20...0x7E).map { Character(Unicode.Scalar($0)) })
                .filter { $0 != "," && $0 != "=" }
        ],
        [members(32)], ["\(String(repeating: "z", count: 256))=1"],
        ["\(String(repeating: "t", count: 241))@\(String(repeating: "v", count: 14))=1"],
        ["a=\(String(repeating: "v", count: 256))"],
    ])
    func `a list that is right goes on`(values: [String]) { #expect(isValid(values)) }

    @Test(arguments: [
        ["foo"], ["=1"], ["foo="], ["foo=,bar=3"], ["foo=bar=baz"], ["foo =1"], ["FOO=1"],
        ["foo.bar=1"], ["foo@=1,bar=2"], ["@foo=1,bar=2"], ["foo@@bar=1,bar=2"],
        ["foo@bar@baz=1,bar=2"], ["foo@1bar=1"], ["_foo=1"], ["foo=1;bar=2\u{7F}"], ["foo=\u{01}"],
        ["foo=ä"], ["foo=1", "bar"],
        [members(33)], [members(20), members(13)], ["\(String(repeating: "z", count: 257))=1"],
        ["\(String(repeating: "t", count: 242))@v=1"],
        ["t@\(String(repeating: "v", count: 15))=1"],
        ["a=\(String(repeating: "v", count: 257))"],
    ])
    func `a list that breaks a rule does not`(values: [String]) { #expect(!isValid(values)) }

    @Test func `all fields together have a bound`() {
        let half = "a=" + String(repeating: "v", count: 253)
        #expect(isValid([half, "b" + half]))
        #expect(!isValid([half, "bb" + half]))
        #expect(isValid([half + "," + "b" + half]))
        #expect(!isValid([half + "," + "bb" + half]))
    }
}
