/// Names of metrics and labels that `sluice top` and the page make their numbers of.
package enum ShownMetric: String, CaseIterable, Sendable {
    /// Requests that ended, by route and class of the status.
    case requests = "sluice_http_requests_total"
    /// Histogram of their durations, in seconds.
    case duration = "sluice_http_request_duration_seconds"
    case inFlight = "sluice_worker_requests_in_flight"
    case cache = "sluice_cache_requests_total"
    /// Calls of hooks by plugin and phase.
    case calls = "sluice_plugin_hook_calls_total"
    /// Histogram of the duration of some of them, in seconds.
    case callSeconds = "sluice_plugin_hook_duration_seconds"
    case faults = "sluice_plugin_faults_total"

    /// The class of a request that became a tunnel by 101, such as a WebSocket.
    package static let tunnelCode = "1xx"
    /// What stands as the route of requests that none was found for, or that were refused before.
    package static let noRoute = "none"

    /// Labels of these.
    package enum Label: String, CaseIterable, Sendable {
        case route
        /// "2xx" and so on.
        case code
        case plugin
        case cacheStatus = "status"
    }
}

extension AdminPage {
    /// The names for the script.
    static var scriptNames: String {
        let metrics = ShownMetric.allCases.map { "\($0): \"\($0.rawValue)\"" }
        let labels = ShownMetric.Label.allCases.map { "\($0): \"\($0.rawValue)\"" }
        return "const names = {\(metrics.joined(separator: ", ")),\n"
            + "  \(labels.joined(separator: ", ")),\n"
            + "  tunnelCode: \"\(ShownMetric.tunnelCode)\", noRoute: \"\(ShownMetric.noRoute)\"};"
    }
}
