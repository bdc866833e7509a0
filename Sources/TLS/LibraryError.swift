internal import COpenSSL

/// What OpenSSL says about the call that failed last on this thread.
enum LibraryError {
    /// The first reason, in words; the queue is empty afterwards.
    static func take() -> String {
        defer { ERR_clear_error() }
        let code = ERR_peek_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "unknown reason" }
        return String(cString: text)
    }
}

/// Problems and warnings of one load: all of them are told at once.
struct Findings {
    var problems: [String] = []
    var warnings: [String] = []

    mutating func refuse(_ what: String, _ why: String) { problems.append("\(what): \(why)") }
    mutating func add(_ other: Findings) {
        problems += other.problems
        warnings += other.warnings
    }

    mutating func warn(_ what: String, _ why: String) { warnings.append("\(what): \(why)") }
}
