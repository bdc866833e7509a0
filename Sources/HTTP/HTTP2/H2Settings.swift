/// One side's settings (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
public struct H2Settings: Equatable, Sendable {
    /// Bytes of the dynamic table that the other side's encoder may use: 0 to 2^32 - 1.
    public var headerTableSize: UInt32 = 4_096
    /// Whether the other side may push; a client here says no, and a server has no use for it.
    public var isPushEnabled = true
    /// Streams that the other side may have open at a time: 0 to 2^32 - 1.
    public var maxConcurrentStreams = UInt32.max
    /// Bytes that the other side may send on a new stream before credit: 0 to 2^31 - 1; as a local
    /// setting at least 1.
    public var initialWindowSize: UInt32 = 65_535
    /// Bytes of the longest frame payload that is taken: 16,384 to 16,777,215.
    public var maxFrameSize: UInt32 = 16_384
    /// Advice on the size of a header section, uncompressed: 0 to 2^32 - 1, the last for "not
    /// said".
    public var maxHeaderListSize = UInt32.max
    /// Whether a server takes extended CONNECT (RFC 8441 §3).
    public var isConnectProtocolEnabled = false
    /// Whether the priority scheme of RFC 7540 is not used (RFC 9218 §2.1).
    public var isPriorityTreeOff = false

    /// What holds before a peer's SETTINGS frame is read (RFC 9113 §6.5.2).
    public static let initial = H2Settings()

    public init() {}

    /// What this side offers by default in a role.
    ///
    /// 128 streams is what nginx allows, and above the 100 that RFC 9113 §6.5.2 recommends. 64 KiB
    /// a stream is what an exchange may hold in a direction while its receiver is slow
    /// (`limits.buffer`), so a window does not promise memory that the exchange has not.
    public static func local(_ role: H2Role) -> H2Settings {
        var settings = H2Settings()
        settings.initialWindowSize = 65_536
        settings.isPushEnabled = false
        if role == .server {
            settings.maxConcurrentStreams = 128
            settings.isPriorityTreeOff = true
        }
        return settings
    }
}

/// Which side of a connection this is.
public enum H2Role: UInt8, Sendable {
    case client, server
}

/// The numbers of settings.
enum SettingID: UInt16 {
    case headerTableSize = 0x1
    case enablePush = 0x2
    case maxConcurrentStreams = 0x3
    case initialWindowSize = 0x4
    case maxFrameSize = 0x5
    case maxHeaderListSize = 0x6
    case enableConnectProtocol = 0x8
    case noRFC7540Priorities = 0x9
}

extension H2Settings {
    /// Bytes of one setting in a frame.
    static let entryBytes = 6
    /// Bytes of a frame with every setting.
    static let frameBytesMax = FrameHeader.byteCount + 8 * entryBytes
    static let maxFrameSizeMin: UInt32 = 16_384
    static let maxFrameSizeMax: UInt32 = 16_777_215

    /// Takes one setting of the peer's frame; the error and its reason when the value is bad.
    ///
    /// Unknown settings are ignored (RFC 9113 §6.5.2).
    ///
    /// - Parameters:
    ///   - isFirst: whether it is the peer's first SETTINGS frame.
    ///   - sender: the peer's role.
    mutating func apply(
        _ number: UInt16,
        _ value: UInt32,
        isFirst: Bool,
        sender: H2Role
    ) -> H2Failure? {
        guard let setting = SettingID(rawValue: number) else { return nil }
        switch setting {
        case .headerTableSize: headerTableSize = value
        case .maxConcurrentStreams: maxConcurrentStreams = value
        case .maxHeaderListSize: maxHeaderListSize = value
        case .enablePush:
            // RFC 9113 §6.5.2: a server may only say 0.
            guard value <= (sender == .server ? 0 : 1) else {
                return H2Failure(.protocolError, "SETTINGS_ENABLE_PUSH has a bad value")
            }
            isPushEnabled = value == 1
        case .initialWindowSize:
            guard value <= UInt32(Int32.max) else {
                return H2Failure(.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is over 2^31-1")
            }
            initialWindowSize = value
        case .maxFrameSize:
            guard value >= Self.maxFrameSizeMin, value <= Self.maxFrameSizeMax else {
                return H2Failure(.protocolError, "SETTINGS_MAX_FRAME_SIZE is out of its range")
            }
            maxFrameSize = value
        case .enableConnectProtocol:
            // RFC 8441 §3: what was switched on is not switched off.
            guard value <= 1, value == 1 || !isConnectProtocolEnabled else {
                return H2Failure(.protocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL is bad")
            }
            isConnectProtocolEnabled = value == 1
        case .noRFC7540Priorities:
            // RFC 9218 §2.1: said in the first frame or never.
            guard value <= 1, isFirst || isPriorityTreeOff == (value == 1) else {
                return H2Failure(.protocolError, "SETTINGS_NO_RFC7540_PRIORITIES is bad")
            }
            isPriorityTreeOff = value == 1
        }
        return nil
    }

    /// Writes the payload of the frame that offers these settings; returns its bytes.
    ///
    /// Only what differs from the initial values is said, and ENABLE_PUSH by clients alone (a
    /// server's has no meaning).
    ///
    /// Safe: `out` has room for `frameBytesMax`; each of eight settings is written at most once.
    func write(role: H2Role, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let initial = H2Settings.initial
        var at = 0
        func put(_ setting: SettingID, _ value: UInt32) {
            out.storeBigEndian(setting.rawValue, at: at)
            out.storeBigEndian(value, at: at &+ 2)
            at &+= Self.entryBytes
        }
        if headerTableSize != initial.headerTableSize { put(.headerTableSize, headerTableSize) }
        if role == .client { put(.enablePush, 0) }
        if maxConcurrentStreams != initial.maxConcurrentStreams {
            put(.maxConcurrentStreams, maxConcurrentStreams)
        }
        if initialWindowSize != initial.initialWindowSize {
            put(.initialWindowSize, initialWindowSize)
        }
        if maxFrameSize != initial.maxFrameSize { put(.maxFrameSize, maxFrameSize) }
        if maxHeaderListSize != initial.maxHeaderListSize {
            put(.maxHeaderListSize, maxHeaderListSize)
        }
        if isConnectProtocolEnabled { put(.enableConnectProtocol, 1) }
        if isPriorityTreeOff { put(.noRFC7540Priorities, 1) }
        return at
    }
}
