import Testing

@testable import Admin

struct JSONTests {
    @Test func `writes every kind of value in one line`() {
        let value: JSON = [
            "a": .null, "b": true, "c": -7, "d": .number(1.5), "e": ["x", 1],
            "f": ["g": "q\"\\\n\t\u{1}\u{7f}ü"],
        ]
        #expect(
            value.text
                == #"{"a":null,"b":true,"c":-7,"d":1.5,"e":["x",1],"#
                + #""f":{"g":"q\"\\\n\t\u0001\u007fü"}}"#
        )
    }

    @Test func `a number that is none is null`() {
        #expect(JSON.number(.nan).text == "null")
        #expect(JSON.number(.infinity).text == "null")
    }
}
