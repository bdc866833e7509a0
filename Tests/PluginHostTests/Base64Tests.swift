import PluginHost
import Testing

struct Base64Tests {
    /// The vectors of RFC 4648 §10, and bytes of both last letters.
    @Test(arguments: [
        ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"),
        ("Zm9vYmE=", "fooba"), ("Zm9vYmFy", "foobar"), ("Pz4/", "?>?"), ("fn5+", "~~~"),
    ])
    func `stands for bytes`(text: String, bytes: String) {
        #expect(Base64.bytes(Array(text.utf8)) == Array(bytes.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zm9v\n", "Zm 9", "Zm-_", "Zg==Zg==",
        "Zh==", "Zm9=", "Z=g=",
    ])
    func `takes nothing else`(text: String) {
        #expect(Base64.bytes(Array(text.utf8)) == nil)
    }
}
