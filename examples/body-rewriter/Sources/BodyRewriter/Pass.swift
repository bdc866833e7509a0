import SluiceSDK

/// How far a body has come. All zeroes at its begin.
public struct Progress: BitwiseCopyable {
    /// Bytes that were consumed and not passed on, because a match may have begun with them. They
    /// are the first ones of the text that is looked for, so they need not be kept.
    var held: UInt16 = 0
    /// Of them, those that have gone out after all, when there was no room for the others.
    var heldOut: UInt16 = 0
    /// Whether a replacement is only out in part, and how much of it.
    var isReplacing = false
    var replaced: UInt16 = 0
}

/// One call of the body hook.
///
/// Places count from the chunk's first byte; bytes that are held lie before it, below 0.
struct Pass {
    let pattern: Pattern
    let replacement: Bytes
    let data: Bytes
    let output: Output
    var progress: Progress
    /// Bytes of the chunk that are dealt with.
    private(set) var consumed = 0

    /// All before this place has gone out, or was replaced.
    private var out = 0
    /// Bytes held when the call began.
    private var heldBefore = 0
    private var hasReplaced = false

    init(
        pattern: Pattern,
        replacement: Bytes,
        data: Bytes,
        output: Output,
        progress: Progress
    ) {
        self.pattern = pattern
        self.replacement = replacement
        self.data = data
        self.output = output
        self.progress = progress
    }

    /// Goes through the chunk; false when there was no room for all that comes out of it.
    ///
    /// - Parameter letsGo: whether a match that has begun can't be waited for.
    mutating func run(letsGo: Bool) -> Bool {
        guard !progress.isReplacing || replace(before: 0) else { return false }
        heldBefore = Int(progress.held)
        out = Int(progress.heldOut) - heldBefore
        var matched = heldBefore
        var at = 0
        while at < data.count {
            if matched == 0 {
                let next = data.dropFirst(at).firstIndex(of: pattern.text[0])
                guard let next else { break }
                at += next
            }
            matched = pattern.advance(matched, data[at])
            at += 1
            if matched == pattern.text.count {
                guard pass(before: at - matched), replace(before: at) else { return false }
                matched = 0
            }
        }
        if letsGo { matched = 0 }
        // The usual chunk has nothing to replace, and goes on as it is.
        if matched > 0 || out != 0 || hasReplaced {
            output.drop()
            guard pass(before: data.count - matched) else { return false }
        }
        progress = Progress(held: UInt16(matched))
        consumed = data.count
        return true
    }

    /// Passes all on before a place; false when there is no room for all of it.
    private mutating func pass(before end: Int) -> Bool {
        if out < 0, out < end {
            let from = heldBefore + out
            out += output.write(pattern.text[from..<heldBefore + min(end, 0)])
        }
        if out >= 0, out < end { out += output.pass(out..<end) }
        guard out < end else { return true }
        if out < 0 {
            progress.heldOut = UInt16(heldBefore + out)
        } else {
            // No match begins before `end`, so the rest can be looked at anew.
            progress = Progress()
            consumed = out
        }
        return false
    }

    /// Writes the replacement for what ends at a place; false when there is no room for all of it.
    private mutating func replace(before end: Int) -> Bool {
        let rest = replacement.dropFirst(Int(progress.replaced))
        let count = output.write(rest)
        guard count == rest.count else {
            progress = Progress(isReplacing: true, replaced: progress.replaced + UInt16(count))
            consumed = end
            return false
        }
        progress = Progress()
        hasReplaced = true
        heldBefore = 0
        out = end
        return true
    }
}
