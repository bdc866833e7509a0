import CCompression
import SluiceSDK

/// The machine's libraries, opened when an instance is made.
///
/// They stay open: a library that is replaced on disk is used from the next start on.
struct Libraries {
    let zlib: compression_zlib?
    let brotli: compression_brotli?
    let zstandard: compression_zstd?

    /// Opens all that are there; on the control thread.
    static func open() -> Libraries {
        Libraries(
            zlib: found { compression_open_zlib($0) },
            brotli: found { compression_open_brotli($0) },
            zstandard: found { compression_open_zstd($0) }
        )
    }

    func has(_ coding: Coding) -> Bool {
        switch coding {
        case .gzip, .deflate: zlib != nil
        case .brotli: brotli != nil
        case .zstandard: zstandard != nil
        }
    }

    /// Files that a coding needs, for messages.
    static func files(of coding: Coding) -> String {
        switch coding {
        case .gzip, .deflate: "libz.so.1"
        case .brotli: "libbrotlienc.so.1 and libbrotlidec.so.1"
        case .zstandard: "libzstd.so.1"
        }
    }

    /// "zlib 1.2.13, Brotli 1.0.9, no Zstandard".
    var description: String {
        var text = "no zlib"
        if let zlib { text = "zlib " + String(cString: zlib.version()) }
        if let version = brotli?.version() {
            // Eight bits for the first number, twelve for each of the others.
            let (major, minor) = (version >> 24, version >> 12 & 0xFFF)
            text += ", Brotli \(major).\(minor).\(version & 0xFFF)"
        } else {
            text += ", no Brotli"
        }
        if let version = zstandard?.version() {
            text += ", Zstandard \(version / 10_000).\(version / 100 % 100).\(version % 100)"
        } else {
            text += ", no Zstandard"
        }
        return text
    }

    private static func found<Library>(
        _ open: (UnsafeMutablePointer<Library>) -> Int32
    ) -> Library? {
        withUnsafeTemporaryAllocation(of: Library.self, capacity: 1) { room in
            // Safe: C structs of function pointers, all of which `open` has set when it says 1.
            guard let library = room.baseAddress, open(library) != 0 else { return nil }
            return library.pointee
        }
    }
}
