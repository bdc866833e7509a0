import SluiceSDK
import SluiceTestKit
import Testing

struct ConfigurationValueTests {
    private let arena = Arena()

    private func value(_ literal: TestValue) -> ConfigurationValue {
        ConfigurationValue(literal.layOut(in: arena))
    }

    @Test
    func `reads members by type`() throws {
        let value = value(["n": 7, "s": "text", "b": true, "none": nil, "a": [1, 2]])
        #expect(try value.integer("n", in: 0...7) == 7)
        #expect(try value.string("s") == "text")
        #expect(try value.bool("b") == true)
        #expect(try value.string("none") == nil)
        #expect(try value.string("absent") == nil)
        #expect(try value.array("a").count == 2)
        #expect(try value.array("absent").isEmpty)
        #expect(try value.required("n").number() == 7)
    }

    @Test
    func `reads what a format means`() throws {
        let value = value(["per": .measured("2s", 2_000_000_000), "room": .measured("1KiB", 1_024)])
        #expect(try value.required("per").nanoseconds() == 2_000_000_000)
        #expect(try value.required("per").string() == "2s")
        #expect(try value.required("room").byteCount() == 1_024)
        #expect(try self.value(4_096).byteCount() == 4_096)
        #expect(throws: PluginError(path: "", "a duration is wanted, not a number")) {
            try self.value(5).nanoseconds()
        }
        #expect(throws: PluginError(path: "", "a size is wanted, not a truth value")) {
            try self.value(true).byteCount()
        }
    }

    @Test
    func `errors name the path of the key`() {
        let value = value(["request": ["set": [["name": 1]]], "n": 8])
        #expect(throws: PluginError(path: "n", "8 is not within 0 to 7")) {
            try value.integer("n", in: 0...7)
        }
        #expect(throws: PluginError(path: "request", "a string is wanted, not an object")) {
            try value.string("request")
        }
        #expect(
            throws: PluginError(path: "request.set[0].name", "a string is wanted, not a number")
        ) {
            try value.required("request").array("set")[0].required("name").string()
        }
        #expect(throws: PluginError(path: "request.add", "is missing")) {
            try value.required("request").required("add")
        }
    }

    @Test
    func `an unknown key is refused, with the nearest one`() {
        func line(_ literal: TestValue) -> String? {
            do throws(PluginError) {
                try value(literal).allowKeys(["status", "body", "body_file"])
                return nil
            } catch {
                return error.line
            }
        }
        #expect(line(["status": 1, "body": "x"]) == nil)
        #expect(line(["sttus": 1]) == "sttus: unknown key; did you mean \"status\"?")
        #expect(line(["bodyfile": 1]) == "bodyfile: unknown key; did you mean \"body_file\"?")
        #expect(
            line(["workers": 1]) == "workers: unknown key; there are status, body, body_file"
        )
    }

    @Test
    func `names what does not know its key`() {
        let value = value(["proxies": ["10.0.0.1/8"]])
        #expect(
            throws: PluginError(
                path: "proxies[0]",
                "bits are set behind the length: \"10.0.0.1/8\""
            )
        ) {
            let text = try value.array("proxies")[0]
            _ = try text.naming { () throws(PluginError) in try IPBlock(text.string()) }
        }
    }
}
