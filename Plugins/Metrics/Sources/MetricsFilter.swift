package import SluiceSDK

/// Serves all metrics of the proxy and its plugins at one path.
package struct MetricsFilter: RequestHeadersHook, RequestEndHook, ResumedHook, JobHook, ~Copyable {
    package static let id: StaticString = "org.sluice.metrics"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Serves all metrics to Prometheus."
    package static var needs: HostTables { [.http, .metrics] }

    package struct Context: BitwiseCopyable {
        /// Nil but of a request for the metrics.
        var scrape: Unmanaged<Scrape>?
    }

    package struct Worker {
        /// Requests that hold a text, or wait for one.
        var scrapes = 0
    }

    /// Writes a text, and wakes the request that waits for it.
    package struct Job {
        let scrape: Scrape
        let token: Token
    }

    private let configuration: MetricsConfiguration
    private let host: Host
    private let jobs: Jobs<MetricsFilter>

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.configuration = try MetricsConfiguration(configuration, host)
        self.host = host
        jobs = Jobs(host)
    }

    package func makeWorker(_ index: Int) -> Worker { Worker() }

    package func requestHeaders(_ exchange: borrowing Exchange<MetricsFilter>) -> Verdict {
        guard configuration.isMetrics(exchange.fields.target), !exchange.isInternal else {
            return .next
        }
        guard configuration.allows(exchange.facts.clientIP) else {
            return exchange.respond(status: 403)
        }
        let method = exchange.fields.method
        guard method == "GET" || method == "HEAD" else {
            exchange.replyEdits.append(.allow, "GET, HEAD")
            return exchange.respond(status: 405)
        }
        guard exchange.worker.scrapes < configuration.scrapes else {
            return refuse(exchange)
        }
        guard let token = try? exchange.suspend() else { return refuse(exchange) }
        let scrape = Scrape(AcceptedFormat(exchange.fields).format)
        exchange.context.scrape = .passRetained(scrape)
        exchange.worker.scrapes += 1
        do throws(ServiceError) {
            try jobs.start(Job(scrape: scrape, token: token))
        } catch {
            // The wait ends at once, and the answer is that of a text that is not there.
            token.resume()
        }
        return .suspend
    }

    package func resumed(_ exchange: borrowing Exchange<MetricsFilter>) -> Verdict {
        guard let held = exchange.context.scrape else { return .next }
        // Until the job has ended, its thread alone may look at the text.
        guard exchange.resumeReason == .resumed else { return refuse(exchange) }
        // Safe: the request has a reference until its end, and the text stays where it is.
        let (isWhole, text, format) = held._withUnsafeGuaranteedRef {
            ($0.isWhole, $0.text, $0.format)
        }
        guard isWhole else { return refuse(exchange) }
        let type: Bytes =
            format == .openMetrics
            ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
            : "text/plain; version=0.0.4; charset=utf-8"
        exchange.replyEdits.append(.contentType, type)
        exchange.replyEdits.append(.cacheControl, "no-store")
        exchange.replyEdits.append(.vary, "Accept")
        return exchange.respond(status: 200, body: text)
    }

    package func requestEnd(_ exchange: borrowing Exchange<MetricsFilter>) {
        guard let scrape = exchange.context.scrape else { return }
        exchange.context.scrape = nil
        exchange.worker.scrapes -= 1
        scrape.release()
    }

    private func refuse(_ exchange: borrowing Exchange<MetricsFilter>) -> Verdict {
        exchange.replyEdits.append(.retryAfter, "1")
        return exchange.respond(status: 503)
    }

    // MARK: The job

    package func run(_ job: inout Job) { job.scrape.fill(host) }

    package func finish(_ job: consuming Job, on worker: inout Worker) { job.token.resume() }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<MetricsFilter>.create($0, $1, $2) }
        offer.check = { Export<MetricsFilter>.check($0, $1) }
        offer.requestHeaders = { Export<MetricsFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<MetricsFilter>.requestEnd($0, $1, $2, $3, $4) }
        offer.resumed = { Export<MetricsFilter>.resumed($0, $1, $2, $3, $4) }
        offer.run = { Export<MetricsFilter>.run($0, $1) }
        offer.finish = { Export<MetricsFilter>.finish($0, $1, $2) }
    }
}
