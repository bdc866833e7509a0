import CSluice
import Synchronization

/// `metric_define`: what a plugin says of a metric, checked.
extension MetricRegistry {
    /// Why a definition was refused; the text is for the plugin's author.
    private struct Refusal: Error {
        var text: String
        var result = Int32(SLUICE_EINVAL)
    }

    /// `metric_define` of the ABI.
    func define(
        _ handle: InstanceHandle,
        _ metric: sluice_metric,
        _ id: UnsafeMutablePointer<UInt32>,
        _ errors: UnsafeMutablePointer<sluice_errbuf>?
    ) -> Int32 {
        do throws(Refusal) {
            let (name, family) = try read(metric)
            id.pointee = try place(handle, name, family, seriesMax: Int(metric.series_max))
            return Int32(SLUICE_OK)
        } catch {
            errors?.pointee.write(error.text)
            return error.result
        }
    }

    // MARK: What it says

    private func read(_ metric: sluice_metric) throws(Refusal) -> (String, Family) {
        guard metric.size == UInt32(MemoryLayout<sluice_metric>.size) else {
            throw Refusal(text: "size of sluice_metric is \(metric.size)")
        }
        let name = metric.name.text(bytesMax: Self.nameBytesMax + 1)
        guard Self.isName(name) else {
            throw Refusal(
                text: "a metric's name is [a-z][a-z0-9_]*, up to \(Self.nameBytesMax) bytes"
            )
        }
        guard !Self.ownNames.contains(name) else {
            throw Refusal(text: "\(name): a metric of the host's own")
        }
        let kinds = SLUICE_METRIC_COUNTER...SLUICE_METRIC_HISTOGRAM
        guard kinds ~= Int(metric.kind) else {
            throw Refusal(text: "\(name): no kind of metric is \(metric.kind)")
        }
        guard metric.series_max <= UInt32(SLUICE_METRIC_SERIES_MAX) else {
            throw Refusal(text: "\(name): series_max is over \(SLUICE_METRIC_SERIES_MAX)")
        }
        guard metric.help.len <= UInt64(Self.helpBytesMax) else {
            throw Refusal(text: "\(name): help is over \(Self.helpBytesMax) bytes")
        }
        let family = Family(
            kind: metric.kind,
            help: metric.help.text,
            labels: try labels(of: metric, name),
            bounds: try bounds(of: metric, name)
        )
        return (name, family)
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, 97...122 ~= first, text.utf8.count <= nameBytesMax else {
            return false
        }
        return text.utf8.allSatisfy { 97...122 ~= $0 || 48...57 ~= $0 || $0 == UInt8(ascii: "_") }
    }

    private func labels(of metric: sluice_metric, _ name: String) throws(Refusal) -> [String] {
        guard metric.label_count <= UInt32(SLUICE_METRIC_LABELS_MAX),
            metric.labels != nil || metric.label_count == 0
        else { throw Refusal(text: "\(name): more than \(SLUICE_METRIC_LABELS_MAX) labels") }
        var labels: [String] = []
        for index in 0..<Int(metric.label_count) {
            let label = metric.labels[index].text(bytesMax: Self.nameBytesMax + 1)
            // The host adds "plugin", the format adds "le".
            guard Self.isName(label), !["plugin", "le"].contains(label), !labels.contains(label)
            else { throw Refusal(text: "\(name): labels[\(index)]: not a name, or one in use") }
            labels.append(label)
        }
        return labels
    }

    private func bounds(of metric: sluice_metric, _ name: String) throws(Refusal) -> [Double] {
        let count = Int(metric.bucket_count)
        guard metric.kind == SLUICE_METRIC_HISTOGRAM else {
            guard count == 0 else {
                throw Refusal(text: "\(name): only a histogram has buckets")
            }
            return []
        }
        guard count <= SLUICE_METRIC_BUCKETS_MAX, metric.buckets != nil || count == 0 else {
            throw Refusal(text: "\(name): more than \(SLUICE_METRIC_BUCKETS_MAX) buckets")
        }
        let bounds = (0..<count).map { metric.buckets[$0] }
        for (index, bound) in bounds.enumerated() {
            guard bound.isFinite, index == 0 || bound > bounds[index - 1] else {
                throw Refusal(text: "\(name): buckets[\(index)]: bounds must rise, and be finite")
            }
        }
        return bounds
    }

