import CCompression
import SluiceSDK

/// The encoders and decoders of one worker.
///
/// Making one allocates some hundred kilobytes, so those that have done their work are kept on
/// shelves, one for each kind, and reset for the next body. Both how many are in use and how many
/// wait on a shelf is bounded.
package final class StreamPool {
    /// What all streams of a pool have in common.
    struct Settings {
        var levels: Levels
        /// Streams in use at a time.
        var activeMax: Int
        /// Streams that wait on each shelf.
        var idleMax: Int
    }

    /// Memory level of zlib for the greatest window; with each smaller one it falls by one, as in
    /// nginx, so that hash table and window go together.
    private static let memoryLevelMax = 8

    let libraries: Libraries
    private let settings: Settings
    private let counters: StreamCounters?
    private let blocks = BlockCache()
    private let shelves: UnsafeMutablePointer<StreamPointer?>
    private let idleCounts: UnsafeMutablePointer<Int>
    /// Streams in use.
    private(set) var activeCount = 0
    /// Streams that were made so far.
    private(set) var madeCount = 0

    init(_ libraries: Libraries, _ settings: Settings, _ counters: StreamCounters? = nil) {
        self.libraries = libraries
        self.settings = settings
        self.counters = counters
        shelves = .allocate(capacity: Stream.shelfCount)
        shelves.initialize(repeating: nil, count: Stream.shelfCount)
        idleCounts = .allocate(capacity: Stream.shelfCount)
        idleCounts.initialize(repeating: 0, count: Stream.shelfCount)
    }

    deinit {
        for shelf in 0..<Stream.shelfCount {
            while let stream = shelves[shelf] {
                shelves[shelf] = stream.pointee.next
                drop(stream)
            }
        }
        shelves.deallocate()
        idleCounts.deallocate()
    }

    /// An encoder at the begin of a body; nil when too many are in use, or no memory is left.
    ///
    /// - Parameter length: of the body, when it is known. Wrong ones cost ratio, no more.
    func takeEncoder(_ coding: Coding, length: UInt64?) -> StreamPointer? {
        let windowBits = Stream.windowBits(coding, length: length)
        return take(coding, isDecoder: false, windowBits, length)
    }

    /// A decoder at the begin of a body; nil when too many are in use, or no memory is left.
    func takeDecoder(_ coding: Coding) -> StreamPointer? {
        take(coding, isDecoder: true, 0, nil)
    }

    /// Gives a stream back, wherever it is in its body.
    func give(_ stream: StreamPointer) {
        activeCount -= 1
        counters?.count(stream)
        let shelf = Stream.shelf(
            stream.pointee.coding,
            isDecoder: stream.pointee.isDecoder,
            windowBits: stream.pointee.windowBits
        )
        guard idleCounts[shelf] < settings.idleMax, !hasGrown(stream) else { return drop(stream) }
        // Brotli has no reset; what it allocates comes from blocks that are kept.
        if stream.pointee.coding == .brotli { close(stream) }
        idleCounts[shelf] += 1
        stream.pointee.next = shelves[shelf]
        shelves[shelf] = stream
    }

    /// A decoder of Zstandard keeps the greatest window that it has met: what its sender has chosen
    /// is not what should lie on a shelf.
    private func hasGrown(_ stream: StreamPointer) -> Bool {
        stream.pointee.coding == .zstandard && stream.pointee.isDecoder
            && stream.pointee.totalOut > Stream.idleWindowBytesMax
    }

    private func take(
        _ coding: Coding,
        isDecoder: Bool,
        _ windowBits: Int,
        _ length: UInt64?
    ) -> StreamPointer? {
        guard activeCount < settings.activeMax else { return nil }
        let shelf = Stream.shelf(coding, isDecoder: isDecoder, windowBits: windowBits)
        let stream: StreamPointer
        if let kept = shelves[shelf] {
            stream = kept
            shelves[shelf] = kept.pointee.next
            idleCounts[shelf] -= 1
        } else {
            stream = .allocate(capacity: 1)
            stream.initialize(to: Stream(coding, isDecoder: isDecoder, windowBits: windowBits))
            madeCount += 1
        }
        stream.pointee.next = nil
        stream.pointee.isBetween = false
        stream.pointee.totalIn = 0
        stream.pointee.totalOut = 0
        stream.pointee.betweenRange = 0..<0
        guard isDecoder ? begin(decoder: stream) : begin(stream, windowBits, length) else {
            drop(stream)
            return nil
        }
        activeCount += 1
        return stream
    }

    // MARK: Begin and end

    private func begin(_ stream: StreamPointer, _ windowBits: Int, _ length: UInt64?) -> Bool {
        switch stream.pointee.coding {
        case .gzip, .deflate: beginDeflate(stream, windowBits)
        case .brotli: beginBrotli(stream, windowBits, length)
        case .zstandard: beginZstandard(stream, windowBits)
        }
    }

    private func beginDeflate(_ stream: StreamPointer, _ windowBits: Int) -> Bool {
        guard let zlib = libraries.zlib else { return false }
        let state = stream.pointee.zlib
        if stream.pointee.isOpen { return zlib.deflate_reset(state) == COMPRESSION_Z_OK }
        let memoryLevel = Self.memoryLevelMax - (Stream.zlibWindow.upperBound - windowBits)
        let result = zlib.deflate_init(
            state,
            Int32(settings.levels.gzip),
            Int32(COMPRESSION_Z_DEFLATED),
            // 16 more mean the format of gzip (RFC 1952).
            Int32(stream.pointee.coding == .gzip ? windowBits + 16 : windowBits),
            Int32(memoryLevel),
            0,
            zlib.version(),
            Int32(MemoryLayout<compression_zstream>.size)
        )
        stream.pointee.isOpen = result == COMPRESSION_Z_OK
        return stream.pointee.isOpen
    }

    private func beginBrotli(
        _ stream: StreamPointer,
        _ windowBits: Int,
        _ length: UInt64?
    ) -> Bool {
        guard let brotli = libraries.brotli,
            let encoder = brotli.encoder_create(
                BlockCache.allocate,
                BlockCache.free,
                blocks.context
            )
        else { return false }
        stream.pointee.handle = encoder
        let quality = UInt32(settings.levels.brotli)
        let hint = UInt32(clamping: length ?? 0)
        return brotli.encoder_set(encoder, Int32(COMPRESSION_BROTLI_QUALITY), quality) != 0
            && brotli.encoder_set(
                encoder,
                Int32(COMPRESSION_BROTLI_WINDOW),
                UInt32(windowBits)
            ) != 0
            && brotli.encoder_set(encoder, Int32(COMPRESSION_BROTLI_SIZE_HINT), hint) != 0
    }

    private func beginZstandard(_ stream: StreamPointer, _ windowBits: Int) -> Bool {
        guard let library = libraries.zstandard else { return false }
        if let encoder = stream.pointee.handle {
            let result = library.encoder_reset(encoder, Int32(COMPRESSION_ZSTD_RESET_SESSION))
            guard library.is_error(result) == 0 else { return false }
        } else {
            stream.pointee.handle = library.encoder_create()
            guard let encoder = stream.pointee.handle else { return false }
            let level = Int32(settings.levels.zstandard)
            let result = library.encoder_set(encoder, Int32(COMPRESSION_ZSTD_LEVEL), level)
            guard library.is_error(result) == 0 else { return false }
        }
        guard let encoder = stream.pointee.handle else { return false }
        let window = Int32(windowBits)
        let result = library.encoder_set(encoder, Int32(COMPRESSION_ZSTD_WINDOW), window)
        return library.is_error(result) == 0
    }

    private func begin(decoder stream: StreamPointer) -> Bool {
        switch stream.pointee.coding {
        case .gzip, .deflate:
            guard let zlib = libraries.zlib else { return false }
            let state = stream.pointee.zlib
            if stream.pointee.isOpen { return zlib.inflate_reset(state) == COMPRESSION_Z_OK }
            let result = zlib.inflate_init(
                state,
                stream.pointee.coding == .gzip ? 15 + 16 : 15,
                zlib.version(),
                Int32(MemoryLayout<compression_zstream>.size)
            )
            stream.pointee.isOpen = result == COMPRESSION_Z_OK
            return stream.pointee.isOpen
        case .brotli:
            stream.pointee.handle = libraries.brotli?.decoder_create(
                BlockCache.allocate,
                BlockCache.free,
                blocks.context
            )
            return stream.pointee.handle != nil
        case .zstandard:
            guard let library = libraries.zstandard else { return false }
            if let decoder = stream.pointee.handle {
                let reset = library.decoder_reset(decoder, Int32(COMPRESSION_ZSTD_RESET_SESSION))
                return library.is_error(reset) == 0
            }
            stream.pointee.handle = library.decoder_create()
            guard let decoder = stream.pointee.handle else { return false }
            let result = library.decoder_set(
                decoder,
                Int32(COMPRESSION_ZSTD_DECODER_WINDOW_MAX),
                Stream.decoderWindowBitsMax
            )
            return library.is_error(result) == 0
        }
    }

    /// Frees what a library keeps for a stream.
    private func close(_ stream: StreamPointer) {
        let isDecoder = stream.pointee.isDecoder
        if stream.pointee.isOpen, let zlib = libraries.zlib {
            let state = stream.pointee.zlib
            _ = isDecoder ? zlib.inflate_end(state) : zlib.deflate_end(state)
            stream.pointee.isOpen = false
        }
        guard let handle = stream.pointee.handle else { return }
        stream.pointee.handle = nil
        if stream.pointee.coding == .brotli, let brotli = libraries.brotli {
            isDecoder ? brotli.decoder_destroy(handle) : brotli.encoder_destroy(handle)
        } else if let library = libraries.zstandard {
            _ = isDecoder ? library.decoder_free(handle) : library.encoder_free(handle)
        }
    }

    private func drop(_ stream: StreamPointer) {
        close(stream)
        stream.pointee.between?.deallocate()
        stream.pointee.zlib.deallocate()
        stream.deinitialize(count: 1)
        stream.deallocate()
    }
}

/// Levels of the encoders: the higher, the smaller and the slower.
struct Levels: BitwiseCopyable {
    /// 1 to 9, also of deflate.
    var gzip = 5
    /// 0 to 11.
    var brotli = 4
    /// 1 to 19.
    var zstandard = 3
}
