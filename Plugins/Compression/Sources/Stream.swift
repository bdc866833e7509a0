import CCompression
import SluiceSDK

/// One encoder or decoder with its memory.
struct Stream {
    /// Least and greatest window of zlib: 512 bytes and 32 KiB.
    static let zlibWindow = 9...15
    /// Greatest window of the other encoders: 256 KiB.
    ///
    /// Their own defaults, of 2 and 4 MiB, would be the memory of each response that is on its way.
    static let windowBitsMax = 18
    /// Greatest window that a decoder takes: 8 MiB (RFC 9659 §3).
    static let decoderWindowBitsMax: Int32 = 23
    /// Output of a decoder of Zstandard, and so its window, beyond which it is not kept.
    static let idleWindowBytesMax: UInt64 = 1 << 20
    /// Number of shelves of a pool.
    static let shelfCount = 20
    /// What lies between two decoders of one body.
    static let betweenBytes = 16_384

    let coding: Coding
    let isDecoder: Bool
    /// Logarithm of an encoder's window.
    let windowBits: Int
    /// The next one on the shelf.
    var next: UnsafeMutablePointer<Stream>?

    /// zlib's, at a place of its own that doesn't change, because zlib's state points back to it.
    let zlib: UnsafeMutablePointer<compression_zstream>
    /// Brotli's or Zstandard's.
    var handle: UnsafeMutableRawPointer?
    /// Whether zlib's state has been made.
    var isOpen = false

    /// Whether a decoder has seen the end of what it decodes, and nothing behind it.
    var isBetween = false
    /// Bytes of this body that went in and came out.
    var totalIn: UInt64 = 0
    var totalOut: UInt64 = 0
    /// What this decoder gave and the one behind it has not taken: `betweenBytes` of room, made
    /// when it is needed first.
    var between: UnsafeMutablePointer<UInt8>?
    var betweenRange = 0..<0

    init(_ coding: Coding, isDecoder: Bool, windowBits: Int) {
        self.coding = coding
        self.isDecoder = isDecoder
        self.windowBits = windowBits
        zlib = .allocate(capacity: 1)
        zlib.initialize(to: compression_zstream())
    }

    /// Where a stream of this kind is kept: those of one shelf can stand in for each other.
    static func shelf(_ coding: Coding, isDecoder: Bool, windowBits: Int) -> Int {
        if isDecoder { return 16 + Int(coding.rawValue) }
        switch coding {
        case .gzip: return windowBits - zlibWindow.lowerBound
        case .deflate: return zlibWindow.count + windowBits - zlibWindow.lowerBound
        case .brotli: return 14
        case .zstandard: return 15
        }
    }

    /// The window that suffices for a body; nil stands for one of unknown length.
    ///
    /// What is cleared before each body grows with it, so short bodies get short windows. zlib
    /// wants 262 bytes more than the body has (MIN_LOOKAHEAD).
    static func windowBits(_ coding: Coding, length: UInt64?) -> Int {
        let bounds: ClosedRange<Int>
        switch coding {
        case .gzip, .deflate: bounds = zlibWindow
        case .brotli, .zstandard: bounds = 10...windowBitsMax
        }
        guard let length else { return bounds.upperBound }
        var bits = bounds.lowerBound
        while bits < bounds.upperBound, UInt64(1) << UInt64(bits) < length + 262 { bits += 1 }
        return bits
    }
}

typealias StreamPointer = UnsafeMutablePointer<Stream>

/// What an encoder is to do with its input.
enum EncoderOperation {
    /// Takes it, and gives what it likes.
    case process
    /// Gives all that the receiver needs to have all of the input.
    case flush
    /// Ends the body.
    case finish
}

/// What one call of a stream came to.
struct Step {
    enum State {
        /// All input is taken, and all output of this operation given.
        case done
        /// There may be more output than there was room for.
        case wantsRoom
        /// The end of what is decoded; the rest of the input lies behind it.
        case ended
        /// More came out than is allowed.
        case tooLarge
        /// The library refused; of a decoder: its input is malformed.
        case failed
    }

    var consumed = 0
    var produced = 0
    var state = State.done
}