    // MARK: Where it goes

    private func place(
        _ handle: InstanceHandle,
        _ name: String,
        _ family: Family,
        seriesMax: Int
    ) throws(Refusal) -> UInt32 {
        let most = seriesMax == 0 ? Self.seriesMaxDefault : seriesMax
        let key = [handle.name, name]
        let placed = definitions.withLock { definitions -> Result<UInt32, Refusal> in
            cells.grow(workers: handle.workerCount)
            if let known = definitions.families[name] {
                if let text = Self.difference(known, family) {
                    return .failure(Refusal(text: "\(name): \(text)"))
                }
            } else if let other = Self.clash(name, family.kind, definitions.families) {
                return .failure(Refusal(text: "\(name): a name that the metric \(other) takes"))
            }
            if let place = definitions.places[key] {
                definitions.metrics[place].seriesMax = most
                return .success(UInt32(place) + 1)
            }
            let count = definitions.perInstance[handle.name, default: 0]
            guard count < Self.metricsPerInstanceMax else {
                let text = "\(name): more than \(Self.metricsPerInstanceMax) metrics"
                return .failure(Refusal(text: text, result: Int32(SLUICE_ENOMEM)))
            }
            if definitions.families[name] == nil { definitions.families[name] = family.permanent() }
            definitions.perInstance[handle.name] = count + 1
            definitions.places[key] = definitions.metrics.count
            definitions.metrics.append(
                Metric(instance: handle.name, name: name, seriesMax: most)
            )
            return .success(UInt32(definitions.metrics.count))
        }
        return try placed.get()
    }

    /// What keeps a definition from being one of this family; nil when nothing does.
    private static func difference(_ known: Family, _ now: Family) -> String? {
        if known.kind != now.kind { return "it is of another kind already" }
        if known.labels != now.labels {
            return "it has other labels already: \(known.labels.joined(separator: ", "))"
        }
        if known.bounds != now.bounds { return "it has other buckets already" }
        return nil
    }

    /// A metric whose lines would be taken for those of the new one, or the other way round.
    private static func clash(
        _ name: String,
        _ kind: UInt32,
        _ families: [String: Family]
    ) -> String? {
        // In OpenMetrics the name of a counter's family is without its end.
        let end = "_total"
        let other = name.hasSuffix(end) ? String(name.dropLast(end.utf8.count)) : name + end
        if families[other] != nil,
            kind == SLUICE_METRIC_COUNTER || families[other]?.kind == UInt32(SLUICE_METRIC_COUNTER)
        {
            return other
        }
        for suffix in ["_bucket", "_sum", "_count"] {
            if name.hasSuffix(suffix) {
                let base = String(name.dropLast(suffix.count))
                if families[base]?.kind == UInt32(SLUICE_METRIC_HISTOGRAM) { return base }
            }
            if kind == SLUICE_METRIC_HISTOGRAM, families[name + suffix] != nil {
                return name + suffix
            }
        }
        return nil
    }
}

extension MetricRegistry.Family {
    /// The same with its bounds in memory that is never freed.
    func permanent() -> Self {
        guard !bounds.isEmpty else { return self }
        let copy = UnsafeMutablePointer<Double>.allocate(capacity: bounds.count)
        copy.initialize(from: bounds, count: bounds.count)
        var family = self
        family.boundsInMemory = UnsafePointer(copy)
        return family
    }
}

extension sluice_errbuf {
    /// Writes a text, as much of it as there is room for.
    mutating func write(_ text: String) {
        guard let ptr else { return }
        len = 0
        for byte in text.utf8.prefix(Int(cap)) {
            ptr[Int(len)] = CChar(bitPattern: byte)
            len += 1
        }
    }
}
