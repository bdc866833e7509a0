/// A bound of `H2Limits` beyond which a peer's connection is ended with ENHANCE_YOUR_CALM.
public enum H2Bound: UInt8, CaseIterable, Sendable {
    case clientResets, serverResets, streams, settings, pings, priorities, windowUpdates
    case unknownFrames, emptyData, lateFrames
    case headerBlock, continuationFrames, emptyFragments, settingsEntries, unreadControl

    /// For logs and counters; where there is a key of the manifest, the same under `http2`.
    public var name: StaticString {
        switch self {
        case .clientResets: "floods.client_resets"
        case .serverResets: "floods.server_resets"
        case .streams: "floods.streams"
        case .settings: "floods.settings"
        case .pings: "floods.pings"
        case .priorities: "floods.priorities"
        case .windowUpdates: "floods.window_updates"
        case .unknownFrames: "floods.unknown_frames"
        case .emptyData: "floods.empty_data"
        case .lateFrames: "floods.late_frames"
        case .headerBlock: "max_header_block"
        case .continuationFrames: "max_continuation_frames"
        case .emptyFragments: "empty_fragments"
        case .settingsEntries: "settings_entries"
        case .unreadControl: "unread_control"
        }
    }
}
