/// Turns offsets in a text into the lines and columns that editors show.
struct TextPlaces: Sendable {
    private let bytes: [UInt8]
    /// Offset of the first byte of each line.
    private let lineStarts: [Int]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            starts.append(offset + 1)
        }
        lineStarts = starts
    }

    /// The place of a byte; offsets behind the end give the end.
    ///
    /// Complexity: O(log lines) plus the length of the line.
    func place(of offset: Int) -> TextPlace {
        let offset = min(max(offset, 0), bytes.count)
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        // A column is a Unicode scalar: count the bytes that begin one.
        let characters = bytes[lineStarts[low]..<offset].count { $0 & 0b1100_0000 != 0b1000_0000 }
        return TextPlace(line: low + 1, column: characters + 1)
    }
}

/// A line and a column, both from 1.
package struct TextPlace: Sendable, Equatable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}
