internal import Admin
internal import Sys

/// What `sluice top` was asked for.
package struct TopOrder: Equatable, Sendable {
    /// Whom to ask; its request is not used.
    package var control: ControlOrder
    /// Milliseconds between two answers.
    package var interval: Int
    /// Views until it ends; nil goes on until a key.
    package var count: Int?

    /// Bounds of `--interval` in milliseconds, and of `--count`.
    static let intervals = 100...60_000
    static let counts = 1...1_000_000
}

/// Shows what a proxy that runs is doing, again and again.
struct TopCommand {
    let control: ControlCommand
    let order: TopOrder

    func run() -> ExitCode {
        let client: AdminClient
        do throws(ControlCommand.Failure) {
            client = try control.client(order.control)
        } catch {
            error.lines.forEach(control.terminal.complain)
            return .failure
        }
        do throws(AdminProblem) {
            let first = try sample(client)
            if order.count == nil, Screen.isThere {
                do throws(Errno) {
                    watch(client, try Screen(), from: first)
                    return .ok
                } catch {
                    throw AdminProblem("the terminal can't be used: \(error.description)")
                }
            }
            try print(client, from: first)
            return .ok
        } catch {
            control.terminal.complain("sluice: \(error.description)")
            return .failure
        }
    }

    // MARK: Showing

    /// One view under the other, for a pipe or a file.
    private func print(_ client: AdminClient, from first: TopSample) throws(AdminProblem) {
        var before = first
        for number in 0..<(order.count ?? 1) {
            Process.sleep(milliseconds: UInt32(order.interval))
            let now = try sample(client)
            if number > 0 { control.terminal.print("") }
            lines(before, now).forEach(control.terminal.print)
            before = now
        }
    }

    /// On the whole terminal, until a key; an answer that fails is said, and asked for again.
    private func watch(
        _ client: AdminClient,
        _ screen: consuming Screen,
        from first: TopSample
    ) {
        var before = first
        screen.draw([TopView.waiting])
        while true {
            if let key = screen.key(milliseconds: Int32(order.interval)) {
                if Self.quits.contains(key) { return }
                continue
            }
            do throws(AdminProblem) {
                let now = try sample(client)
                screen.draw(lines(before, now))
                before = now
            } catch {
                screen.draw(["sluice: \(error.description)", "", TopView.waiting])
            }
        }
    }

    /// `q`, Ctrl-C and Ctrl-D.
    private static let quits: [UInt8] = [UInt8(ascii: "q"), 3, 4]

    private func lines(_ before: TopSample, _ now: TopSample) -> [String] {
        // After an upgrade it is another process, whose counts have begun anew.
        guard before.process == now.process else { return [TopView.waiting] }
        return TopView(period: TopPeriod(before: before, now: now)).lines
    }

    // MARK: Asking

    private func sample(_ client: AdminClient) throws(AdminProblem) -> TopSample {
        let status = try ask(client, "/v1/status")
        let routes = try ask(client, "/v1/routes")
        let metrics = try ask(client, "/v1/metrics").string ?? ""
        // Rates are those of the metrics, so it is their time that counts.
        let time = Double(Clock.monotonicNanoseconds()) / 1e9
        return TopSample(
            time: time,
            status: status,
            routes: routes,
            metrics: MetricSamples(metrics)
        )
    }

    private func ask(_ client: AdminClient, _ path: String) throws(AdminProblem) -> JSON {
        let request = AdminRequest("GET", path)
        let response = try client.send(request, seconds: order.control.seconds)
        guard response.status == 200 else {
            let reason = response.problems.first.map { ": " + ControlText.line($0) } ?? ""
            throw AdminProblem("\(path): \(response.status)\(reason)")
        }
        return response.body
    }
}
