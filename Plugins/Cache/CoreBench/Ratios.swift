internal import TinyUFOWorkloads

/// `TinyUFOBench ratios`: the table of hit ratios beside what was published.
enum Ratios {
    static func run(requests: Int) throws {
        print("hit ratio in %, \(requests) requests for \(HitRatios.universe) objects")
        print("| zipf | cache | TinyUFO | published | LRU | published |")
        print("|---|--:|--:|--:|--:|--:|")
        for cell in HitRatios.published {
            let trace = HitRatios.zipf(cell, requests: requests, seed: 1)
            let ours = try HitRatios.tinyUFO(cell.capacity, trace)
            let lru = HitRatios.lru(cell.capacity, trace)
            let columns = [
                "\(cell.exponent)", "\(cell.capacity)", hundredths(ours),
                hundredths(cell.published), hundredths(lru),
                cell.publishedLRU.map(hundredths) ?? "",
            ]
            print("| " + columns.joined(separator: " | ") + " |")
        }
        try traces(requests: requests)
    }

    private static func traces(requests: Int) throws {
        print("\n| trace | cache | TinyUFO | LRU |")
        print("|---|--:|--:|--:|")
        let traces = [
            ("scans", HitRatios.scans(requests: requests, seed: 1)),
            ("loop of 1,000", HitRatios.loop(length: 1_000, requests: requests)),
        ]
        for (name, trace) in traces {
            for capacity in [250, 500, 900] {
                let ours = try HitRatios.tinyUFO(capacity, trace)
                let lru = HitRatios.lru(capacity, trace)
                print("| \(name) | \(capacity) | \(hundredths(ours)) | \(hundredths(lru)) |")
            }
        }
    }

    static func hundredths(_ number: Double) -> String {
        let scaled = Int((number * 100).rounded())
        let rest = scaled % 100
        return "\(scaled / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
