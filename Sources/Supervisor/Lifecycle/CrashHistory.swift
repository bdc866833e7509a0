internal import Sys

/// What is known of a process that died.
package struct CrashReport: Equatable, Sendable {
    /// In one line: what ran, and where.
    package var line: String
    /// The plugin in whose code it was, if it was in one.
    package var plugin: Quarantined?
    /// What the manifest wants done about a crash in that plugin.
    package var policy: Policy

    /// `on_crash` of a plugin.
    package enum Policy: String, Sendable {
        /// Start again, with the plugin.
        case restart
        /// Start again without the plugin, as long as its library is the same.
        case quarantine
        /// Do not start again.
        case halt
    }

    package init(line: String, plugin: Quarantined?, policy: Policy) {
        self.line = line
        self.plugin = plugin
        self.policy = policy
    }
}

/// How serving processes have fared so far.
struct CrashHistory {
    /// Bytes of a manifest that is kept.
    static let manifestBytesMax = 16 << 20

    /// Text of a manifest, and the file that hands it to a process.
    struct KeptManifest {
        var text: [UInt8]
        var file: SharedDescriptor
    }

    /// Milliseconds of those that count.
    var times: [UInt64] = []
    /// The wait before the last restart; 0 is none.
    var wait = 0
    /// All of them.
    var count = 0
    /// When the last one was; nil once a process serves that began after it.
    var lastAt: UInt64?
    var lastLine: String?
    var quarantine: [Quarantined] = []

    /// What was served last: a restart serves the same, whatever the file says by then.
    var current: KeptManifest?
    /// What was served long enough to count as sound.
    var clean: KeptManifest?
    /// Since `current` is served.
    private var crashesOfCurrent = 0
    /// When a process began to serve `current`; nil while none does.
    var servedSince: UInt64?

    var manifestFile: SharedDescriptor? { current?.file }

    /// A process serves this manifest from now on.
    mutating func serves(
        _ text: [UInt8],
        _ file: SharedDescriptor,
        at now: UInt64,
        _ settings: SupervisorSettings
    ) {
        judge(at: now, settings)
        if current?.text != text { crashesOfCurrent = 0 }
        current = KeptManifest(text: text, file: file)
        servedSince = now
        lastAt = nil
    }

    /// Forgets earlier crashes when the manifest has been served for long enough.
    private mutating func judge(at now: UInt64, _ settings: SupervisorSettings) {
        guard let since = servedSince, now - since >= UInt64(settings.soundAfter) else { return }
        times = []
        wait = 0
        crashesOfCurrent = 0
        clean = current
    }

    /// Notes a crash.
    ///
    /// - Returns: milliseconds that the restart is to wait for; 0 is none.
    mutating func note(at now: UInt64, _ settings: SupervisorSettings) -> Int {
        judge(at: now, settings)
        servedSince = nil
        count += 1
        lastAt = now
        crashesOfCurrent += 1
        times.append(now)
        times.removeAll { now - $0 > UInt64(settings.crashWindow) }
        guard wait > 0 || times.count >= settings.crashesMax else { return 0 }
        wait = wait == 0 ? settings.waitFirst : min(wait * 2, settings.waitMax)
        return wait
    }

    /// Goes back to the last sound manifest when there is reason to; true when it did.
    mutating func fallBack() -> Bool {
        guard crashesOfCurrent >= Lifecycle.manifestCrashesMax, let clean,
            clean.text != current?.text
        else { return false }
        current = clean
        crashesOfCurrent = 0
        return true
    }
}
