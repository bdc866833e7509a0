import CSluice
import PluginHost
import Testing

struct ConfigurationTreeTests {
    @Test
    func `the empty object has no children`() {
        let value = ConfigurationTree.make(.object([])).pointee
        #expect(value.type == UInt32(SLUICE_VALUE_OBJECT))
        #expect(value.count == 0)
        #expect(value.children == nil)
        #expect(value.key.ptr == nil)
    }

    @Test
    func `each kind of value has its members`() throws {
        let root = ConfigurationTree.make(
            .object([
                ("array", .array([.integer(1), .string("two"), .array([])])),
                ("flag", .bool(true)), ("int", .integer(-7)), ("none", .null),
                ("number", .number(1.5)), ("off", .bool(false)), ("text", .string("é")),
            ])
        ).pointee
        #expect(root.count == 7)
        let children = try #require(root.children)
        let keys = ["array", "flag", "int", "none", "number", "off", "text"]
        #expect((0..<7).map { children[$0].key.text } == keys)
        let types = [
            SLUICE_VALUE_ARRAY, SLUICE_VALUE_BOOL, SLUICE_VALUE_INT, SLUICE_VALUE_NULL,
            SLUICE_VALUE_NUMBER, SLUICE_VALUE_BOOL, SLUICE_VALUE_STRING,
        ]
        #expect((0..<7).map { Int(children[$0].type) } == types)
        #expect(children[1].integer == 1)
        #expect(children[2].integer == -7)
        #expect(children[2].number == -7)
        #expect(children[4].number == 1.5)
        #expect(children[5].integer == 0)
        #expect(children[6].string.text == "é")
        #expect(children[6].string.len == 2)

        #expect(children[0].count == 3)
        let items = try #require(children[0].children)
        #expect(items[0].integer == 1)
        #expect(items[0].key.ptr == nil)
        #expect(items[1].string.text == "two")
        #expect(items[2].count == 0)
        #expect(items[2].children == nil)
    }

    @Test
    func `an empty text has an address`() {
        let value = ConfigurationTree.make(.string("")).pointee
        #expect(value.string.ptr != nil)
        #expect(value.string.len == 0)
        #expect(value.string.text == "")
    }

    @Test
    func `the largest whole numbers are kept`() {
        for number in [Int64.min, .max] {
            let value = ConfigurationTree.make(.integer(number)).pointee
            #expect(value.integer == number)
            #expect(value.number == Double(number))
        }
    }

    @Test
    func `bytes that are no UTF-8 are replaced in a text`() {
        let bytes: [UInt8] = [0x61, 0xFF, 0x62]
        let text = bytes.withUnsafeBufferPointer {
            sluice_slice(ptr: $0.baseAddress, len: 3).text
        }
        #expect(text == "a\u{FFFD}b")
        #expect(sluice_slice(ptr: nil, len: 3).text == "")
    }
}
