/// The end of a message about an unknown name: the name that was probably meant, or nothing.
func suggestion(for name: String, among known: [String]) -> String {
    nearest(to: name, among: known).map { "; did you mean \(quote($0))?" } ?? ""
}

/// The known name that is closest to a wrong one; nil if none is close.
///
/// Close is a third of the longer name's characters, at least one, in single edits: a character
/// added, left out, replaced, or swapped with its neighbour. Case, "-" and "_" do not count, so
/// that "firstByte" finds "first_byte". Of equally close names the first one is taken.
func nearest(to name: String, among known: [String]) -> String? {
    let lengthMax = 64
    let wanted = folded(name)
    guard !wanted.isEmpty, wanted.count <= lengthMax else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known {
        let characters = folded(candidate)
        guard characters.count <= lengthMax else { continue }
        let distance = editDistance(wanted, characters)
        let limit = max(1, max(wanted.count, characters.count) / 3)
        if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

private func folded(_ name: String) -> [UInt8] {
    name.lowercased().utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }
}

/// Edits between two texts (optimal string alignment).
///
/// Complexity: O(n * m).
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, byte) in left.enumerated() {
        var current = [row + 1]
        for (column, other) in right.enumerated() {
            var cost = min(
                last[column + 1] + 1,
                current[column] + 1,
                last[column] + (byte == other ? 0 : 1)
            )
            if row > 0, column > 0, byte == right[column - 1], other == left[row - 1] {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
