import CSluice
import HTTP
import PluginHost
import Sys

/// What keeps a generation from being let go of on one worker, for operators to read.
package struct Holder: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case request
        /// A request that a plugin lets wait.
        case waiting
        case tunnel
        /// A plugin's own request.
        case callout
        /// A connection of a listener that the manifest no longer has.
        case connection
    }

    package var generation: UInt32
    package var worker: Int
    package var kind: Kind
    /// Method, and path without its query; empty of a connection.
    package var what: String
    /// The client's address and port.
    package var client: String
    /// Seconds since it began; nil when that was not noted.
    package var seconds: Int?
}

/// Asks workers what holds generations.
package struct Census: Sendable {
    /// Holders that one worker names at most.
    package static let holdersMax = 16
    /// Bytes of a path that is named.
    static let pathBytesMax = 128

    /// Generations that are asked about.
    package var generations: Set<UInt32>
    /// Gets the holders, and how many there are in all, on the worker's thread.
    package var answer: @Sendable ([Holder], Int) -> Void

    package init(
        generations: Set<UInt32>,
        answer: @escaping @Sendable ([Holder], Int) -> Void
    ) {
        self.generations = generations
        self.answer = answer
    }
}

extension Worker {
    /// Names what holds generations.
    func take(_ census: Census) {
        var holders: [Holder] = []
        var count = 0
        var next = firstOpen
        while let down = next {
            next = down.pointee.nextOpen
            add(down, census, &holders, &count)
            var nextStream =
                down.pointee.state == .multiplexed ? down.pointee.session?.pointee.firstStream : nil
            while let stream = nextStream {
                nextStream = stream.pointee.nextOpen
                add(stream, census, &holders, &count)
            }
        }
        next = firstAbsent
        while let down = next {
            next = down.pointee.nextOpen
            add(down, census, &holders, &count)
        }
        var nextCallout = firstCallout
        while let callout = nextCallout {
            nextCallout = callout.pointee.next
            let number = callout.pointee.generation.pointee.number
            guard census.generations.contains(number) else { continue }
            count += 1
            guard holders.count < Census.holdersMax else { continue }
            holders.append(
                Holder(generation: number, worker: index, kind: .callout, what: "", client: "")
            )
        }
        census.answer(holders, count)
    }

    private func add(
        _ down: UnsafeMutablePointer<Downstream>,
        _ census: Census,
        _ holders: inout [Holder],
        _ count: inout Int
    ) {
        guard let exchange = down.pointee.exchange, !exchange.pointee.isEnded else {
            addLeaving(down, census, &holders, &count)
            return
        }
        let number = exchange.pointee.generation.pointee.number
        guard census.generations.contains(number) else { return }
        count += 1
        guard holders.count < Census.holdersMax else { return }
        let request = exchange.pointee.context.request
        let begin = exchange.pointee.context.facts.time_start
        let kind: Holder.Kind =
            exchange.pointee.response == .tunnel
            ? .tunnel : exchange.pointee.hasWaits ? .waiting : .request
        holders.append(
            Holder(
                generation: number,
                worker: index,
                kind: kind,
                what: Self.text(request.method) + " " + Self.path(request.path),
                client: clientText(down),
                seconds: begin == 0 ? nil : Int((nowNanoseconds &- begin) / 1_000_000_000)
            )
        )
    }

    private func addLeaving(
        _ down: UnsafeMutablePointer<Downstream>,
        _ census: Census,
        _ holders: inout [Holder],
        _ count: inout Int
    ) {
        guard down.pointee.flags.contains(.leaves) else { return }
        let number = places[Int(down.pointee.listener)].generation.pointee.number
        guard census.generations.contains(number) else { return }
        count += 1
        guard holders.count < Census.holdersMax else { return }
        holders.append(
            Holder(
                generation: number,
                worker: index,
                kind: .connection,
                what: "",
                client: clientText(down)
            )
        )
    }

    private func clientText(_ down: UnsafeMutablePointer<Downstream>) -> String {
        withUnsafeTemporaryAllocation(
            of: UInt8.self,
            capacity: IPAddress.textBytesMax
        ) { buffer in
            guard let to = buffer.baseAddress else { return "" }
            let count = down.pointee.ip.write(to: to)
            let address = String(decoding: buffer[..<count], as: UTF8.self)
            return address.contains(":")
                ? "[\(address)]:\(down.pointee.port)" : "\(address):\(down.pointee.port)"
        }
    }

    /// Without the query, which may hold secrets.
    private static func path(_ path: Slice) -> String {
        var end = 0
        while end < min(path.count, Census.pathBytesMax), path.bytes[end] != UInt8(ascii: "?") {
            end &+= 1
        }
        return text(Slice(path.bytes, end))
    }

    private static func text(_ slice: Slice) -> String {
        String(
            decoding: UnsafeBufferPointer(start: slice.bytes, count: slice.count),
            as: UTF8.self
        )
    }
}
