public import Sys

/// Empty pipes of one worker, kept for the next large body.
public struct PipePool: ~Copyable {
    /// Pipes of one worker, in use and kept: two descriptors each.
    public static let countMax = 128

    private var kept: [SplicePipe] = []
    private var count = 0

    public init() {
        kept.reserveCapacity(Self.countMax)
    }

    deinit {
        for pipe in kept { pipe.close() }
    }

    /// A pipe, or nil at the bound or when the system has none: the body is then copied.
    public mutating func take() -> SplicePipe? {
        if let pipe = kept.popLast() { return pipe }
        guard count < Self.countMax, let pipe = try? SplicePipe() else { return nil }
        count += 1
        return pipe
    }

    /// Takes a pipe back; one that still holds bytes is closed.
    public mutating func give(_ pipe: SplicePipe, isEmpty: Bool) {
        if isEmpty {
            kept.append(pipe)
        } else {
            pipe.close()
            count -= 1
        }
    }
}
