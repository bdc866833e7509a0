import SluiceSDK
import Testing

struct BytesTests {
    @Test
    func `compares by bytes, with and without case`() {
        #expect(Bytes("abcdefghij") == "abcdefghij")
        #expect(Bytes("abcdefghij") != "abcdefghiJ")
        #expect(Bytes("abcdefghij") != "abcdefghi")
        #expect(Bytes("Content-TYPE").equalsIgnoringCase("content-type"))
        #expect(!Bytes("a[").equalsIgnoringCase("A{"))
        #expect(Bytes("abc").hasPrefix("ab"))
        #expect(Bytes("abc").hasPrefix(""))
        #expect(!Bytes("ab").hasPrefix("abc"))
    }

    @Test
    func `cuts without copying`() {
        let bytes = Bytes("key=value")
        #expect(bytes.firstIndex(of: 0x3D) == 3)
        #expect(bytes.firstIndex(of: 0x3E) == nil)
        #expect(bytes.prefix(3) == "key")
        #expect(bytes.dropFirst(4) == "value")
        #expect(bytes[1..<3] == "ey")
        #expect(Bytes(" \t a b\t ").trimmed == "a b")
        #expect(Bytes(" \t ").trimmed.isEmpty)
    }

    @Test
    func `reads decimal numbers up to 64 bits`() {
        #expect(Bytes("0").decimal == 0)
        #expect(Bytes("18446744073709551615").decimal == .max)
        #expect(Bytes("18446744073709551616").decimal == nil)
        #expect(Bytes("").decimal == nil)
        #expect(Bytes("-1").decimal == nil)
        #expect(Bytes("1 ").decimal == nil)
    }

    @Test
    func `knows tokens and field values`() {
        let allowed =
            "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for byte in UInt8.min...UInt8.max {
            withUnsafePointer(to: byte) { start in
                let bytes = Bytes(start, count: 1)
                #expect(bytes.isToken == allowed.utf8.contains(byte), "byte \(byte)")
                #expect(bytes.isFieldValue == (byte == 9 || byte >= 32 && byte != 127))
            }
        }
        #expect(!Bytes("").isToken)
        #expect(Bytes("").isFieldValue)
    }
}
